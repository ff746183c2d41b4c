"""`BothWays`: a source whose pieces hold each sample twice: from its first step on, and from its last step back.

Both are read as one sweep goes: at its step t a sample of n steps has x_t and x_(n-1-t).
"""

from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.batch import Batch
from rnnframe.data.columns import Columns, count_of
from rnnframe.data.format import DataFormat
from rnnframe.data.pieces import Block, Piece, Span
from rnnframe.data.sequence import Sequence, sliced
from rnnframe.data.staging import Staging
from rnnframe.errors import DataError


class BothWays(Sequence):
    """A source over arrays for a network whose first layer reads both ways.

    Parameters
    ----------
    batch : Batch
        As `Sequence` takes it, without resets.
    data_format : DataFormat
        What the network reads.

    Raises
    ------
    DataError
        For what does not fit.
    """

    def __init__(self, batch: Batch, data_format: DataFormat) -> None:
        if batch.resets is not None:
            raise DataError(
                "resets cut a sample, and a network of two directions needs both its ends; give each part as a sample"
            )
        super().__init__(batch, data_format)
        self.given = batch

    @property
    def sample_ends(self) -> Array:
        """The steps of each sample, [B]."""
        return np.full(self.batch, self.length) if self._ends is None else self._ends

    def batch_of(self, x: Any, *, targets: bool) -> Batch:
        """Return the batch with another x, of as many steps as the longest sample has, with or without targets."""
        given = self.given
        y, weights = (given.y, given.weights) if targets else (None, None)
        if self.length < given.x.shape[0] and not self._last_only:
            y = None if y is None else y[: self.length]
            weights = weights if weights is None or np.ndim(weights) < 2 else weights[: self.length]
        return attrs.evolve(given, x=x[: self.length], y=y, weights=weights)

    def block(self, start: int, stop: int, columns: Columns, staging: Staging) -> Block | None:
        """Return the steps [start, stop); those read back are copies, which do not stay with a tape."""
        block = super().block(start, stop, columns, staging)
        if block is None:
            return None
        for piece in block.pieces:
            self._check_reverse(piece)
        return attrs.evolve(block, retained=False)

    def _piece(self, x: Any, start: int, span: Span, running: Columns, staging: Staging) -> Piece:
        piece = super()._piece(x, start, span, running, staging)
        return attrs.evolve(piece, reverse=self._read_back(piece, staging))

    def _read_back(self, piece: Piece, staging: Staging) -> Array:
        """Return the steps of the samples of a piece, counted from their ends, dense."""
        stop = piece.start + piece.size[0]
        if self._ends is None:
            part = sliced(self._x, self.length - stop, self.length - piece.start, "x")[::-1]
            return staging.of(part, piece.samples, self._input_dtype)
        steps = back_from(self._ends[piece.samples], piece.start, stop)
        first = int(steps.min())
        part = sliced(self._x, first, int(steps.max()) + 1, "x")
        return staging.of(part[steps - first, piece.samples], slice(None), self._input_dtype)

    def _check_reverse(self, piece: Piece) -> None:
        """Raise `DataError` where the steps read back hold what no network takes."""
        assert piece.reverse is not None  # as they all have it
        try:
            self._checker.check_values(piece.reverse, 0)
        except DataError:  # sample by sample, to say at which step
            stop, count = piece.start + piece.size[0], count_of(piece.samples)
            ends = np.full(count, self.length) if self._ends is None else self._ends[piece.samples]
            for sample, end in enumerate(ends.tolist()):
                self._checker.check_values(piece.reverse[::-1, sample : sample + 1], end - stop)
            raise


def back_from(ends: Array, start: int, stop: int) -> Array:
    """Return the steps [stop - start, n] that samples ending at `ends` [n] have in [start, stop) when read back."""
    steps: Array = ends[None] - 1 - np.arange(start, stop)[:, None]
    return steps
