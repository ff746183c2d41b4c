"""`Sequence`: a source over arrays, memory maps and all that can be sliced along time; blocks are views if possible."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.batch import Batch
from rnnframe.data.checks import Checker, check_lengths, check_resets
from rnnframe.data.columns import Columns, count_of, deal
from rnnframe.data.cuts import AT_ONCE, Cuts
from rnnframe.data.format import DataFormat
from rnnframe.data.own_columns import OwnColumns
from rnnframe.data.pieces import Block, Piece, Span, Targets, cut
from rnnframe.data.staging import Staging
from rnnframe.errors import DataError

LARGE = 1 << 14
"""Bytes of a block's inputs from which on the objects that describe it, some 500 bytes, may stay with its tape."""


class Sequence:
    """A source over arrays, or anything that has a shape and a dtype and can be sliced along time.

    Values behind the end of a sample are not read. Samples of different lengths are dealt in the order in which they
    end, so that those that still run are the last columns of a part, and so that the parts have about as many steps
    each.

    Parameters
    ----------
    batch : Batch
        Arrays: x [T, B, inputs] or [T, B], targets (or None), lengths [B], resets [T, B], weights [T, B] or [B].
    data_format : DataFormat
        What the network reads.

    Raises
    ------
    DataError
        For shapes and types that do not fit; values are checked block by block.
    """

    steps: int | None
    data_bytes: int = 0

    def __init__(self, batch: Batch, data_format: DataFormat) -> None:
        x, y, lengths, resets = batch.x, batch.y, batch.lengths, batch.resets
        self._checker = Checker(data_format)
        self._x = x
        self._checker.check_inputs(self._x)
        self._input_dtype = self._checker.input_dtype(self._x)
        self._apart = data_format.strided
        self._last_only = self._checker.last_only
        self._y = None if y is None else self._checker.check_pair(self._x, y)
        self._weights = None if batch.weights is None else self._checker.check_weights(batch.weights, self._x)
        ends = None if lengths is None else check_lengths(lengths, self._x)
        self._resets = None if resets is None else check_resets(resets, self._x)
        self.length = int(self._x.shape[0] if ends is None else ends.max())
        self._ends = None if ends is None or ends.min() == self.length else ends  # None: all end with the last step
        self.steps = self.length
        self.batch = int(self._x.shape[1])

    def deal(self, shards: int) -> list[Columns]:
        """Return slices, or the numbers of columns with those that end first in front."""
        return deal(self.batch, self._ends, shards)

    def ends(self, columns: Columns) -> list[int]:
        """Return the lengths of these samples, unless all have the same."""
        found: list[int] = [] if self._ends is None else self._ends[columns].tolist()
        return found

    def cuts(self, columns: Columns) -> Cuts | None:
        """Return where these samples end or are reset."""
        resets, ends = self._resets, None if self._ends is None else self._ends[columns]
        if resets is None and ends is None:
            return None
        many = max(1, AT_ONCE // count_of(columns))
        parts = range(0, 0 if resets is None else self.length, many)
        blocks = ((n, self._resets_in(n, min(n + many, self.length), columns)) for n in parts)
        return Cuts.of(self.length, count_of(columns), ends, blocks)

    def block(self, start: int, stop: int, columns: Columns, staging: Staging) -> Block | None:
        """Return the steps [start, stop); arrays of the right dtype and order are viewed, not copied."""
        steps = min(stop, self.length) - start
        spans = self._spans(start, steps, columns)
        pieces = self._pieces(start, steps, spans, columns, staging)
        for span, piece in zip(spans, pieces, strict=True):
            self._checker.check_values(piece.x, start + span.start)
            if self._y is not None:  # they are looked at now, so that no sweep is made for nothing
                self._targets(
                    start + span.start, start + span.stop, _running(span, columns), span.ending, staging, strided=True
                )
        return Block(steps, spans, pieces, retained=len(pieces) == 1 and self._is_large_view(pieces[0].x))

    def again(self, start: int, block: Block, columns: Columns, staging: Staging) -> Block:
        """Return the steps from `start` on that the block had."""
        spans = self._spans(start, block.steps, columns)
        return Block(block.steps, spans, self._pieces(start, block.steps, spans, columns, staging))

    def _is_large_view(self, x: Array) -> bool:
        """Whether a piece is a view of the caller's data that weighs little beside what it shows."""
        return x.nbytes >= LARGE and isinstance(self._x, np.ndarray) and np.may_share_memory(x, self._x)

    def _spans(self, start: int, steps: int, columns: Columns) -> list[Span]:
        resets = None if self._resets is None else self._resets_in(start, start + steps, columns)
        ends = None if self._ends is None else self._ends[columns] - start
        return list(cut(steps, count_of(columns), ends, resets))

    def _resets_in(self, start: int, stop: int, columns: Columns) -> Array:
        return np.asarray(sliced(self._resets, start, stop, "resets")[:, columns])

    def _pieces(self, start: int, steps: int, spans: Iterable[Span], columns: Columns, staging: Staging) -> list[Piece]:
        x = sliced(self._x, start, start + steps, "x")
        return [self._piece(x, start, span, _running(span, columns), staging) for span in spans]

    def _piece(self, x: Any, start: int, span: Span, running: Columns, staging: Staging) -> Piece:
        return Piece(
            x=staging.of(x[span.start : span.stop], running, self._input_dtype, strided=self._apart),
            first=span.first,
            reset_samples=span.reset_samples,
            start=start + span.start,
            samples=running,
        )

    def with_targets(self, start: int, block: Block, columns: Columns, staging: Staging) -> Block:
        """Return the block with the targets of its steps, checked; without any, for a loss outside."""
        if self._y is None:
            return block.with_outside_losses()
        return block.with_targets(
            self._targets(start + span.start, start + span.stop, _running(span, columns), span.ending, staging)
            for span in block.spans
        )

    def _targets(
        self, start: int, stop: int, running: Columns, ending: int, staging: Staging, *, strided: bool = False
    ) -> Targets | None:
        """Return the targets of the steps [start, stop): all of them, or those of samples whose last step is there."""
        assert self._y is not None  # where losses are asked for
        if not self._last_only:
            steps = sliced(self._y, start, stop, "y")
            weights = None if self._weights is None else sliced(self._weights, start, stop, "weights")
            y = staging.of(steps, running, np.dtype(steps.dtype), strided=strided)
            return self._checker.targets(y, None if weights is None else np.asarray(weights[:, running]))
        if isinstance(running, slice):  # which end together
            return self._last_targets(running) if stop == self.length else None
        return self._last_targets(running[:ending]) if ending else None

    def _last_targets(self, ending: Columns) -> Targets:
        assert self._y is not None
        count = count_of(ending)
        y = _as_announced(self._y, self._y[ending], count, "y")[None]
        given = self._weights
        weights = None if given is None else _as_announced(given, given[ending], count, "weights")[None]
        return self._checker.targets(y, weights)

    def release(self, start: int) -> None:
        """Nothing is held: the arrays are the caller's."""


def _running(span: Span, columns: Columns) -> Columns:
    return columns if isinstance(columns, slice) else columns[span.first :]


def sliced(given: Any, start: int, stop: int, what: str) -> Array:
    """Return the steps [start, stop) of what can be sliced along time."""
    return _as_announced(given, given[start:stop], stop - start, what)


def _as_announced(given: Any, part: Any, count: int, what: str) -> Array:
    """Return a part of `count` rows; raises `DataError` where it is not of the shape and type that were announced.

    What can be sliced may be anybody's code or file, and compiled kernels trust the shapes that they are handed.
    """
    if isinstance(given, np.ndarray | OwnColumns):
        array: Array = part
        return array
    array, wanted = np.asarray(part), [count, *map(int, given.shape[1:])]
    if list(array.shape) != wanted or array.dtype.kind != given.dtype.kind:
        raise DataError(
            f"{what} was announced as {given.dtype} {list(given.shape)}, but a part of it is {array.dtype} "
            f"{list(array.shape)}; expected {given.dtype} {wanted}: mend the source that {what} is read from"
        )
    return array
