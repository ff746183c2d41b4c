"""The arrays that all tapes of a shard share, and how some of them are rounded to stay with a chunk."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from rnnframe.arrays import Rounding, Vector
from rnnframe.contracts.kernels import Kernels
from rnnframe.network.tape_shapes import TapeShapes


def rounding_by(kernels: Iterable[Kernels]) -> Rounding:
    """Return that of the first kernels, or that of numpy where there are none."""
    first = next(iter(kernels), None)
    return Rounding() if first is None else first.rounding


class SharedArrays:
    """The arrays of a chunk's tape that are not kept with it: one set, which all tapes of a shard share.

    `holds` is the number of the tape whose arrays they are at the moment, as that tape gives them back; 0 for those of
    none. `passing` tells that the next chunk that is run leaves nothing for a reverse.
    """

    def __init__(self, shapes: TapeShapes, dtype: np.dtype[Any], rounding: Rounding) -> None:
        self.arrays = Vector(shapes.shared, dtype)
        self.rounded = self.arrays.flat[: shapes.rounded]
        self.rounding = rounding
        self.holds = 0
        self.passing = False

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays."""
        return self.arrays.nbytes
