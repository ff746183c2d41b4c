"""Adding up in a fixed tree of neighbours, so that sums of sums have the same bits wherever the tree is cut.

Of n terms, the first and second are added, the third and fourth, and so on, and the last one passes on where n is odd;
their sums are added in the same way, until one is left. A range of 2^m terms that begins at a multiple of 2^m is a
branch of its own: whoever adds it up first gets what the whole tree has there. So gradients of the parts of a batch can
be added up within each process first and then over processes, with the bits of one process that has all parts. For up
to three terms the tree is the sum from left to right.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from rnnframe.arrays.vector import Array

T = TypeVar("T")


def add_in_tree(terms: Sequence[T], add: Callable[[T, T], object]) -> T:
    """Add terms up into the first of them, which is returned; `add(a, b)` adds b into a. Others are overwritten too."""
    reach = 1
    while reach < len(terms):
        for n in range(0, len(terms) - reach, 2 * reach):
            add(terms[n], terms[n + reach])
        reach *= 2
    return terms[0]


def add_in_tree_into(out: Array, terms: Sequence[Array]) -> None:
    """Write the sum of arrays to `out`, which can be one of them: the last addition is made there. All are overwritten.

    It takes no copy but for a single term.
    """
    left = len(terms) - 1

    def add(total: Array, term: Array) -> None:
        nonlocal left
        left -= 1
        np.add(total, term, out=total if left else out)

    total = add_in_tree(terms, add)
    if len(terms) == 1 and total is not out:
        out[:] = total
