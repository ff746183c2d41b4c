"""Two directions that meet at every step, on the command line: labels of steps, trained, resumed and judged."""

import json
from pathlib import Path

import pytest

from .conftest import Run

TAGGER = """
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Batch, Dataset, Examples, NothingLearnt, Predicted, Setting, Task


def sentences(seed: int, count: int) -> Batch:
    '''Return numbers of different lengths; the label of a step is whether the next number is above the last one.'''
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 5, (9, count))
    after, before = np.roll(x, -1, axis=0), np.roll(x, 1, axis=0)
    after[-1] = before[0] = 0
    lengths = rng.integers(3, 10, count)
    after[lengths - 1, np.arange(count)] = 0
    return Batch(x, (after > before).astype(np.int64), lengths)


@attrs.frozen(kw_only=True, eq=False)
class Tagged(Examples):
    seed: int

    def batches(self) -> Iterator[Batch]:
        yield sentences(self.seed, 40)

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        return {}

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        for each in predicted:
            yield {"label": each.outputs.argmax(axis=2).T.ravel()}


@attrs.frozen(kw_only=True, eq=False)
class Sentences(Dataset):
    size: int

    @property
    def batches(self) -> int:
        return 12

    def batch(self, epoch: int, number: int) -> Batch:
        return sentences(1000 * epoch + number, self.size)

    def shape(self, number: int) -> tuple[int, int]:
        return 9, self.size


@attrs.frozen(kw_only=True)
class Tag(Task):
    name: ClassVar[str] = "tag"
    unit: ClassVar[str] = "nats/step"
    takes: ClassVar[tuple[str, ...]] = ()

    def open(self, setting: Setting) -> Dataset:
        return Sentences(
            inputs=5, looked_up=True, head="softmax:classes=2", learnt=NothingLearnt(), digest="tag",
            valid=Tagged(name="tag", seed=7), size=setting.batch,
        )

    def examples(self, data: str, learnt: Any, batch: int) -> Examples:
        return Tagged(name="tag", seed=8)
"""
LAYERS = "embedding:size=6 2*bidirectional(gru:hidden=8,recurrent_dropout=0.05) dropout:rate=0.05"


@pytest.fixture
def own(tmp_path: Path) -> tuple[str, Path]:
    (tmp_path / "tagger.py").write_text(TAGGER)
    return "--plugin", tmp_path / "tagger.py"


def test_labels_of_steps_are_trained_resumed_judged_and_predicted(
    run: Run, own: tuple[str, Path], tmp_path: Path
) -> None:
    words = ("--task", "tag", "--layers", LAYERS, "--batch", 20, "--optimizer", "adam:lr=2e-2", "--store")
    plain = ("--chunk", 4, "--quiet", "--out")
    for store, name in (("checkpoint:slots=2", "whole"), ("full-history", "other")):
        assert run(*own, "train", *words, store, "--epochs", 3, *plain, tmp_path / name).code == 0
    assert (
        run(
            *own, "train", *words, "checkpoint:slots=2", "--epochs", 3, "--stop-after", 14, *plain, tmp_path / "cut"
        ).code
        == 0
    )
    assert run(*own, "train", "--resume", tmp_path / "cut", "--quiet").code == 0
    whole, other, cut = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "other", "cut"))
    assert whole == cut == other
    judged = json.loads(run(*own, "evaluate", tmp_path / "whole", "--json").out)
    one_way = (
        "--task",
        "tag",
        "--layers",
        "embedding:size=6 gru:hidden=16",
        "--batch",
        20,
        "--optimizer",
        "adam:lr=2e-2",
    )
    assert run(*own, "train", *one_way, "--epochs", 3, "--quiet", "--out", tmp_path / "one").code == 0
    blind = json.loads(run(*own, "evaluate", tmp_path / "one", "--json").out)
    assert judged["loss"] < 0.7 * blind["loss"]  # which does not know what comes
    out = tmp_path / "labels.csv"
    assert run(*own, "predict", tmp_path / "whole", "--data", "anything", "--out", out).code == 0
    assert len(out.read_text().split()) == 1 + 9 * 40


def test_a_plan_names_what_is_held_between_stages(run: Run) -> None:
    words = (
        "--cell",
        "bidirectional(gru:hidden=8)",
        "--layers",
        2,
        "--head",
        "softmax:classes=3",
        "--steps",
        400,
        "--batch",
        4,
    )
    told = json.loads(run("plan", *words, "--chunk", 20, "--shards", 2, "--json").out)
    assert (told["stages"], told["held_bytes"]) == (3, 3 * 400 * 4 * 16 * 4)
    rows = {row["store"]: row for row in told["plans"]}
    assert {row["gradient"] for row in told["plans"]} == {"exact"}
    assert all(row["predicted_bytes"] > told["held_bytes"] for row in told["plans"])
    assert rows["full-history"]["forward_steps"] == 800
    said = run("plan", *words, "--chunk", 20).out
    assert "3 stages, each by the same schedule; 300.0 KiB between them in every row" in said


def test_a_task_that_predicts_its_inputs_is_refused(run: Run, text: Path) -> None:
    told = run("train", "--data", text, "--cell", "bidirectional(gru:hidden=4)", "--quiet")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "task 'characters' predicts what comes next" in told.err


def test_what_needs_one_sweep_is_refused(run: Run, own: tuple[str, Path], tmp_path: Path) -> None:
    for words, why in (
        (("train", "--task", "tag", "--watch-gradients"), "run in 3 stages"),
        (("train", "--task", "tag", "--store", "circular-queue"), "truncates, and a layer of two directions"),
    ):
        told = run(*own, *words, "--cell", "bidirectional(gru:hidden=4)", "--layers", 2, "--quiet")
        assert (told.code, told.err.count("\n")) == (2, 1)
        assert why in told.err
    told = run("play", "--cell", "bidirectional(gru:hidden=2)", "--head", "mse:outputs=2", "--out", tmp_path / "p.html")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert "run in 2 stages" in told.err
