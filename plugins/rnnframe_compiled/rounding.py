"""Tapes in bfloat16: numbers of float32 rounded to two bytes each, and made float32 again."""

from typing import Any

import numpy as np

from rnnframe.plugin import Array, Rounding
from rnnframe_compiled.lanes import address_of
from rnnframe_compiled.pairs import operand
from rnnframe_compiled.rare import rare

_NUMPY = Rounding()
_PAIRED = np.uint16(1)
"""The unit that stands for bfloat16: rounded numbers are words of pairs."""


def round_to_bfloat16(source: Array, target: Array) -> None:
    """Write float32 [n] as uint16 [n]; of an odd number, numpy rounds the last."""
    even = len(source) & ~1
    _round(_PAIRED, source[:even], target[:even])
    _NUMPY.to_bfloat16(source[even:], target[even:])


def widen_bfloat16(source: Array, target: Array) -> None:
    """Write uint16 [n] as float32 [n]."""
    _widen(_PAIRED, source, target.view(np.uint32))


@rare("rounding of tapes")
def _round(unit: Any, source: Array, target: Array) -> None:
    n = source.shape[0]
    operand(unit, 1, n, n, address_of(source), address_of(target))


@rare("widening of tapes")
def _widen(unit: Any, source: Array, target: Array) -> None:
    for n in range(source.shape[0]):
        target[n] = source[n] << 16
