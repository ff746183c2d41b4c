"""What the synthetic tasks share: batches without end, made from (seed, epoch, number), and no file."""

import abc
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar

import attrs
from attrs.validators import ge

from rnnframe.plugin import Array, Batch, DataError, Dataset, Examples, Predicted, Setting, Task, render
from rnnframe_tasks.made import TRAINING, VALIDATION


@attrs.frozen(kw_only=True, eq=False)
class MadeExamples(Examples):
    """Some batches that training never sees."""

    task: "Synthetic"
    seed: int
    sizes: tuple[int, ...]

    def batches(self) -> Iterator[Batch]:
        """Yield the batches, cut as the task says."""
        for number, size in enumerate(self.sizes):
            yield from self.task.pieces(self.task.make((self.seed, VALIDATION, number), size))

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """What the task says."""
        return self.task.measure(predicted)

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """Raise `DataError`: there is nothing to predict for."""
        raise DataError(f"task {self.task.name!r} makes its own data; there is nothing to predict for")


@attrs.frozen(kw_only=True, eq=False)
class MadeData(Dataset):
    """Batches that are made when they are asked for."""

    task: "Synthetic"
    setting: Setting

    @property
    def batches(self) -> int:
        """As many as make `samples`, rounded up."""
        return -(-self.task.samples // self.setting.batch)

    def shape(self, number: int) -> tuple[int, int]:
        """All are of one shape."""
        return self.task.steps, self.setting.batch

    def batch(self, epoch: int, number: int) -> Batch:
        """Return samples that no other batch has."""
        return self.task.make((self.setting.seed, TRAINING, epoch, number), self.setting.batch)


@attrs.frozen(kw_only=True)
class Synthetic(Task):
    """A task that makes its data."""

    takes: ClassVar[tuple[str, ...]] = ("learnt",)
    looked_up: ClassVar[bool] = False
    samples: int = attrs.field(default=3200, validator=ge(1), metadata={"help": "samples in an epoch, always new ones"})
    judged: int = attrs.field(default=320, validator=ge(1), metadata={"help": "samples to judge by"})

    @property
    @abc.abstractmethod
    def steps(self) -> int:
        """Steps of a sequence."""

    @property
    @abc.abstractmethod
    def head(self) -> str:
        """Readout and loss."""

    @property
    @abc.abstractmethod
    def width(self) -> int:
        """Inputs a step."""

    @abc.abstractmethod
    def make(self, key: tuple[int, ...], batch: int) -> Batch:
        """Return the samples of a key."""

    def pieces(self, batch: Batch) -> Iterator[Batch]:
        """Yield a batch in pieces to judge one after the other; by default in one."""
        yield batch

    @abc.abstractmethod
    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """Return what counts besides the loss."""

    def open(self, setting: Setting) -> MadeData:
        """Return batches that are made when they are asked for."""
        full, rest = divmod(self.judged, setting.batch)
        sizes = (*[setting.batch] * full, *([rest] if rest else []))
        name = f"{self.judged} samples of {render(self)}"
        return MadeData(
            inputs=self.width,
            looked_up=self.looked_up,
            head=self.head,
            learnt=self.learns(),
            digest=f"{render(self)} seed {setting.seed}",
            valid=MadeExamples(name=name, task=self, seed=setting.seed, sizes=sizes),
            task=self,
            setting=setting,
        )

    def examples(self, data: str, learnt: Any, batch: int) -> Examples:
        """Raise `DataError`: there are no files of this task."""
        raise DataError(f"task {self.name!r} makes its own data and takes no file such as {data!r}; leave out --data")
