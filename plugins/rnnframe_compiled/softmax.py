"""Softmax and cross entropy, row by row: what `rnnframe_heads.Softmax` computes."""

import math
from typing import Any

from rnnframe.plugin import Array
from rnnframe_compiled.functions import exp
from rnnframe_compiled.lanes import LINE, Lanes, address_of, bytes_of, folded
from rnnframe_compiled.making import kernel

LARGE = 1e200
"""What a product of sums stays below, before its logarithm is taken; a factor of its own may be as large again."""


def itself(o: Lanes) -> tuple[Lanes]:
    """Return o."""
    return (o,)


def power(o: Lanes, highest: Lanes) -> tuple[Lanes, Lanes]:
    """Return exp(o - highest), to be added up and to be kept."""
    e = exp(o - highest)
    return e, e


def share(e: Lanes, factor: Lanes) -> tuple[Lanes, Lanes]:
    """Return e · factor, to be kept; nobody asks for the sum."""
    p = e * factor
    return p, p


largest_of = folded(itself, Lanes.or_larger, -math.inf)
sum_of_powers = folded(power, Lanes.__add__, 0.0)
keep_shares = folded(share, Lanes.__add__, 0.0)


@kernel
def cross_entropy(unit: Any, o: Array, classes: Array) -> float:
    """Return the sum of -log softmax(o)[class] over the rows of o, and make o its gradient: softmax(o) - onehot.

    o [rows, number of classes], classes [rows].

    One logarithm is taken of the product of many rows' sums. Rows take turns in twos: a row must not be read while
    the end of the one before it is still on its way to memory.
    """
    z = bytes_of(unit)
    L = LINE // z
    rows, width = o.shape
    loss, product = 0.0, 1.0
    for turn in range(2):
        for r in range(turn, rows, 2):
            row = address_of(o) + r * width * z
            highest = largest_of(unit, width, (row,), (), ())
            for j in range(L, width, L):
                highest = max(highest, largest_of(unit, width - j, (row + j * z,), (), ()))
            loss -= o[r, classes[r]] - highest
            total = sum_of_powers(unit, width, (row,), (highest,), (row,))
            for j in range(L, width, L):
                place = row + j * z
                total += sum_of_powers(unit, width - j, (place,), (highest,), (place,))
            for j in range(0, width, L):
                place = row + j * z
                keep_shares(unit, width - j, (place,), (unit / total,), (place,))
            o[r, classes[r]] -= 1
            product *= total
            if product > LARGE:
                loss += math.log(product)
                product = 1.0
    return loss + math.log(product)


@kernel
def probabilities(unit: Any, o: Array) -> None:
    """Make o [rows, number of classes] softmax(o), row by row."""
    z = bytes_of(unit)
    L = LINE // z
    rows, width = o.shape
    for r in range(rows):
        row = address_of(o) + r * width * z
        highest = largest_of(unit, width, (row,), (), ())
        for j in range(L, width, L):
            highest = max(highest, largest_of(unit, width - j, (row + j * z,), (), ()))
        total = sum_of_powers(unit, width, (row,), (highest,), (row,))
        for j in range(L, width, L):
            place = row + j * z
            total += sum_of_powers(unit, width - j, (place,), (highest,), (place,))
        for j in range(0, width, L):
            place = row + j * z
            keep_shares(unit, width - j, (place,), (unit / total,), (place,))
