"""What is held out of a training: a share of its data, a file of its own, or nothing."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from rnnframe import load_model
from rnnframe.runs.folder import RunFolder
from rnnframe.runs.metrics import read_metrics

from .conftest import SMALL, TEXT, Outcome, Run

TEMPLATE = Path(__file__).parents[2] / "rnnframe" / "templates" / "task.py"


def _texts(folder: Path) -> tuple[str, Path, Path]:
    (folder / "a.txt").write_text(TEXT)
    (folder / "b.txt").write_text(TEXT[:900].replace("fox", "f\u00f6x"))  # a character that nobody was taught
    return "characters", folder / "a.txt", folder / "b.txt"


def _bytes(folder: Path) -> tuple[str, Path, Path]:
    return "bytes", *_texts(folder)[1:]


def _words(folder: Path) -> tuple[str, Path, Path]:
    pytest.importorskip("tokenizers", reason="cuts texts into words")
    return "words", *_texts(folder)[1:]


def _series(folder: Path) -> tuple[str, Path, Path]:
    pytest.importorskip("pandas", reason="reads tables")
    t = np.arange(90)
    for name, level in (("a", 50), ("b", 80)):
        values = level + t / 3 + 5 * np.sin(t / 2)
        (folder / f"{name}.csv").write_text("\n".join(["v", *(f"{value:.3f}" for value in values)]))
    return "forecast:horizon=3,season=2", folder / "a.csv", folder / "b.csv"


def _samples(folder: Path, targets: bool) -> tuple[Path, Path]:
    draw = np.random.default_rng(1)
    for name, level in (("a", 3), ("b", 30)):
        x = draw.normal(level, 2, (12, 7, 2))
        np.savez(folder / f"{name}.npz", x=x, y=x.mean(axis=(1, 2)) if targets else np.arange(12) % 3)
    return folder / "a.npz", folder / "b.npz"


def _classes(folder: Path) -> tuple[str, Path, Path]:
    return "classify", *_samples(folder, targets=False)


def _numbers(folder: Path) -> tuple[str, Path, Path]:
    return "regress", *_samples(folder, targets=True)


def _rolls(folder: Path) -> tuple[str, Path, Path]:
    for name, seed in (("a", 1), ("b", 2)):
        np.savez(folder / f"{name}.npz", x=np.random.default_rng(seed).integers(0, 2, (10, 8, 3)))
    return "rolls", folder / "a.npz", folder / "b.npz"


TASKS = (_texts, _bytes, _words, _series, _classes, _numbers, _rolls)


@pytest.fixture
def texts(tmp_path: Path) -> tuple[Path, Path]:
    return _texts(tmp_path)[1:]


def fitted(run: Run, task: str, data: object, *words: object) -> Outcome:
    steps = () if task.startswith(("classify", "regress", "rolls")) else SMALL[4:6]
    small = (*SMALL[:4], *steps, *SMALL[6:])
    return run("train", "--task", task, "--data", data, *small, "--kernels", "numpy", *words)


@pytest.mark.parametrize("made", TASKS, ids=lambda made: made.__name__[1:])
def test_a_file_is_held_out_and_nothing_is_learnt_from_it(run: Run, tmp_path: Path, made) -> None:
    """The weights are those of a fit on all data, and the best loss is what `evaluate --data` finds on the file."""
    task, a, b = made(tmp_path)
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    outcome = fitted(run, task, a, "--held-out", 0, "--out", alone)
    assert (outcome.code, "Traceback" in outcome.err) == (0, False)
    assert "nothing held out: training loss" in outcome.out
    outcome = fitted(run, task, a, "--valid", b, "--out", beside, "--json")
    assert outcome.code == 0, outcome.err
    reached = json.loads(outcome.out)
    ours, theirs = load_model(alone, "last"), load_model(beside, "last")
    assert ours.learnt == theirs.learnt
    np.testing.assert_array_equal(ours.network.parameters.flat, theirs.network.parameters.flat)
    judged = json.loads(run("evaluate", beside, "--data", b, "--json").out)
    again = json.loads(run("evaluate", beside, "--json").out)
    assert judged["loss"] == pytest.approx(reached["valid_loss"], rel=1e-6)
    assert (again["loss"], again["count"]) == (judged["loss"], judged["count"])
    config = RunFolder.open(beside).config()
    assert config["valid"] == str(b)
    assert len(config["valid_digest"]) == 64


def test_scales_of_a_final_fit_are_those_of_all_rows(run: Run, tmp_path: Path) -> None:
    task, a, _ = _series(tmp_path)
    fitted(run, task, a, "--held-out", 0, "--out", tmp_path / "run")
    values = np.loadtxt(a, skiprows=1)
    learnt = load_model(tmp_path / "run").learnt
    np.testing.assert_allclose([learnt.mean[0], learnt.spread[0]], [values.mean(), values.std()], rtol=1e-12)


def test_without_a_held_out_part_a_picture_shows_no_validation(run: Run, tmp_path: Path, texts) -> None:
    pytest.importorskip("matplotlib", reason='the pictures need matplotlib: pip install "rnnframe[plot]"')
    fitted(run, "characters", texts[0], "--held-out", 0, "--out", tmp_path / "run")
    report = run("report", tmp_path / "run", "--plot", tmp_path / "run.svg")
    assert (report.code, report.err) == (0, "")
    picture = (tmp_path / "run.svg").read_text()
    assert ("training" in picture, "validation" in picture) == (True, False)
    assert_asks_for_data(run("predict", tmp_path / "run", "--plot", tmp_path / "x.svg"), tmp_path / "run")


def assert_asks_for_data(outcome, folder: Path) -> None:
    assert outcome.code != 0
    assert outcome.err == (
        f"rnnframe: error: run {str(folder)!r} was trained on all of its data, nothing is held out; "
        "name a file with --data FILE\n"
    )


def test_without_a_held_out_part_there_is_no_validation_anywhere(run: Run, tmp_path: Path, texts) -> None:
    folder = tmp_path / "run"
    outcome = fitted(run, "characters", texts[0], "--held-out", 0, "--out", folder)
    assert f"the last model is in {folder}; next:\n  rnnframe evaluate {folder} --data FILE\n" in outcome.out
    metrics = read_metrics(folder / "metrics.jsonl")
    assert (metrics.epochs, metrics.last_valid_loss, metrics.best) == (2, None, None)
    assert not len(metrics.valid_loss.columns())
    assert_asks_for_data(run("evaluate", folder), folder)
    assert run("evaluate", folder, "--data", texts[1]).code == 0
    assert run("train", "--resume", folder, "--epochs", 3, "--quiet").code == 0
    assert read_metrics(folder / "metrics.jsonl").epochs == 3


def test_progress_shows_no_validation_where_there_is_none(run: Run, texts) -> None:
    words = ("--data", texts[0], *(word for word in SMALL if word != "--quiet"), "--held-out", 0, "--no-out")
    lines = [line for line in run("train", *words).err.splitlines() if line.startswith("epoch")]
    assert len(lines) == 2
    assert all("nats/char" in line and "valid" not in line for line in lines)


def test_a_run_is_not_gone_on_with_where_its_held_out_file_has_changed(run: Run, tmp_path: Path, texts) -> None:
    a, b = texts
    fitted(run, "characters", a, "--valid", b, "--out", tmp_path / "run", "--stop-after", 3)
    before = b.read_bytes()
    b.write_text(b.read_text() + "more")
    for words in (("train", "--resume", tmp_path / "run", "--quiet"), ("evaluate", tmp_path / "run")):
        outcome = run(*words)
        assert outcome.code != 0
        assert outcome.err == (
            f"rnnframe: error: the held-out file {str(b)!r} has changed since the run was made; "
            "put the old one back, or start a new run\n"
        )
    b.write_bytes(before)
    assert run("train", "--resume", tmp_path / "run", "--quiet").code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--held-out", 0, "--patience", 3), "--patience (3) needs evaluations, and nothing is held out; leave it out"),
        (("--held-out", 0, "--evaluate-every", 5), "--evaluate-every (5) needs evaluations, and nothing is held out"),
        (("--valid", "b", "--held-out", 0.3), "--valid b is what is held out; leave out --held-out (0.3)"),
        (("--valid", "-"), "--valid reads its file again at every evaluation, and standard input once; name a file"),
        (("--valid", "absent"), "cannot read the held-out file 'absent': No such file or directory"),
        (
            ("--task", "adding", "--valid", "b"),
            "task 'adding' validates on a part of its own data; leave out --valid b",
        ),
    ],
)
def test_what_cannot_be_held_out_is_refused_on_one_line(run: Run, texts, words, said: str) -> None:
    data = () if "adding" in words else ("--data", texts[0])
    outcome = run("train", *data, *SMALL, *words)
    assert outcome.code != 0
    assert outcome.err.startswith(f"rnnframe: error: {said}")
    assert outcome.err.count("\n") == 1
    assert not Path("runs").exists()


def test_a_file_without_targets_is_refused_before_anything_is_trained(run: Run, tmp_path: Path) -> None:
    a, b = _samples(tmp_path, targets=False)
    np.savez(b, x=np.zeros((4, 7, 2)))
    outcome = fitted(run, "classify", a, "--valid", b)
    assert f"{b} has no targets to validate by; add them, or name another file with --valid" in outcome.err
    np.savez(b, x=np.zeros((4, 7, 2)), y=np.full(4, 8))
    assert "sample 1 is of class '8'; the model knows 0, 1, 2" in fitted(run, "classify", a, "--valid", b).err


def test_early_stopping_and_the_best_epoch_follow_the_held_out_file(run: Run, tmp_path: Path, texts) -> None:
    words = ("--valid", texts[1], "--patience", 1, "--epochs", 40, "--optimizer", "adam:lr=0.3", "--json")
    reached = json.loads(fitted(run, "characters", texts[0], *words, "--out", tmp_path / "run").out)
    assert reached["epoch"] < 40
    assert reached["valid_loss"] <= reached["last"]["valid_loss"]


def test_a_configuration_names_the_file_too(run: Run, tmp_path: Path, texts) -> None:
    fitted(run, "characters", texts[0], "--valid", texts[1], "--out", tmp_path / "one")
    again = run("train", "--config", tmp_path / "one" / "config.toml", "--out", tmp_path / "two", "--quiet")
    assert again.code == 0
    one, two = (load_model(tmp_path / name, "last").network.parameters.flat for name in ("one", "two"))
    np.testing.assert_array_equal(one, two)
    other = ("--valid", texts[0], "--out", tmp_path / "three", "--quiet")
    assert run("train", "--config", tmp_path / "one" / "config.toml", *other).code == 0


@pytest.mark.parametrize("held_out", ["none", "a file"])
def test_standard_input_is_trained_on_from_its_first_byte(
    run: Run, tmp_path: Path, texts, monkeypatch: pytest.MonkeyPatch, held_out: str
) -> None:
    """Its pages are those of a file that is read as they are: the same batches, so the same weights."""

    a, b = texts
    words = ("--valid", b) if held_out == "a file" else ("--held-out", 0)
    size = 4 * 16 * 5 + 1  # the first of pages of five batches
    (tmp_path / "page").write_bytes(a.read_bytes()[:size])
    fitted(run, "bytes", tmp_path / "page", *words, "--epochs", 1, "--rate", "constant", "--out", tmp_path / "file")
    with open(a, "rb") as source:
        kept = os.dup(0)
        os.dup2(source.fileno(), 0)
        try:
            piped = fitted(
                run, "bytes:epoch=5", "-", *words, "--epochs", 1, "--rate", "constant", "--out", tmp_path / "pipe"
            )
        finally:
            os.dup2(kept, 0)
            os.close(kept)
    assert piped.code == 0, piped.err
    one, two = (load_model(tmp_path / name, "last").network.parameters.flat for name in ("file", "pipe"))
    np.testing.assert_array_equal(one, two)


def test_the_parts_of_rolls_are_all_trained_on_but_the_test_part(run: Run, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    parts = {name: draw.integers(0, 2, (4, 6, 3)) for name in ("train", "valid", "test")}
    np.savez(tmp_path / "rolls.npz", **parts)
    np.savez(tmp_path / "both.npz", x=np.concatenate([parts["train"], parts["valid"]]))
    told = fitted(run, "rolls", tmp_path / "rolls.npz", "--held-out", 0, "--out", tmp_path / "parts").err
    assert "trained on the parts train and valid" in told
    fitted(run, "rolls", tmp_path / "both.npz", "--held-out", 0, "--out", tmp_path / "whole")
    one, two = (load_model(tmp_path / name).network.parameters.flat for name in ("parts", "whole"))
    np.testing.assert_array_equal(one, two)


def test_a_task_that_was_built_before_trains_as_it_did_and_refuses_the_rest(run: Run, tmp_path: Path) -> None:
    """Its `takes` does not have "all": it never sees held_out=0."""
    words = ("--plugin", TEMPLATE, "train", "--task", "example", "--cell", "elman:hidden=3", "--quiet", "--epochs", 1)
    assert run(*words, "--out", tmp_path / "run").code == 0
    for more in (("--held-out", 0), ("--valid", TEMPLATE)):
        outcome = run(*words, *more)
        assert outcome.code != 0
        flag = " ".join(map(str, more))
        assert outcome.err == f"rnnframe: error: task 'example' validates on a part of its own data; leave out {flag}\n"
