"""Large arrays in blocks of rows that stay in the cache, so that no copy as large as the array is made beside it."""

from collections.abc import Iterator, Sequence

import numpy as np

from rnnframe.plugin import Array

BLOCK_BYTES = 1 << 20


def blocks_of(rows: int, row_bytes: int) -> Iterator[slice]:
    """Yield slices of rows one after the other, each of at least one row and at most about a MiB."""
    step = max(1, BLOCK_BYTES // max(1, row_bytes))
    for first in range(0, rows, step):
        yield slice(first, min(rows, first + step))


def side_by_side(columns: Sequence[Array]) -> Array:
    """Return arrays [rows, channels] beside one another; not copied where they follow one another in one array already.

    That is how pandas keeps the columns of numbers of a file: as the rows of one array.
    """
    if len(columns) == 1:
        return columns[0]
    base = columns[0].base
    if (
        not isinstance(base, np.ndarray)
        or base.ndim != 2
        or not base.flags.c_contiguous
        or base.dtype != columns[0].dtype
    ):
        return np.concatenate(columns, axis=1)
    start, width = base.__array_interface__["data"][0], base[:1].nbytes
    first = (columns[0].__array_interface__["data"][0] - start) // width
    follow = all(
        column.base is base
        and column.shape == (base.shape[1], 1)
        and column.strides[0] == base.itemsize
        and column.__array_interface__["data"][0] == start + (first + place) * width
        for place, column in enumerate(columns)
    )
    return base[first : first + len(columns)].T if follow else np.concatenate(columns, axis=1)
