"""`train --init-from RUN`: a training that starts from a run's weights and what it has learnt, with other data."""

import json
import shutil
from pathlib import Path
from pydoc_data.topics import topics

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.runs.checkpoints import Checkpoints
from rnnframe.runs.folder import RunFolder
from rnnframe.storage.durable import file_digest

from .conftest import SMALL, Run
from .test_held_out import TASKS, TEMPLATE, _classes, _series, _texts, fitted


def _number(path: Path) -> int:
    return Checkpoints(path / "checkpoints").numbers()[0]


@pytest.mark.parametrize("made", TASKS, ids=lambda made: made.__name__[1:])
def test_a_training_starts_with_the_weights_and_the_facts_of_a_run(run: Run, tmp_path: Path, made) -> None:
    """At update 0 the parameters are those of the run bit for bit, and nothing else of its course is there."""
    task, a, b = made(tmp_path)
    old, new = tmp_path / "old", tmp_path / "new"
    assert fitted(run, task, a, "--out", old).code == 0
    outcome = run("train", "--init-from", old, "--data", b, "--batch", 4, "--stop-after", 1, "--out", new)
    assert outcome.code == 0, outcome.err
    config, weights = RunFolder.open(new).config(), old / "weights.safetensors"
    assert (config["init_from"], config["init_checkpoint"]) == (str(old), "best")
    assert config["init_digest"] == file_digest(weights)
    assert f"the training starts from the best weights of {old}, after {config['init_number']} batches" in outcome.err
    before, start = rf.load_model(old), Checkpoints(new / "checkpoints").read(0)
    for name, array in before.network.parameters.items():
        np.testing.assert_array_equal(start.groups["parameters"][name], array)
    assert all(not array.any() for array in start.groups["slots"].values())
    assert start.progress["updates"] == 0
    after = rf.load_model(new, "last")
    assert (after.network.parameters.flat != before.network.parameters.flat).any()
    ours, theirs = (attrs.asdict(each.learnt) for each in (after, before))
    for facts in (ours, theirs):
        facts.pop("naive", None)  # the errors of the naive forecast are those of the data that is judged
    assert ours == theirs
    judged, again = (
        json.loads(run("evaluate", new, *words, "--json").out)["loss"] for words in ((), ("--checkpoint", "1"))
    )
    assert np.isfinite([judged, again]).all()


def test_a_training_that_started_from_a_run_is_resumed_without_it(run: Run, tmp_path: Path) -> None:
    task, a, b = _series(tmp_path)
    old = tmp_path / "old"
    fitted(run, task, a, "--out", old)
    words = ("--init-from", old, "--init-checkpoint", "last", "--data", b, "--batch", 4, "--epochs", 3, "--quiet")
    assert run("train", *words, "--out", tmp_path / "whole").code == 0
    assert run("train", *words, "--out", tmp_path / "cut", "--stop-after", 2).code == 0
    shutil.rmtree(old)
    assert run("train", "--resume", tmp_path / "cut", "--quiet").code == 0
    one, two = (rf.load_model(tmp_path / name, "last").network.parameters.flat for name in ("whole", "cut"))
    np.testing.assert_array_equal(one, two)
    assert run("evaluate", tmp_path / "cut").code == 0


def test_ending_and_report_say_what_a_run_started_from(run: Run, tmp_path: Path) -> None:
    _, a, b = _texts(tmp_path)
    old, new = tmp_path / "old", tmp_path / "new"
    fitted(run, "characters", a, "--out", old)
    number = _number(old)
    words = ("train", "--init-from", old, "--init-checkpoint", number, "--data", b, *SMALL[2:], "--out")
    told = f"started from the checkpointed weights of {old}, after {number} batches (SHA-256 "
    outcome = run(*words, new)
    assert told in outcome.out
    assert f"{new} {told}" in run("report", old, new).out
    first, second = json.loads(run("report", old, new, "--json").out)["runs"]
    digest = file_digest(old / "checkpoints" / f"{number:08}.safetensors")
    assert (first["init_from"], second["init_from"]) == (
        None,
        {"run": str(old), "checkpoint": str(number), "batches": number, "sha256": digest},
    )
    assert json.loads(run(*words, tmp_path / "other", "--json").out)["init_from"] == second["init_from"]
    again = run("train", "--config", new / "config.toml", "--out", tmp_path / "again", "--quiet")
    assert again.code == 0
    one, two = (rf.load_model(tmp_path / name, "last").network.parameters.flat for name in ("new", "again"))
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--cell", "lstm:hidden=3"),
            " is a network of elman:hidden=8,activation=tanh, and lstm:hidden=3,forget_bias=1.0 is",
        ),
        (("--layers", 2), " is a network of elman:hidden=8,activation=tanh, and elman:hidden=8,activation=tanh elman"),
        (("--layers", "gru:hidden=3"), " is a network of elman:hidden=8,activation=tanh, and gru:hidden=3"),
        (("--dtype", "float64"), " is a network of float32, and float64 is asked for; leave out --dtype"),
        (("--task", "bytes"), " is a model of task 'characters', and --task says 'bytes'; leave out --task"),
        (("--plugin", TEMPLATE, "--task", "example"), None),
        (("--init-checkpoint", "7"), "checkpoint=7 is invalid; expected best, last or a number"),
    ],
)
def test_another_network_or_task_is_refused_and_both_are_named(run: Run, tmp_path: Path, words, said) -> None:
    _, a, b = _texts(tmp_path)
    old = tmp_path / "old"
    fitted(run, "characters", a, "--out", old)
    said = said or f"task 'example' cannot go on with what a run has learnt; leave out --init-from {old}"
    before, rest = (words[:2], words[2:]) if words[0] == "--plugin" else ((), words)
    outcome = run(*before, "train", "--init-from", old, "--data", b, *rest)
    assert outcome.code != 0
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert not Path("runs").exists()


def test_weights_that_have_changed_are_not_started_from_by_the_same_configuration(run: Run, tmp_path: Path) -> None:
    _, a, b = _texts(tmp_path)
    old, new = tmp_path / "old", tmp_path / "new"
    fitted(run, "characters", a, "--out", old)
    run("train", "--init-from", old, "--data", b, *SMALL[2:], "--out", new)
    assert run("train", "--resume", old, "--epochs", 4, "--quiet").code == 0
    again = ("train", "--config", new / "config.toml", "--no-out", "--quiet")
    assert run(*again).err == (
        f"rnnframe: error: the weights of {str(old)!r} have changed since the configuration was written; "
        "give --init-from again\n"
    )
    assert run(*again, "--init-from", old).code == 0


def test_symbols_that_a_run_does_not_know_are_read_as_evaluate_reads_them(run: Run, tmp_path: Path) -> None:
    _, a, b = _texts(tmp_path)
    fitted(run, "characters", a, "--out", tmp_path / "old")
    outcome = run("train", "--init-from", tmp_path / "old", "--data", b, *SMALL[2:], "--no-out")
    said = "characters were not in the training text and read as unknown, the first 'ö' in line 1"
    assert said in outcome.err
    assert said in run("evaluate", tmp_path / "old", "--data", b).err


def test_classes_columns_and_series_that_a_run_does_not_know_are_refused(run: Run, tmp_path: Path) -> None:
    task, a, b = _classes(tmp_path)
    old = tmp_path / "classes"
    fitted(run, task, a, "--out", old)
    x = np.load(b)["x"]
    np.savez(b, x=x, y=np.arange(12) % 4)
    outcome = run("train", "--init-from", old, "--data", b)
    assert (
        "sample 4 is of class '3'; the model knows 0, 1, 2; leave such samples out, or train from scratch"
        in outcome.err
    )
    np.savez(b, x=x[..., :1], y=np.arange(12) % 3)
    assert "has 1 channels; the model takes 2" in run("train", "--init-from", old, "--data", b).err
    np.savez(b, x=x, y=np.arange(12) % 2)  # a class that is missing is no fault
    assert run("train", "--init-from", old, "--data", b, "--no-out", "--quiet").code == 0

    task, a, b = _series(tmp_path)
    old = tmp_path / "series"
    fitted(run, task, a, "--out", old)
    table = b.read_text().splitlines()
    b.write_text("\n".join(["w,u", *(f"{row},{row}" for row in table[1:])]))
    outcome = run("train", "--init-from", old, "--data", b)
    assert outcome.err.endswith("has no column 'v'; it has w, u\n")
    b.write_text("\n".join(["v,u", *(f"{row},{row}" for row in table[1:])]))
    outcome = run("train", "--init-from", old, "--data", b, "--task", f"{task},column=u")
    assert "column= names u, and the model was trained with v; leave out column=" in outcome.err
    outcome = run("train", "--init-from", old, "--data", b, "--no-out", "--quiet")
    assert "left out: u (the model does not read it)" in outcome.err

    for path, names in ((a, "xy"), (b, "xz")):
        path.write_text("\n".join(["id,v", *(f"{n},{row}" for n in names for row in table[1:])]))
    old = tmp_path / "panel"
    fitted(run, f"{task},id=id", a, "--out", old)
    outcome = run("train", "--init-from", old, "--data", b)
    assert "has a series 'z' that was not trained on; it was x, y" in outcome.err


def test_a_scale_that_does_not_fit_is_told_and_can_be_learnt_anew(run: Run, tmp_path: Path) -> None:
    task, a, b = _series(tmp_path)
    fitted(run, task, a, "--out", tmp_path / "old")
    values = np.loadtxt(b, skiprows=1) * 40
    b.write_text("\n".join(["v", *map(str, values)]))
    words = ("train", "--init-from", tmp_path / "old", "--data", b, "--quiet", "--epochs", 1)
    outcome = run(*words, "--out", tmp_path / "kept")
    before = rf.load_model(tmp_path / "old").learnt
    assert f"the scale of v is that of the model, mean {before.mean[0]:.4g} and spread" in outcome.err
    assert rf.load_model(tmp_path / "kept").learnt.mean == before.mean
    outcome = run(*words, "--task", f"{task},rescale=yes", "--out", tmp_path / "anew")
    assert "the scale of v" not in outcome.err
    learnt, train = rf.load_model(tmp_path / "anew").learnt, values[:81]
    np.testing.assert_allclose([learnt.mean[0], learnt.spread[0]], [train.mean(), train.std()], rtol=1e-12)


def test_python_starts_from_a_run_with_its_task_and_network(run: Run, tmp_path: Path) -> None:
    _, a, b = _texts(tmp_path)
    fitted(run, "characters", a, "--out", tmp_path / "old")
    options = rf.options_from(tmp_path / "old", data=str(b), batch=4, steps=16, epochs=1)
    assert options.cell == ("elman:hidden=8,activation=tanh",)
    training = rf.Training(options)
    theirs = rf.load_model(tmp_path / "old").network.parameters.flat
    np.testing.assert_array_equal(training.model.network.parameters.flat, theirs)
    assert training.fit()
    average = rf.Training(attrs.evolve(options, average="ema:decay=0.9")).model.network
    np.testing.assert_array_equal(average.parameters.flat, theirs)
    run(
        "train",
        "--init-from",
        tmp_path / "old" / "weights.safetensors",
        "--data",
        b,
        *SMALL[2:],
        "--out",
        tmp_path / "file",
    )
    assert RunFolder.open(tmp_path / "file").config()["init_number"] > 0


def test_a_model_of_much_text_learns_a_little_text_better_than_a_new_one(run: Run, tmp_path: Path) -> None:
    """English of the Python documentation, then 4,000 characters of one topic that it does not have."""
    names = sorted(topics, key=lambda name: len(topics[name]))
    little = topics["typesseq"]
    much = "\n".join(topics[name] for name in names if name != "typesseq")[-150_000:]
    for name, text in (("much", much), ("little", little[:4000]), ("judged", little[4000:9000])):
        (tmp_path / f"{name}.txt").write_text(text)
    network = ("--cell", "gru:hidden=48", "--sample", 0, "--quiet", "--batch", 16, "--steps", 32)
    assert run("train", "--data", tmp_path / "much.txt", *network, "--epochs", 2, "--out", tmp_path / "old").code == 0
    losses = {}
    for name, words in (("anew", network), ("from", ("--init-from", tmp_path / "old", *network[4:]))):
        settings = ("--data", tmp_path / "little.txt", "--epochs", 8, "--batch", 4, "--out", tmp_path / name)
        assert run("train", *words, *settings).code == 0
        judged = run("evaluate", tmp_path / name, "--data", tmp_path / "judged.txt", "--json")
        losses[name] = json.loads(judged.out)["loss"]
    assert losses["from"] < losses["anew"] - 0.3, losses
