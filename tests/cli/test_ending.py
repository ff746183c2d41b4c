"""The end of a training: the model is kept, and the command says where, how good it is and what to do with it."""

import json
import os
import re
import shlex
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from rnnframe.runs.folder import RunFolder
from rnnframe.runs.places import newest_run, place_for

from .conftest import Run
from .test_stopping import GROWING

NAMED = re.compile(r"runs/\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_characters")


def kept() -> list[Path]:
    return sorted(Path("runs").glob("*"))


def test_a_run_without_a_name_is_kept_under_runs_and_the_last_lines_say_so(train: Run, run: Run) -> None:
    outcome = train()
    (folder,) = kept()
    assert NAMED.fullmatch(str(folder))
    _, summary = outcome.out.rsplit("\n---\n", 1)
    lines = summary.splitlines()
    assert re.fullmatch(r"held-out part: best \d\.\d{4} nats/char \(epoch [12]\)", lines[0])
    assert re.fullmatch(r"last: \d\.\d{4} nats/char", lines[1])
    assert lines[2] == f"the best model is in {folder}; next:"
    commands = [shlex.split(line) for line in lines[3:]]
    assert [words[1] for words in commands] == ["evaluate", "sample", "train"]
    for words in commands:
        assert run(*words[1:], *(["--quiet"] if words[1] == "train" else [])).code == 0
    assert RunFolder.open(folder).config()["epochs"] == 4


def test_a_task_without_an_alphabet_is_gone_on_with_by_predict(run: Run, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("v\n" + "\n".join(str(n % 7 + n / 50) for n in range(300)))
    words = ("--data", tmp_path / "s.csv", "--cell", "elman:hidden=3", "--epochs", 1, "--quiet")
    outcome = run("train", "--task", "forecast:horizon=2", *words)
    (folder,) = kept()
    assert str(folder).endswith("_forecast")
    assert f"\n  rnnframe predict {folder} --data FILE --out predictions.csv\n" in outcome.out
    assert run("predict", folder, "--data", tmp_path / "s.csv", "--out", "predictions.csv").code == 0


def test_what_is_reported_is_the_best_model_and_not_the_last(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "noise.npz", x=rng.normal(size=(30, 6, 2)), y=rng.integers(0, 3, 30))
    words = ("--task", "classify", "--data", tmp_path / "noise.npz", "--cell", "gru:hidden=16", "--batch", 4)
    words += ("--optimizer", "adam:lr=3e-2", "--epochs", 12, "--held-out", 0.4, "--quiet", "--out", tmp_path / "run")
    report = json.loads(run("train", *words, "--json").out)
    epochs = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    epochs = [record for record in epochs if record["kind"] == "epoch"]
    best = min(epochs, key=lambda record: record["valid_loss"])
    assert best["valid_loss"] < epochs[-1]["valid_loss"]  # noise is learnt by heart
    assert report["valid_loss"] == best["valid_loss"]
    assert report["measures"] == best["measures"]
    assert report["best"] == best["epoch"] * 5  # batches
    assert report["last"] == {"valid_loss": epochs[-1]["valid_loss"], "measures": epochs[-1]["measures"]}
    judged = json.loads(run("evaluate", tmp_path / "run", "--json").out)
    assert judged["loss"] == pytest.approx(report["valid_loss"], rel=1e-6)
    assert judged["measures"] == report["measures"]
    shown = run("train", *words, "--force").out.splitlines()
    accuracy = best["measures"]["accuracy"]
    where = f"(epoch {best['epoch']})"
    assert shown[0] == f"held-out part: best {best['valid_loss']:.4f} nats/sequence {where}, accuracy {accuracy:.6g}"
    last = epochs[-1]
    assert shown[1] == f"last: {last['valid_loss']:.4f} nats/sequence, accuracy {last['measures']['accuracy']:.6g}"


def test_the_sample_is_that_of_the_model_that_is_kept(train: Run, run: Run, tmp_path: Path) -> None:
    report = json.loads(train("--out", tmp_path / "run", "--json", "--kernels", "numpy").out)
    written = run("sample", tmp_path / "run", "--length", 20, "--kernels", "numpy").out
    assert written == report["sample"] + "\n"


def test_nothing_is_kept_where_that_is_asked_for(train: Run) -> None:
    outcome = train("--no-out")
    assert outcome.code == 0
    assert outcome.out.endswith("\nthe model was not kept (--no-out)\n")
    assert not Path("runs").exists()
    stopped = train("--no-out", "--stop-after", 1)
    assert stopped.err.endswith("nothing was saved (--no-out)\n")
    both = train("--no-out", "--out", "here")
    assert both.code == 2
    assert "--no-out keeps no run, and --out names 'here'; leave one of them out" in both.err


def test_a_stopped_run_without_a_name_is_gone_on_with(train: Run, run: Run) -> None:
    outcome = train("--stop-after", 3)
    command = shlex.split(outcome.err.split("go on with: ")[1])
    assert command[1:3] == ["train", "--resume"]
    assert run(*command[1:], "--quiet").code == 0


def test_an_error_says_where_the_run_without_a_name_is(train: Run) -> None:
    outcome = train(*GROWING)
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert f"(the run up to its last checkpoint is in {kept()[0]})" in outcome.err


@pytest.mark.parametrize("command", ["evaluate", "predict", "sample", "report"])
def test_the_newest_run_is_taken_where_none_is_named(train: Run, run: Run, text: Path, command: str) -> None:
    for cell in ("elman:hidden=4", "gru:hidden=4"):
        assert train("--cell", cell, "--epochs", 1).code == 0
    older, newer = (Path("runs") / name for name in ("a", "b"))
    first, second = kept()
    first.rename(newer)  # a name says nothing
    second.rename(older)
    now = time.time()
    for path in newer.rglob("*"):
        os.utime(path, (now + 60, now + 60))
    words = {"predict": ("--data", text, "--out", "out.csv", "--json"), "sample": ("--length", 5)}.get(
        command, ("--json",)
    )
    found, named = run(command, *words), run(command, newer, *words)
    assert found.code == 0
    assert found.out == named.out
    assert found.err == f"rnnframe: no run is named; this is the newest one, {newer}\n"
    assert named.err == ""


@pytest.mark.parametrize(
    "words", [("evaluate",), ("predict", "--data", "x", "--out", "y.csv"), ("sample",), ("report",)]
)
def test_without_any_run_the_command_that_makes_one_is_named(run: Run, words: tuple[str, ...]) -> None:
    outcome = run(*words)
    assert outcome.code in (1, 2)
    assert outcome.err.count("\n") == 1
    assert "no run is named, and there is none under 'runs'; name one, or make one: rnnframe train" in outcome.err


def begin_run(place: Path, task: str) -> None:
    with RunFolder.fresh(place) as folder:
        folder.begin({"task": task})


def test_two_runs_of_one_second_have_names_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    now = datetime(2026, 3, 1, 14, 5, 9)
    for expected in (
        "runs/2026-03-01_14-05-09_copy",
        "runs/2026-03-01_14-05-09_copy_2",
        "runs/2026-03-01_14-05-09_copy_3",
    ):
        place = place_for("copy", now)
        assert place.as_posix() == expected
        begin_run(place, "copy")


def test_a_run_that_has_trained_on_nothing_is_not_the_newest(train: Run, text: Path) -> None:
    train("--epochs", 1)
    (trained,) = kept()
    begin_run(Path("runs/later"), "characters")
    assert newest_run() == trained


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--steps", 1_000_000), "lower --steps (now 1000000) or --batch (now 4), or raise --epochs"),
        (("--steps", 500, "--accumulate", 2), "or --accumulate (now 2), or raise"),
    ],
)
def test_an_epoch_of_one_update_gets_a_remark(train: Run, words: tuple[object, ...], named: str) -> None:
    outcome = train(*words)
    assert outcome.code == 0
    assert outcome.err.startswith("rnnframe: remark: an epoch makes one update, the whole training 2; lower ")
    assert named in outcome.err
    assert train().err == ""


def test_a_batch_that_holds_all_samples_gets_a_remark(run: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "few.npz", x=np.random.default_rng(0).normal(size=(30, 6, 2)), y=np.arange(30) % 2)
    words = ("--task", "classify", "--data", tmp_path / "few.npz", "--cell", "gru:hidden=3", "--epochs", 2, "--quiet")
    remark = "rnnframe: remark: an epoch makes one update, the whole training 2; lower --batch (now 100000), or raise"
    assert run("train", *words, "--batch", 100_000).err.startswith(remark)
    assert run("train", *words, "--batch", 4).err == ""


def test_the_command_line_says_first_whether_and_where_a_run_is_kept(train: Run, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('out = "named"\n')
    (tmp_path / "b.toml").write_text("no-out = true\n")
    assert train("--config", tmp_path / "a.toml", "--no-out").code == 0
    assert train("--config", tmp_path / "b.toml").code == 0
    assert not Path("named").exists()
    assert train("--config", tmp_path / "b.toml", "--out", "named").code == 0
    assert Path("named").is_dir()
    assert not Path("runs").exists()


def test_a_folder_where_nothing_can_be_kept_is_named_with_the_ways_out(train: Run) -> None:
    Path("runs").write_text("a file")
    outcome = train()
    assert outcome.code in (1, 2)
    assert outcome.err.count("\n") == 1
    assert outcome.err.endswith("(name a folder with --out RUN, or keep nothing with --no-out)\n")


def test_a_table_of_many_columns_ends_with_a_few_measures_and_evaluate_prints_all(run: Run, tmp_path: Path) -> None:
    columns, file = [f"c{n}" for n in range(12)], tmp_path / "many.csv"
    values = np.random.default_rng(0).normal(size=(120, 12))
    rows = [",".join(columns), *(",".join(f"{value:.3f}" for value in row) for row in values)]
    file.write_text("\n".join(rows) + "\n")
    words = ("--task", "forecast:horizon=2", "--data", file, "--cell", "gru:hidden=2", "--epochs", 1, "--batch", 4)
    outcome = run("train", *words, "--steps", 8, "--out", tmp_path / "many")
    ending, last, *_ = outcome.out.splitlines()
    judged = [line for line in run("evaluate", tmp_path / "many").out.splitlines() if ": " in line]
    assert len(judged) > 12  # an error of every column
    for line in (ending, last):
        assert line.endswith(f", and {len(judged) - 8} more")
        assert all(f", {each.partition(':')[0]} " in line for each in judged[:8])
    (epoch,) = [line for line in outcome.err.splitlines() if line.startswith("epoch 1/1")]
    assert f"  and {len(judged) - 8} more  " in epoch
