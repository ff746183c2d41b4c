"""Sources that are read once: iterators of blocks, whose length nobody knows."""

import itertools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.checks import Checker, as_array, check_resets
from rnnframe.data.columns import Columns, count_of, split_batch
from rnnframe.data.format import DataFormat
from rnnframe.data.pieces import Block, Piece, Span, cut
from rnnframe.data.staging import Staging
from rnnframe.errors import DataError, ScheduleError


def is_stream(x: Any) -> bool:
    """Whether x is read once, from its beginning, and cannot be sliced."""
    return isinstance(x, Iterator) or (isinstance(x, Iterable) and not hasattr(x, "__getitem__"))


_END = object()


def _paired(x: Iterable[Any], y: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of blocks; raises `DataError` where one iterator ends before the other."""
    for pair in itertools.zip_longest(x, y, fillvalue=_END):
        if any(part is _END for part in pair):
            short, long = "xy" if pair[0] is _END else "yx"
            raise DataError(f"the stream {short} ends before the stream {long}; give as many blocks of both")
        yield pair


@attrs.frozen(eq=False)
class _Part:
    """Steps of a stream: x, y and the resets, None where no sample begins anew."""

    x: Array
    y: Array
    resets: Array | None

    @property
    def nbytes(self) -> int:
        """Bytes of all three."""
        return int(self.x.nbytes + self.y.nbytes + (0 if self.resets is None else self.resets.nbytes))

    def steps(self, start: int, stop: int | None) -> "_Part":
        """Return some of the steps."""
        resets = None if self.resets is None else self.resets[start:stop]
        return _Part(self.x[start:stop], self.y[start:stop], resets)

    def copy(self) -> "_Part":
        """Return a copy: an iterator may use its buffers again."""
        resets = None if self.resets is None else np.array(self.resets)
        return _Part(np.array(self.x), np.array(self.y), resets)


def _joined(parts: list[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    resets = None
    if any(part.resets is not None for part in parts):
        resets = [np.zeros(part.x.shape[:2], bool) if part.resets is None else part.resets for part in parts]
    return _Part(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.y for part in parts]),
        None if resets is None else np.concatenate(resets),
    )


@attrs.define
class _Held:
    """What was read of a stream for one chunk, and how many readers have not released it."""

    part: _Part
    readers: int


class Stream:
    """A source over iterators of blocks of any length: (x, y) or (x, y, resets), or x and y in two iterators.

    resets: booleans [T, B], true where the state of a sample is zero before that step; None where it never is. Blocks
    are cut and joined to the lengths that the loop asks for; nothing is read before its step is due. What was read is
    held until every reader has released it, since it cannot be had again: as it came, or in the network's dtype where
    that is smaller.
    """

    steps: int | None = None

    def __init__(self, x: Any, y: Any, data_format: DataFormat) -> None:
        if data_format.head.at == "last":
            raise DataError("a stream has no known last step; use a head with at=every, or arrays")
        if y is not None and not is_stream(y):
            raise DataError(
                f"x is an iterator and y a {type(y).__name__}; give both as iterators, or pairs (x, y) as x"
            )
        self._checker = Checker(data_format)
        self._apart = data_format.strided
        self._pairs: Iterator[Any] = iter(x) if y is None else _paired(x, y)
        self._lock = threading.Lock()
        self._held: dict[int, _Held] = {}  # by the first step
        self.held_bytes = 0
        self.data_bytes = 0
        self._next = 0  # the first step that was not read
        self._rest: _Part | None = self._pull()
        if self._rest is None:
            raise DataError("the stream is empty; expected at least one block (x, y)")
        self.batch = int(self._rest.x.shape[1])
        self._readers = 1

    def _pull(self) -> _Part | None:
        pair = next(self._pairs, _END)
        if pair is _END:
            self._pairs = iter(())  # the end is the same for every reader, even where an iterator goes on after it
            return None
        if not isinstance(pair, tuple | list) or len(pair) not in (2, 3):
            found = type(pair).__name__ + (f" of {len(pair)}" if isinstance(pair, tuple | list) else "")
            raise DataError(f"a stream yields pairs (x, y) of blocks, or (x, y, resets), not {found}")
        x, y = as_array(pair[0], "x"), as_array(pair[1], "y")
        self._checker.check_inputs(x)
        resets = None if len(pair) == 2 or pair[2] is None else check_resets(pair[2], x)
        return _Part(x, self._checker.check_pair(x, y), resets)

    def deal(self, shards: int) -> list[Columns]:
        """Return ranges of columns; each block is held until a reader of each of them has released it."""
        parts = split_batch(self.batch, shards)
        self._readers = len(parts)
        return [*parts]

    def ends(self, columns: Columns) -> list[int]:
        """Return none: a stream ends for all samples at once."""
        return []

    def block(self, start: int, stop: int, columns: Columns, staging: Staging) -> Block | None:
        """Return steps that come next or are held; every reader asks for the same ranges, the new ones in order."""
        with self._lock:
            held = self._held.get(start) or self._read(start, stop - start)
        if held is None:
            return None
        part, resets = held.part, None if held.part.resets is None else held.part.resets[:, columns]
        steps = len(part.x)
        spans = list(cut(steps, count_of(columns), None, resets))
        return Block(steps, spans, self._pieces(part, spans, columns, staging))

    def again(self, start: int, block: Block, columns: Columns, staging: Staging) -> Block:
        """Return steps that are held; every reader asks for ranges that it had before."""
        return Block(block.steps, block.spans, self._pieces(self._part(start), block.spans, columns, staging))

    def with_targets(self, start: int, block: Block, columns: Columns, staging: Staging) -> Block:
        """Return the block with the targets of its steps."""
        y = self._part(start).y
        dtype = np.dtype(y.dtype)
        parts = [staging.of(y[span.start : span.stop], columns, dtype) for span in block.spans]
        return block.with_targets(map(self._checker.targets, parts))

    def _part(self, start: int) -> _Part:
        with self._lock:
            return self._held[start].part

    def _pieces(self, part: _Part, spans: Iterable[Span], columns: Columns, staging: Staging) -> list[Piece]:
        dtype = self._checker.input_dtype(part.x)
        return [
            Piece(
                staging.of(part.x[span.start : span.stop], columns, dtype, strided=self._apart),
                None,
                reset_samples=span.reset_samples,
            )
            for span in spans
        ]

    def release(self, start: int) -> None:
        """Let go of the block that began at `start` once every reader has."""
        with self._lock:
            held = self._held[start]
            held.readers -= 1
            if not held.readers:
                self.held_bytes -= self._held.pop(start).part.nbytes

    def _read(self, start: int, steps: int) -> _Held | None:
        if start < self._next:
            raise ScheduleError(f"the schedule runs step {start} of a stream again after its tape was released")
        parts: list[_Part] = []
        while steps:
            self._rest = self._rest or self._pull()
            if self._rest is None:
                break
            rest = self._rest
            if rest.x.shape[1] != self.batch:
                raise DataError(f"a block of the stream has batch {rest.x.shape[1]}, the first one had {self.batch}")
            parts.append(rest.steps(0, steps).copy())
            self._rest = rest.steps(steps, None) if len(rest.x) > steps else None
            steps -= len(parts[-1].x)
        if not parts:
            return None
        part = _joined(parts)
        x = np.ascontiguousarray(part.x, self._checker.input_dtype(part.x))
        y = self._checker.targets(part.y)
        self._checker.check_values(x, start)
        held = _Held(_Part(_smaller(x, part.x), _smaller(y, part.y), part.resets), self._readers)
        self._next = start + len(x)
        self._held[start] = held
        self.held_bytes += held.part.nbytes
        self.data_bytes = max(self.data_bytes, self.held_bytes)
        return held


def _smaller(ready: Array, given: Array) -> Array:
    return given if given.nbytes < ready.nbytes else ready
