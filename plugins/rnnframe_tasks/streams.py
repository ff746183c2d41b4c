"""Numbers in a row, such as those of characters, read as streams side by side: what language models learn from."""

from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar, Protocol

import attrs
import numpy as np

from rnnframe.plugin import Array, Batch, Choose, DataError, Dataset, Examples, Predicted, Setting

TEXT_TAKES = ("data", "steps", "held_out", "all", "learnt")
"""What tasks of texts are told."""
PIECE = 1024
"""Steps that are judged or predicted at once."""
PAGE = 1 << 16
"""Numbers that are read at once, of all streams together."""


class Numbers(Protocol):
    """Numbers in a row: an array, or a text file that is read as its slices are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> Array: ...


@attrs.frozen(eq=False)
class Page:
    """Numbers [steps + 1, n] of n streams from step `start` on, of which the last ones are targets alone."""

    start: int
    numbers: Array
    streams: Array

    def cut(self, start: int, stop: int, streams: Array) -> tuple[Array, Array] | None:
        """Return x and y of the steps [start, stop) of some streams if they are all here."""
        first, last = start - self.start, stop - self.start
        if first < 0 or last >= len(self.numbers) or not np.array_equal(streams, self.streams):
            return None
        return self.numbers[first:last], self.numbers[first + 1 : last + 1]


@attrs.define(eq=False)
class Streams:
    """Numbers [start, stop) cut into `batch` equal pieces that are read side by side; the targets are one number on.

    Up to `batch` numbers at the end are left over. They are read a page at a time, as their steps are asked for.
    """

    numbers: Numbers
    batch: int
    start: int = 0
    stop: int | None = None
    _page: Page | None = attrs.field(default=None, init=False)

    def __len__(self) -> int:
        stop = len(self.numbers) if self.stop is None else self.stop
        return (stop - self.start - 1) // self.batch

    def cut(self, start: int, stop: int, streams: Array | None = None) -> tuple[Array, Array]:
        """Return x and y [steps, streams] of the steps [start, stop), or as far as they go.

        streams: which ones; all of them by default. The others are not read.
        """
        stop = min(stop, len(self))
        streams = np.arange(self.batch) if streams is None else streams
        found = self._page and self._page.cut(start, stop, streams)
        if not found:
            page = self._page = self._read(start, max(stop, min(start + PAGE // len(streams), len(self))), streams)
            found = page.cut(start, stop, streams)
            assert found
        return found

    def _read(self, start: int, stop: int, streams: Array) -> Page:
        length = len(self)
        first, last = self.start + start, self.start + stop + 1
        rows = [self.numbers[first + n * length : last + n * length] for n in streams.tolist()]
        return Page(start, np.stack(rows, axis=1).astype(np.int32, copy=False), streams)


@attrs.frozen(kw_only=True, eq=False)
class TextExamples(Examples):
    """Streams to be judged on, piece by piece.

    symbols: what each number stands for, as it is written down under the name `what`. sizes: how many bytes of UTF-8
    that is. unknown: the number that stands for any other text, where there is one.
    """

    wants_losses: ClassVar[bool] = True
    streams: Streams
    symbols: Array
    sizes: Array
    unknown: int | None = None
    what: str

    def batches(self) -> Iterator[Batch]:
        """Yield pieces of some steps; the state is carried from one to the next."""
        for start in range(0, len(self.streams), PIECE):
            x, y = self.streams.cut(start, start + PIECE)
            yield Batch(x, y, carry=start > 0)

    def text_bytes(self) -> int | None:
        """The bytes of all targets; None where some are unknown."""
        total = 0
        for batch in self.batches():
            if self.unknown is not None and (batch.y == self.unknown).any():
                return None
            total += int(self.sizes[batch.y].sum())
        return total

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """Each symbol, what it cost in nats, and the one that was the likeliest in its place."""
        for each in predicted:
            y, outputs = each.batch.y.T.ravel(), np.swapaxes(each.outputs, 0, 1)
            p = outputs.reshape(len(y), -1)
            assert each.losses is not None  # a text is its own target
            nats = each.losses.T.ravel().astype(p.dtype)
            yield {self.what: self.symbols[y], "nats": nats, "likeliest": self.symbols[p.argmax(axis=1)]}


@attrs.frozen(kw_only=True, eq=False)
class Text(Dataset):
    """A text, the end of which may be held out."""

    train: Streams
    steps: int

    @property
    def batches(self) -> int:
        """As many as cover the streams."""
        return -(-len(self.train) // self.steps)

    def shape(self, number: int) -> tuple[int, int]:
        """Return `steps` and the streams; the last batch is shorter."""
        return min(self.steps, len(self.train) - number * self.steps), self.train.batch

    def batch(self, epoch: int, number: int) -> Batch:
        """Return the next steps of every stream; the first batch of an epoch begins with a state of zeros."""
        return self._batch(number)

    def columns(self, epoch: int, number: int, choose: Choose) -> Batch:
        """Return the next steps of some streams; the others are not read."""
        return self._batch(number, choose(self.train.batch, None))

    def _batch(self, number: int, streams: Array | None = None) -> Batch:
        start = number * self.steps
        x, y = self.train.cut(start, start + self.steps, streams)
        return Batch(x, y, carry=number > 0)


def parted(length: int, setting: Setting, name: str, what: str) -> tuple[int, int]:
    """Return where the held-out part of so many numbers begins, and in how many streams it is read: 0 where none is.

    Raises `DataError` where they are too few for the batch in either part.
    """
    valid, needed = int(length * setting.held_out), 2 * setting.batch + 1
    if not setting.held_out and length >= needed:
        return length, 0
    if length - valid < needed or valid < 3:
        raise DataError(
            f"{name} has {length} {what}, {valid} of them held out; batch={setting.batch} needs at least "
            f"{needed} to train on{' and 3 held out' if setting.held_out else ''}: lower --batch or give a longer text"
        )
    return length - valid, min(setting.batch, max(1, valid // 64))
