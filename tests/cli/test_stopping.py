"""When a run is judged, saved and stopped."""

import json
import re
from pathlib import Path

import pytest

from rnnframe.runs.folder import RunFolder

from .conftest import Run, done
from .test_resume import BATCHES, lines, same

GROWING = ("--cell", "elman:hidden=8,activation=relu", "--optimizer", "sgd:lr=1e12", "--clip", "none")


def of_kind(run: Path, kind: str) -> list[dict]:
    return [record for record in lines(run) if record["kind"] == kind]


def test_a_run_that_gets_no_better_stops_and_keeps_its_best_weights(train: Run, run: Run, tmp_path: Path) -> None:
    words = ("--optimizer", "adam:lr=0.3", "--rate", "constant", "--epochs", 50, "--patience", 3)
    assert train("--out", tmp_path / "run", *words).code == 0
    epochs = of_kind(tmp_path / "run", "epoch")
    losses = [epoch["valid_loss"] for epoch in epochs]
    assert 4 <= len(epochs) < 50
    assert losses.index(min(losses)) == len(losses) - 4
    judged = json.loads(run("evaluate", tmp_path / "run", "--json").out)
    assert judged["loss"] == min(losses)
    folder = RunFolder.open(tmp_path / "run")
    best = folder.load().best
    assert best == (len(losses) - 3) * BATCHES
    assert folder.checkpoints.numbers() == [best, (len(losses) - 1) * BATCHES, len(losses) * BATCHES]
    refused = run("train", "--resume", tmp_path / "run")
    assert refused.code == 2
    assert "ended after 3 evaluations without a better one; give a larger --patience" in refused.err
    assert run("train", "--resume", tmp_path / "run", "--patience", 4, "--quiet").code == 0
    assert len(of_kind(tmp_path / "run", "epoch")) > len(epochs)


def test_evaluations_come_every_few_batches_and_at_the_end_of_an_epoch(train: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "run", "--evaluate-every", 5)
    midway = of_kind(tmp_path / "run", "evaluation")
    every = list(range(5, BATCHES, 5))
    assert [(record["epoch"], record["batch"]) for record in midway] == [(n, batch) for n in (1, 2) for batch in every]
    assert len(of_kind(tmp_path / "run", "epoch")) == 2
    assert midway[0]["valid_loss"] > midway[-1]["valid_loss"]


@pytest.mark.parametrize("stop", [1, 7, 12, BATCHES + 3])
@pytest.mark.parametrize(
    "words",
    [
        ("--accumulate", 5, "--optimizer", "adam:lr=1e-2", "--clip", 0.1),
        ("--accumulate", 3, "--evaluate-every", 4, "--store", "checkpoint:slots=2"),
        ("--evaluate-every", 3, "--patience", 2, "--keep", 1, "--optimizer", "adam:lr=0.5"),
    ],
    ids=["accumulate", "accumulate-evaluate", "patience"],
)
def test_a_stopped_run_goes_on_bit_for_bit(
    train: Run, run: Run, tmp_path: Path, stop: int, words: tuple[object, ...]
) -> None:
    done(train("--out", tmp_path / "whole", *words))
    stopped = done(train("--out", tmp_path / "run", "--stop-after", stop, *words))
    if len(of_kind(tmp_path / "whole", "batch")) > stop:  # or it ended before, as it got no better
        assert len(of_kind(tmp_path / "run", "batch")) == stop, stopped
        done(run("train", "--resume", tmp_path / "run", "--quiet"))
    assert same(tmp_path / "run", tmp_path / "whole")


def test_accumulated_batches_make_fewer_updates_and_an_epoch_leaves_none_waiting(train: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "run", "--accumulate", 4)
    updates = [record["update"] for record in of_kind(tmp_path / "run", "batch")]
    assert updates[:9] == [0, 0, 0, 1, 1, 1, 1, 2, 2]
    per_epoch = -(-BATCHES // 4)
    assert [record["update"] for record in of_kind(tmp_path / "run", "epoch")] == [per_epoch, 2 * per_epoch]


def test_accumulation_is_refused_for_stores_that_update_after_every_window(train: Run, tmp_path: Path) -> None:
    outcome = train("--out", tmp_path / "run", "--accumulate", 2, "--store", "circular-queue:k1=5,k2=10")
    assert outcome.code == 2
    assert "accumulate=2 makes fewer updates than one a sequence, store 'circular-queue' makes more" in outcome.err
    assert not (tmp_path / "run").exists()


def test_a_run_that_explodes_names_epoch_batch_step_and_layer(train: Run, tmp_path: Path) -> None:
    outcome = train("--out", tmp_path / "run", *GROWING)
    assert outcome.code == 1
    assert outcome.err.count("\n") == 1
    assert "epoch 1, batch " in outcome.err
    assert re.search(r"not finite first: step \d+, layer1 \(h\)$", outcome.err)


SPIKES = """
import attrs
import numpy as np
from rnnframe.plugin import Batch, Dataset, Examples, Task
from typing import ClassVar

class Held(Examples):
    def batches(self):
        yield batch(99)
    def table(self, predicted):
        return {}

class Data(Dataset):
    batches = 8
    def batch(self, epoch, number):
        return batch(number, 3e38 if number in (2, 7) else 1.0)
    def shape(self, number):
        return 12, 4

@attrs.frozen(kw_only=True)
class Spikes(Task):
    name: ClassVar[str] = "spikes"
    unit: ClassVar[str] = "error"
    takes: ClassVar[tuple[str, ...]] = ()
    def open(self, setting):
        return Data(inputs=2, head="mse", learnt=Task.learns(), digest="spikes", valid=Held(name="held out"))
    def examples(self, data, learnt, batch):
        return Held(name=data)

def batch(seed, scale=1.0):
    rng = np.random.default_rng(seed)
    return Batch(rng.normal(size=(12, 4, 2)), scale * np.sign(rng.normal(size=(12, 4, 1))), carry=seed % 8 > 0)
"""


@pytest.mark.parametrize("accumulate", [1, 3])
def test_batches_that_are_not_finite_can_be_skipped_and_are_counted(run: Run, tmp_path: Path, accumulate: int) -> None:
    (tmp_path / "spikes.py").write_text(SPIKES)
    words = ("--plugin", tmp_path / "spikes.py", "train", "--quiet", "--out", tmp_path / "run")
    options = ("--task", "spikes", "--cell", "gru:hidden=3", "--epochs", 2, "--accumulate", accumulate)
    outcome = run(*words, *options, "--on-nonfinite", "skip")
    assert outcome.code == 0, outcome.err
    skipped = of_kind(tmp_path / "run", "skipped")
    assert [(record["epoch"], record["batch"]) for record in skipped] == [(1, 3), (1, 8), (2, 3), (2, 8)]
    assert "epoch 1, batch 3: the gradient's norm is " in skipped[0]["reason"]
    assert len(of_kind(tmp_path / "run", "batch")) == 12
    last = of_kind(tmp_path / "run", "epoch")[-1]
    assert (last["skipped"], last["update"]) == (4, 12 // accumulate)
    stopped = run(*words[:-1], tmp_path / "other", *options)
    assert stopped.code == 1
    assert "not finite first: the reverse sweep" in stopped.err
    for stop in (2, 3, 4, 8):
        again = tmp_path / f"again{stop}"
        run(*words[:-1], again, *options, "--on-nonfinite", "skip", "--stop-after", stop)
        assert run(*words[:2], "train", "--quiet", "--resume", again).code == 0
        assert same(again, tmp_path / "run")


def test_a_run_that_skips_a_whole_epoch_is_stopped(train: Run, tmp_path: Path) -> None:
    outcome = train(
        "--out",
        tmp_path / "run",
        *GROWING,
        "--on-nonfinite",
        "skip",
        "--epochs",
        9,
        "--cell",
        "elman:hidden=40,activation=relu",
    )
    assert outcome.code == 1
    assert "every batch of an epoch was skipped" in outcome.err
    assert len(of_kind(tmp_path / "run", "skipped")) > BATCHES - 5


def test_as_many_checkpoints_stay_as_are_asked_for(train: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "run", "--keep", 4, "--save-every", 3)
    assert len(RunFolder.open(tmp_path / "run").checkpoints.numbers()) == 4


def test_weights_are_judged_beside_a_damaged_checkpoint(train: Run, run: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "run")
    whole = run("evaluate", tmp_path / "run", "--json").out
    checkpoints = RunFolder.open(tmp_path / "run").checkpoints
    checkpoints.path(checkpoints.newest()).write_bytes(b"damaged")
    assert run("evaluate", tmp_path / "run", "--json").out == whole


def test_a_validation_that_is_not_finite_names_epoch_and_batch(train: Run) -> None:
    stopped = train(*GROWING, "--evaluate-every", 1)
    assert stopped.code == 1
    assert re.search(r"evaluation after epoch 1, batch \d+: the loss is (nan|inf)", stopped.err), stopped.err
