"""Numbers of float32 in two bytes: rounded to bfloat16, and made float32 again."""

from collections.abc import Callable

import attrs
import numpy as np

from rnnframe.arrays.vector import Array

BLOCK = 1 << 13
"""Numbers that are rounded at a time, so that the bits beside them stay in the cache."""


def round_to_bfloat16(source: Array, target: Array) -> None:
    """Write numbers of float32 [n] as the upper halves of their bits, uint16 [n]: the nearest ones, of two the even.

    A number that is none stays so, whatever its bits are.
    """
    bits, spare = source.view(np.uint32), np.empty(min(BLOCK, len(source)), np.uint32)
    for start in range(0, len(source), BLOCK):
        part = bits[start : start + BLOCK]
        rounded = spare[: len(part)]
        np.right_shift(part, 16, out=rounded)
        rounded &= 1
        rounded += 0x7FFF
        rounded += part
        rounded >>= 16
        none = np.isnan(source[start : start + BLOCK])
        if none.any():
            rounded[none] = part[none] >> 16 | 0x40
        target[start : start + BLOCK] = rounded


def widen_bfloat16(source: Array, target: Array) -> None:
    """Write numbers of bfloat16, as uint16 [n], as float32 [n]: each is one."""
    np.left_shift(source, 16, out=target.view(np.uint32), dtype=np.uint32)


@attrs.frozen
class Rounding:
    """What rounds numbers of float32 to two bytes each, and what makes them float32 again; by default numpy does both.

    Parameters
    ----------
    to_bfloat16 : function (source, target)
        Writes float32 [n] as the upper halves of their bits, uint16 [n], rounded to the nearest and to even. What is no
        number stays none: bit 6 of its upper half is set.
    widen : function (source, target)
        Writes uint16 [n] as float32 [n].
    """

    to_bfloat16: Callable[[Array, Array], None] = round_to_bfloat16
    widen: Callable[[Array, Array], None] = widen_bfloat16

    def prepare(self) -> None:
        """Make both ready: run them on two numbers."""
        halves = np.zeros(2, np.uint16)
        self.to_bfloat16(np.zeros(2, np.float32), halves)
        self.widen(halves, np.zeros(2, np.float32))
