"""Memory for what has to be copied of a chunk's data: of another type, or the columns of one shard."""

import math
from typing import Any

import numpy as np

from rnnframe.arrays import ALIGNMENT, Array, aligned_empty
from rnnframe.data.columns import Columns


class Staging:
    """Copies of the pieces of one chunk, which those of the next overwrite: memory is made once, and as it is needed.

    New memory for every chunk would be handed out by the system page by page, which takes longer than the copying.
    """

    def __init__(self) -> None:
        self._room = np.empty(0, np.uint8)
        self._used = self._most = 0
        self._left = 0  # bytes of memory that was too small for this chunk, and is still that of its first pieces
        self.peak_bytes = 0
        """The most bytes that were held at a time since `start`."""

    @property
    def nbytes(self) -> int:
        """Bytes of the memory."""
        return self._room.nbytes

    def start(self) -> None:
        """Begin a run."""
        self._left, self.peak_bytes = 0, self.nbytes

    def begin(self) -> None:
        """Overwrite what was copied before."""
        self._used = self._left = 0
        if self._room.size > self._most:  # more than the largest chunk has needed
            self._room = aligned_empty(self._most, self._room.dtype)

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
        start, nbytes = self._used, math.prod(shape) * dtype.itemsize
        self._used = start + -(-nbytes // ALIGNMENT) * ALIGNMENT
        self._most = max(self._most, self._used)
        if self._used > self._room.size:  # pieces of this chunk that were copied before stay where they are
            self._left += self.nbytes
            self._room = aligned_empty(max(self._used, 2 * self._room.size), self._room.dtype)
            self.peak_bytes = max(self.peak_bytes, self._left + self.nbytes)
        return self._room[start : start + nbytes].view(dtype).reshape(shape)
