"""Memory for what has to be copied of a chunk's data: of another type, or the columns of one shard."""

import math
from typing import Any

import numpy as np

from rnnframe.arrays import ALIGNMENT, Array, aligned_empty
from rnnframe.data.columns import Columns

SPARE = 1.5
"""Memory of more than this many times what the largest chunk has needed is replaced by new, smaller memory."""


class Staging:
    """Copies of the pieces of one chunk, which those of the next overwrite: memory is made once, and as it is needed.

    New memory for every chunk would be handed out by the system page by page, which takes longer than the copying.
    """

    def __init__(self) -> None:
        self._rooms: list[Array] = []
        self._used: list[int] = []  # bytes of each room that are of this chunk's pieces
        self._most = 0  # bytes of all pieces of the largest chunk so far
        self.peak_bytes = 0
        """The most bytes that were held at a time since `start`."""

    @property
    def nbytes(self) -> int:
        """Bytes of the memory."""
        return sum(room.nbytes for room in self._rooms)

    def start(self) -> None:
        """Begin a run."""
        self.begin()
        self.peak_bytes = self.nbytes

    def begin(self) -> None:
        """Overwrite what was copied before."""
        held = self.nbytes
        if held > SPARE * self._most:  # rooms that later pieces did not fit in
            self._rooms = [aligned_empty(self._most, np.dtype(np.uint8))]
            self.peak_bytes = max(self.peak_bytes, held + self.nbytes)  # the last pieces may still be in use
        self._used = [0] * len(self._rooms)

    def of(self, steps: Any, columns: Columns, dtype: np.dtype[Any], *, strided: bool = False) -> Array:
        """Return some columns of some steps [L, B, ...], contiguous and of a dtype: a view, or else a copy.

        apart: steps need not follow one another, as long as each is dense. What overflows on its way to float32
        becomes infinite.
        """
        if isinstance(columns, slice) or not isinstance(steps, np.ndarray):
            part = np.asarray(steps[:, columns])
            if strided and part.dtype == dtype and part[0].flags.c_contiguous:
                return part
            return self._dense(part, dtype)
        if steps.dtype != dtype:
            return self._dense(steps.take(columns, axis=1), dtype)
        copy = self._next((len(steps), len(columns), *steps.shape[2:]), dtype)
        return steps.take(columns, axis=1, out=copy, mode="clip")  # all columns are there, and "clip" needs no buffer

    def _dense(self, part: Array, dtype: np.dtype[Any]) -> Array:
        if part.dtype == dtype and (part.flags.c_contiguous or dtype.hasobject):  # objects are refused elsewhere
            return part
        copy = self._next(part.shape, dtype)
        np.copyto(copy, part, casting="unsafe")
        return copy

    def _next(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        nbytes = math.prod(shape) * dtype.itemsize
        needed = -(-nbytes // ALIGNMENT) * ALIGNMENT
        fitting = (n for n, room in enumerate(self._rooms) if self._used[n] + needed <= room.nbytes)
        n = next(fitting, len(self._rooms))
        if n == len(self._rooms):  # pieces of this chunk that were copied before stay where they are
            self._rooms.append(
                aligned_empty(max(needed, self.nbytes // 4), np.dtype(np.uint8))
            )  # few rooms, many pieces
            self._used.append(0)
            self.peak_bytes = max(self.peak_bytes, self.nbytes)
        start = self._used[n]
        self._used[n] += needed
        self._most = max(self._most, sum(self._used))
        return self._rooms[n][start : start + nbytes].view(dtype).reshape(shape)
