"""The conformance suite of tasks: what a network is trained for, with its data."""

import json
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.dataset import Dataset, Examples
from rnnframe.contracts.kernels import NUMPY
from rnnframe.contracts.task import Setting, Task
from rnnframe.data.batch import Batch
from rnnframe.engine.engine import Engine
from rnnframe.engine.inference import Inference
from rnnframe.errors import DataError
from rnnframe.network.network import Network
from rnnframe.runs.scoring import predictions, score
from rnnframe.testing.suite import CheckReport, Suite, fail, run, skip
from rnnframe.testing.tables import expect_same_bits
from rnnframe.training.trainer import Trainer

MOST = 4  # batches of an epoch that are looked at, the last one among them


class TaskTests(Suite):
    """All that a task must hold to.

        class TestMyTask(rnnframe.testing.TaskTests):
            task = MyTask()
            setting = rnnframe.Setting(data="small.csv", batch=4)

    task: the task or its spec. setting: what it is opened with; a small file makes for quick checks.
    """

    kind: ClassVar[str] = "task"
    task: ClassVar[Task | str]
    setting: ClassVar[Setting] = Setting(batch=4)

    def test_a_batch_is_the_same_whenever_it_is_asked_for(self) -> None:
        """It follows from the data, the setting, the epoch and its number: another order changes nothing."""
        one, other = self._opened(), self._opened()
        numbers = _some(one)
        wanted = {(epoch, n): one.batch(epoch, n) for epoch in range(2) for n in numbers}
        for (epoch, n), batch in reversed(wanted.items()):
            _expect_same(f"batch {n} of epoch {epoch}", other.batch(epoch, n), batch)

    def test_the_digest_is_the_same_for_the_same_data(self) -> None:
        """A training is resumed where the digest is that of its checkpoint."""
        digests = [self._opened().digest for _ in range(2)]
        if digests[0] != digests[1] or not isinstance(digests[0], str):
            fail(f"digest is {digests[0]!r} and then {digests[1]!r}; expected one text for the same data")

    def test_a_batch_has_the_shape_that_was_announced(self) -> None:
        """`shape` says the samples of a batch, and its steps at most."""
        data = self._opened()
        for n in _some(data):
            steps, samples = data.shape(n)
            found = data.batch(0, n).x.shape[:2]
            if found[0] > steps or found[1] != samples:
                fail(f"batch {n} has {found[0]} steps and {found[1]} samples; shape({n}) said {steps} and {samples}")

    def test_some_samples_of_a_batch_are_those_of_the_whole(self) -> None:
        """`columns` gives the samples that are chosen, in that order, with the values that `batch` has for them."""
        data = self._opened()
        targets = _network(data).data_format.targets
        last = targets is not None and targets.at == "last"
        for n in _some(data):
            whole, choice = data.batch(0, n), _Choice(np.arange(data.shape(n)[1])[::-2])
            found = data.columns(0, n, choice)
            if found is None:
                skip("every process makes whole batches, as without `columns`")
            if choice.samples != whole.samples:
                fail(f"batch {n}: choose was told of {choice.samples} samples; expected all {whole.samples}")
            if not _same(choice.lengths, whole.lengths):
                fail(
                    f"batch {n}: choose was told the lengths {choice.lengths}; expected {whole.lengths}, as in `batch`"
                )
            if found.carry != whole.carry:
                fail(f"batch {n}: carry is {found.carry} in `columns`, and {whole.carry} in `batch`")
            _expect_samples(f"batch {n}", found, whole, choice.chosen, last=last)

    def test_a_network_learns_from_every_batch(self) -> None:
        """`inputs` and `head` make a network that takes the batches, and the loss is finite."""
        data = self._opened()
        trainer, state = Trainer(Engine(_network(data), shards=1, kernels=NUMPY), "sgd:lr=1e-3"), None
        for n in _some(data):
            batch = data.batch(0, n)
            if batch.y is None:
                fail(f"batch {n} has no targets; there is nothing to learn from")
            carried = state if batch.carry else None
            state = trainer.step(batch.x, batch.y, carried, batch.lengths, batch.resets, batch.weights).state

    def test_what_is_held_out_is_always_the_same(self) -> None:
        """`valid` gives the same batches each time, so that epochs can be compared."""
        data = self._opened()
        valid = _held_out(data)
        pairs = zip(valid.batches(), valid.batches(), strict=True)
        count = 0
        for number, (first, second) in enumerate(pairs):
            _expect_same(f"held-out batch {number}", second, first)
            count += 1
        if not count:
            fail("nothing is held out; every validation needs at least one batch")

    def test_the_held_out_part_is_judged(self) -> None:
        """It has targets, and each measure is a finite number under a name."""
        data = self._opened()
        judged = score(Inference(_network(data), kernels=NUMPY), _held_out(data))
        for name, value in judged.measures.items():
            if not isinstance(name, str) or not isinstance(value, float) or not np.isfinite(value):
                fail(f"measure {name!r} is {value!r}; expected a finite float under a text")

    def test_predictions_are_pieces_of_one_table(self) -> None:
        """All pieces of `table` have the same columns, and in a piece all are as long."""
        data = self._opened()
        names: list[str] | None = None
        valid = _held_out(data)
        try:
            for piece in valid.table(predictions(Inference(_network(data), kernels=NUMPY), valid)):
                names = names or list(piece)
                lengths = {name: len(column) for name, column in piece.items()}
                if list(piece) != names or len(set(lengths.values())) != 1:
                    fail(f"a piece has the columns {lengths}; expected {names}, all as long as each other")
        except DataError as error:
            skip(str(error))

    def test_what_is_learnt_comes_back_from_a_file(self) -> None:
        """`learns` makes an equal object of what was written down as JSON."""
        task, learnt = self.subject, self._opened().learnt
        if not isinstance(learnt, task.learns):
            fail(f"learnt is {learnt!r}; expected a {task.learns.__name__}, since that is what `learns` says")
        again = task.learns(**json.loads(json.dumps(attrs.asdict(learnt))))
        if again != learnt:
            fail(f"{learnt!r} becomes {again!r}; let its fields be texts, numbers and lists of them, with converters")

    def test_all_of_the_data_is_trained_on_where_nothing_is_held_out(self) -> None:
        """With "all" in `takes` and held_out=0, `valid` is None."""
        task = self.subject
        if "all" not in task.takes:
            skip(f"task {task.name!r} always holds out a part of its data")
        found = task.open(attrs.evolve(self.setting, held_out=0.0)).valid
        if found is not None:
            fail(f"valid is {found!r:.60}; expected None, since held_out is 0 and `takes` has 'all'")

    def test_it_goes_on_with_what_a_model_has_learnt(self) -> None:
        """With "learnt" in `takes`, data that is opened with what it has taught makes the same network and batches."""
        task, data = self.subject, self._opened()
        if "learnt" not in task.takes:
            skip(f"task {task.name!r} learns from all data that it opens, and keeps nothing of a run")
        again = task.open(attrs.evolve(self.setting, learnt=data.learnt))
        for name in ("inputs", "looked_up", "head", "learnt", "digest"):
            found, wanted = getattr(again, name), getattr(data, name)
            if found != wanted:
                fail(f"{name} is {found!r:.80} where setting.learnt is given; expected {wanted!r:.80}, as without")
        for n in _some(data):
            _expect_same(f"batch {n} with setting.learnt", again.batch(0, n), data.batch(0, n))

    def _opened(self) -> Dataset:
        opened: Dataset = self.subject.open(self.setting)
        return opened


def _some(data: Dataset) -> list[int]:
    return sorted({*range(min(MOST - 1, data.batches)), data.batches - 1})


def _held_out(data: Dataset) -> Examples:
    if data.valid is None:
        fail("valid is None; expected the part that `setting.held_out` keeps")
    return data.valid


def _network(data: Dataset) -> Network:
    return Network(["gru:hidden=3"], data.head, data.inputs)


def _whole(array: Any) -> Array:
    """Return an array, or what can be sliced like one, as an array."""
    whole: Array = np.asarray(array[0 : array.shape[0]])
    return whole


def _expect_same(what: str, found: Batch, wanted: Batch) -> None:
    if found.carry != wanted.carry:
        fail(f"{what}: carry is {found.carry}, and was {wanted.carry} before")
    for name in ("x", "y", "lengths", "resets", "weights"):
        one, other = getattr(found, name), getattr(wanted, name)
        if (one is None) != (other is None):
            fail(f"{what}: {name} is there once and missing once")
        if one is not None:
            expect_same_bits(f"{name} of {what}", _whole(one), _whole(other), ("again", "first"))


@attrs.define(eq=False)
class _Choice:
    """Chooses some samples, and keeps what it was told."""

    chosen: Array
    samples: int | None = None
    lengths: Array | None = None

    def __call__(self, samples: int, lengths: Array | None) -> Array:
        self.samples, self.lengths = samples, lengths
        return self.chosen


def _same(one: Array | None, other: Array | None) -> bool:
    return one is other if one is None or other is None else np.array_equal(one, other)


def _expect_samples(what: str, found: Batch, wanted: Batch, chosen: Array, *, last: bool) -> None:
    """Fail unless a batch has the values of some samples of another one, up to the end of each."""
    lengths = np.full(wanted.samples, len(_whole(wanted.x))) if wanted.lengths is None else wanted.lengths
    for name in ("x", "y", "resets", "weights"):
        one, other = getattr(found, name), getattr(wanted, name)
        if (one is None) != (other is None):
            fail(f"{what}: {name} is missing in `batch` or in `columns`")
        if one is None:
            continue
        one, other = _whole(one), _whole(other)
        by_sample = one.ndim == 1 or (last and name == "y")
        for place, sample in enumerate(chosen):
            here = one[place] if by_sample else one[: lengths[sample], place]
            there = other[sample] if by_sample else other[: lengths[sample], sample]
            expect_same_bits(f"{name} of sample {sample} of {what}", here, there, ("in columns", "in batch"))


def check_task(task: Task | str, setting: Setting | None = None) -> CheckReport:
    """Put a task through `TaskTests` without pytest; `setting` as there."""
    body: dict[str, Any] = {"task": task} | ({} if setting is None else {"setting": setting})
    return run(type("Checked", (TaskTests,), body)())
