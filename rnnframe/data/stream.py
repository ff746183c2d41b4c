"""`Stream`: a source that is read once, an iterator of blocks of unknown length."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.checks import Checker, check_resets
from rnnframe.data.columns import Columns, count_of, split_batch
from rnnframe.data.foreign import as_array, is_stream
from rnnframe.data.format import DataFormat
from rnnframe.data.pieces import Block, Piece, Span, Targets, cut
from rnnframe.data.staging import Staging
from rnnframe.errors import DataError, ScheduleError

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
    """Steps of a stream: x, y, resets (None: there are none) and weights (None: each loss counts once)."""

    x: Array
    y: Array
    resets: Array | None
    weights: Array | None

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return int(sum(array.nbytes for array in (self.x, self.y, self.resets, self.weights) if array is not None))

    def each(self, change: Callable[[Array], Array]) -> "_Part":
        """Return the part with every array changed in one way."""
        resets, weights = (None if array is None else change(array) for array in (self.resets, self.weights))
        return _Part(change(self.x), change(self.y), resets, weights)

    def steps(self, start: int, stop: int | None) -> "_Part":
        """Return some of the steps."""
        return self.each(lambda array: array[start:stop])

    def copy(self) -> "_Part":
        """Return a copy: an iterator may use its buffers again."""
        return self.each(np.array)


def _joined(parts: list[_Part]) -> _Part:
    if len(parts) == 1:
        return parts[0]
    return _Part(
        np.concatenate([part.x for part in parts]),
        np.concatenate([part.y for part in parts]),
        _joined_or_none([part.resets for part in parts], parts, np.zeros),
        _joined_or_none([part.weights for part in parts], parts, np.ones),
    )


def _joined_or_none(
    arrays: list[Array | None], parts: list[_Part], missing: Callable[[tuple[int, ...]], Array]
) -> Array | None:
    if all(array is None for array in arrays):
        return None
    shapes = [part.x.shape[:2] for part in parts]
    kind = next(array.dtype for array in arrays if array is not None)
    return np.concatenate(
        [missing(shape).astype(kind) if a is None else a for a, shape in zip(arrays, shapes, strict=True)]
    )


@attrs.define
class _Held:
    """What was read of a stream for one chunk, and how many readers have not released it."""

    part: _Part
    readers: int


class Stream:
    """A source over iterators of blocks of any length: (x, y), (x, y, resets) or (x, y, resets, weights), or x and y in
    two iterators.

    resets: booleans [T, B], true where the state of a sample is zero before that step; None where it never is. Blocks
    are cut and joined to the lengths that the loop asks for; nothing is read before its step is due. What was read is
    held until every reader has released it, since it cannot be had again: as it came, or in the network's dtype where
    that is smaller.
    """

    steps: int | None = None

    def __init__(self, x: Any, y: Any, data_format: DataFormat) -> None:
        if data_format.targets is not None and data_format.targets.at == "last":
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
        if not isinstance(pair, tuple | list) or len(pair) not in (2, 3, 4):
            found = type(pair).__name__ + (f" of {len(pair)}" if isinstance(pair, tuple | list) else "")
            known = "pairs (x, y) of blocks, (x, y, resets) or (x, y, resets, weights)"
            raise DataError(f"a stream yields {known}, not {found}")
        x, y, resets, weights = (*pair, None, None)[:4]
        x, y = as_array(x, "x"), as_array(y, "y")
        self._checker.check_inputs(x)
        return _Part(
            x,
            self._checker.check_pair(x, y),
            None if resets is None else check_resets(resets, x),
            None if weights is None else self._checker.check_weights(weights, x),
        )

    def deal(self, shards: int) -> list[Columns]:
        """Return ranges of columns; each block is held until a reader of each of them has released it."""
        parts = split_batch(self.batch, shards)
        self._readers = len(parts)
        return [*parts]

    def ends(self, columns: Columns) -> list[int]:
        """Return none: a stream ends for all samples at once."""
        return []

    def cuts(self, columns: Columns) -> None:
        """Return none: resets are known as they arrive."""

    def block(self, start: int, stop: int, columns: Columns, staging: Staging) -> Block | None:
        """Return steps that come next or are held; every reader asks for the same ranges, the new ones in order."""
        with self._lock:
            held = self._held.get(start) or self._read(start, stop - start)
        if held is None:
            return None
        return self._block(start, held.part, columns, staging)

    def again(self, start: int, block: Block, columns: Columns, staging: Staging) -> Block:
        """Return steps that are held; every reader asks for ranges that it had before."""
        return self._block(start, self._part(start), columns, staging)

    def _block(self, start: int, part: _Part, columns: Columns, staging: Staging) -> Block:
        steps, resets = len(part.x), None if part.resets is None else part.resets[:, columns]
        spans = list(cut(steps, count_of(columns), None, resets))
        return Block(steps, spans, self._pieces(start, part, spans, columns, staging))

    def with_targets(self, start: int, block: Block, columns: Columns, staging: Staging) -> Block:
        """Return the block with the targets of its steps."""
        part = self._part(start)
        return block.with_targets(self._targets(part.steps(s.start, s.stop), columns, staging) for s in block.spans)

    def _targets(self, part: _Part, columns: Columns, staging: Staging) -> Targets:
        weights = None if part.weights is None else part.weights[:, columns]
        return self._checker.targets(staging.of(part.y, columns, np.dtype(part.y.dtype)), weights)

    def _part(self, start: int) -> _Part:
        with self._lock:
            return self._held[start].part

    def _pieces(
        self, start: int, part: _Part, spans: Iterable[Span], columns: Columns, staging: Staging
    ) -> list[Piece]:
        dtype = self._checker.input_dtype(part.x)
        return [
            Piece(
                x=staging.of(part.x[span.start : span.stop], columns, dtype, strided=self._apart),
                reset_samples=span.reset_samples,
                start=start + span.start,
                samples=columns,
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
        y = self._checker.targets(part.y, part.weights).y
        self._checker.check_values(x, start)
        kept = attrs.evolve(part, x=_smaller(x, part.x), y=_smaller(y, part.y))
        held = _Held(kept, self._readers)
        self._next = start + len(x)
        self._held[start] = held
        self.held_bytes += held.part.nbytes
        self.data_bytes = max(self.data_bytes, self.held_bytes)
        return held


def _smaller(ready: Array, given: Array) -> Array:
    return given if given.nbytes < ready.nbytes else ready
