"""The arrays that all tapes of a shard share, and how some of them are rounded to stay with a chunk."""

from collections.abc import Callable, Iterable
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Vector, round_to_bfloat16, widen_bfloat16
from rnnframe.contracts.kernels import Kernels
from rnnframe.network.tape_shapes import TapeShapes


@attrs.frozen
class Rounding:
    """What rounds numbers of float32 to two bytes each, and what makes them float32 again."""

    to_bfloat16: Callable[[Array, Array], None] = round_to_bfloat16
    widen: Callable[[Array, Array], None] = widen_bfloat16

    @classmethod
    def by(cls, kernels: Iterable[Kernels]) -> "Rounding":
        """Return that of the first kernels, or that of numpy where there are none."""
        first = next(iter(kernels), None)
        return cls() if first is None else cls(first.round_to_bfloat16, first.widen_bfloat16)

    def prepare(self) -> None:
        """Make both ready: run them on two numbers."""
        halves = np.zeros(2, np.uint16)
        self.to_bfloat16(np.zeros(2, np.float32), halves)
        self.widen(halves, np.zeros(2, np.float32))


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
