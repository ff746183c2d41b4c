"""How much of a training is done, for learning-rate schedules that end with it.

Nobody can count the updates of a training beforehand without reading all of its data: a window without a loss makes no
update, and where losses are depends on lengths and weights that each epoch draws again; a batch may be skipped. So a
schedule is not told the number of an update out of so many, but the share of the training that was done when the
gradients of that update began to be gathered. The share is 0 at the first update and 1 behind the last one, whatever
the store, the head and the shapes are, and it follows from the position alone, so that a resumed training sees the same
shares, bit for bit.

One unit of the share is a planned update: what a batch of that shape gives where every loss counts, divided by the
batches that are accumulated. Within a batch the units are divided among the updates that it really gives. Where all of
them were planned rightly, update u of n is made at (u - 1) / n, exactly as if they had been counted.
"""

from collections.abc import Callable, Sequence

import attrs


@attrs.define(kw_only=True)
class Course:
    """The position of a training in planned updates.

    Parameters
    ----------
    starts
        Planned updates of an epoch before each of its batches, and all of them at the end.
    epochs
        Passes over the data.
    accumulate
        Batches that make one update.

    Attributes
    ----------
    gathered_from
        Where the gradients of the coming update began to be gathered, in planned updates of the whole training.
    falls_from
        The same for the first update after the warm-up; None before that.
    """

    starts: Sequence[int]
    epochs: int
    accumulate: int = 1
    gathered_from: float = 0.0
    falls_from: float | None = None
    _begun: float = attrs.field(default=0.0, init=False)
    _length: float = attrs.field(default=0.0, init=False)
    _made: int = attrs.field(default=0, init=False)
    _expected: int | None = attrs.field(default=None, init=False)

    @property
    def of_epoch(self) -> int:
        """Planned updates of an epoch; the last one of those that are accumulated may be of fewer batches."""
        return -(-self.starts[-1] // self.accumulate)

    def begin(self, epoch: int, batch: int, *, waiting: bool) -> None:
        """Begin a batch; both count from 0. waiting: whether gradients of earlier batches wait for the update."""
        self._begun = epoch * self.of_epoch + self.starts[batch] / self.accumulate
        self._length = float(self.starts[batch + 1] - self.starts[batch])
        self._made, self._expected = 0, None
        if not waiting:
            self.gathered_from = self._begun

    def share(self, update: int, warmup: int) -> float:
        """Return the share of the training after the warm-up that is done at an update, which counts from 1."""
        if update <= warmup + 1 or self.falls_from is None:
            self.falls_from = self.gathered_from
        whole = self.epochs * self.of_epoch
        return min(1.0, (self.gathered_from - self.falls_from) / max(1e-9, whole - self.falls_from))

    def advance(self, expected: Callable[[], int | None]) -> None:
        """Note that an update was made within the batch, of as many as `expected` says: None for the planned ones."""
        if self._expected is None:
            self._expected = max(1, expected() or int(self._length))
        self._made = min(self._made + 1, self._expected)
        self.gathered_from = self._begun + self._length * self._made / self._expected
