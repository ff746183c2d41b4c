"""Options in files: every one that the command line has, and no other."""

import json
import tomllib
from pathlib import Path

import pytest

from rnnframe.cli import with_commands

from .conftest import Run
from .test_resume import same


def test_every_option_of_train_can_stand_in_a_file(run: Run, text: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    small = ("--batch", 2, "--epochs", 1, "--sample", 0, "--quiet", "--dtype", "float64")
    run("train", "--data", text, "--cell", "gru:hidden=4", "--cell", "elman:hidden=5", *small, "--out", old)
    values = {
        "task": "characters",
        "data": str(text),
        "cell": ["gru:hidden=4", "elman:hidden=5"],
        "layers": 1,
        "store": "checkpoint:slots=2",
        "optimizer": "sgd:lr=0.1",
        "freeze": ["layer0.b"],
        "group": ["head.*:lr=0.5", "*.W:decay=0.1"],
        "average": "ema:decay=0.9",
        "rate": "constant",
        "clip": "none",
        "batch": 2,
        "steps": 20,
        "init_from": str(old),
        "init_checkpoint": "last",
        "epochs": 3,
        "held_out": 0,
        "valid": str(text),
        "seed": 4,
        "embedding_std": 1,
        "dtype": "float64",
        "chunk": 7,
        "shards": 1,
        "kernels": "numpy",
        "accumulate": 2,
        "on_nonfinite": "skip",
        "evaluate_every": 5,
        "watch_gradients": True,
        "patience": 9,
        "keep": 3,
        "save_every": 4,
        "out": str(tmp_path / "run"),
        "no_out": False,
        "force": False,
        "stop_after": 11,
        "sample": 3,
        "json": True,
        "quiet": True,
        "tensorboard": False,
        "observer": ["progress:every=60"],
    }
    options = {name.replace("-", "_") for name in flags("train")} - {"config", "resume", "help"}
    options.remove("reducer")  # which joins the processes that a launcher has started
    options.remove("precision")  # which needs compiled kernels: tests/plugins/test_bfloat16.py
    assert values.keys() == options
    (tmp_path / "all.toml").write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    outcome = run("train", "--config", tmp_path / "all.toml")
    assert (outcome.code, outcome.err.count("\n")) == (0, 1)
    assert f"held out: {text}" in outcome.err
    assert json.loads(outcome.out)["batch"] == 11
    written = tomllib.loads((tmp_path / "run" / "config.toml").read_text())
    around = {"out", "no_out", "force", "stop_after", "sample", "json", "quiet", "tensorboard", "observer"}
    assert {name: written[name] for name in values.keys() - around} == {
        name: value for name, value in values.items() if name not in around
    }
    again = run("train", "--config", tmp_path / "run" / "config.toml", "--stop-after", 11, "--out", tmp_path / "again")
    assert again.code == 0
    assert same(tmp_path / "again", tmp_path / "run")


def flags(name: str) -> list[str]:
    command = with_commands().commands[name]
    return [option.removeprefix("--") for parameter in command.params for option in parameter.opts]


def test_the_command_line_comes_before_the_file(run: Run, text: Path, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text('out = "nowhere"\nsample = 0\nstop_after = 3\nquiet = true\nbatch = 2\n')
    words = ("--data", text, "--out", tmp_path / "run", "--cell", "elman:hidden=3", "--stop-after", 2)
    assert run("train", "--config", tmp_path / "run.toml", *words).code == 0
    assert not (tmp_path / "nowhere").exists()
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stop-aftr = 3", "'stop_aftr'; did you mean 'stop_after'?"),
        ('resume = "run"', "unknown option of configuration "),
        ('sample = "many"', "sample = many is invalid; expected integer"),
        ("force = 3", "force = 3 is invalid; expected true or false"),
        ("out = true", "out = True is invalid; expected text or none"),
        ("keep = 0", "keep must be >= 1: 0"),
        ("stop_after = 0", "stop_after must be >= 1: 0"),
    ],
)
def test_a_wrong_line_is_named_with_its_file(run: Run, tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(line + "\n")
    outcome = run("train", "--config", path)
    assert outcome.code == 2
    assert repr(str(path)) in outcome.err
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_an_option_that_a_file_has_in_both_spellings_is_refused(run: Run, text: Path, tmp_path: Path) -> None:
    (tmp_path / "twice.toml").write_text(f"data = {str(text)!r}\nheld-out = 0.2\nheld_out = 0.3\n")
    done = run("train", "--config", tmp_path / "twice.toml")
    assert done.code == 2
    assert "gives 'held_out' twice" in done.err


def test_a_run_that_names_a_file_in_its_task_goes_on_from_another_folder(
    run: Run, text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(text.parent)
    words = ("--cell", "elman:hidden=3", "--batch", 2, "--steps", 20, "--epochs", 2, "--quiet", "--sample", 0)
    task = f"characters:vocabulary={text.name}"
    assert run("train", "--task", task, "--data", text.name, "--out", "run", "--stop-after", 1, *words).code == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    done = run("train", "--resume", text.parent / "run", "--quiet", "--sample", 0)
    assert done.code == 0, done.err
