"""Layer normalization of rows at addresses: n = (x - mean) / √(variance + ε), and the way back."""

import math
from typing import Any

from numba import njit

from rnnframe_cells.norms import EPSILON
from rnnframe_compiled.rowwise import first, rowwise


@rowwise(sums=2, lines=4)
def around(x: Any, near: Any) -> Any:
    """Return the sums of what differs from a number, and of its squares."""
    d = x - near
    return d, d * d


@njit(nogil=True, cache=True)
def moments(unit: Any, n: int, place: int) -> tuple[float, float]:
    """Return the mean of a row of n values, and the inverse of its deviation.

    In one pass: squares are taken around the first value, which differs from the mean by at most √n deviations
    (Samuelson 1968, "How deviant can you be?"), and mostly by one or two, so that few bits are lost.
    """
    near = first(unit, place)
    once, twice = around(unit, n, (place,), (near,), ())
    share = 1.0 / n
    mean = once * share
    variance = twice * share - mean * mean
    if variance < 0.0:  # rounding; what is no number stays so
        variance = 0.0
    return near + mean, 1.0 / math.sqrt(variance + EPSILON)


@rowwise(sums=0)
def scaled(x: Any, g: Any, b: Any, mean: Any, inverse: Any) -> Any:
    """Return n ∘ g + b."""
    return ((x - mean) * inverse).fma(g, b)


@rowwise(sums=2, lines=2)
def reach(d: Any, x: Any, g: Any, mean: Any, inverse: Any) -> Any:
    """Return the sums of dn and dn ∘ n, where d is the gradient of n ∘ g."""
    dn = d * g
    return dn, dn * ((x - mean) * inverse)


@rowwise(sums=0)
def taken_back(d: Any, x: Any, g: Any, dg: Any, mean: Any, inverse: Any, of_all: Any, together: Any) -> Any:
    """Return the gradient of x, and dg with that of this row: `of_all` and `together` are the means of `reach`."""
    n = (x - mean) * inverse
    return ((d * g - of_all) - n * together) * inverse, d.fma(n, dg)


@rowwise(sums=0)
def taken_back_with_bias(
    d: Any, x: Any, g: Any, dg: Any, db: Any, mean: Any, inverse: Any, of_all: Any, together: Any
) -> Any:
    """Return the same, and db with d."""
    n = (x - mean) * inverse
    return ((d * g - of_all) - n * together) * inverse, d.fma(n, dg), db + d
