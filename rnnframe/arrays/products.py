"""The matrix products that cells and heads are made of, for dense and for looked-up inputs.

`a` of shape [L, B, n] is treated as the matrix [L·B, n]; nothing here allocates anything larger than a chunk.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from rnnframe.arrays import Array

PANEL = 256
"""Rows of a gradient that are added at once: bounds the working array, and stays in the cache."""
PIECE = 32
"""Looked-up rows that are gathered at once."""


def rows(a: Array) -> Array:
    """View a contiguous [L, B, n] as [L·B, n]."""
    return a.reshape(-1, a.shape[-1])


def is_lookup(x: Array) -> bool:
    """Whether x holds row numbers of U (integers [L, B]) and not vectors (floats [L, B, inputs])."""
    return x.dtype.kind in "iu"


def project(x: Array, U: Array, out: Array) -> None:
    """Write x·U into `out` [L, B, n]; for row numbers take the rows of U."""
    if is_lookup(x):
        np.take(U, x, axis=0, out=out, mode="clip")  # the source has checked the range; "clip" needs no buffer
    else:
        np.matmul(rows(x), U, out=rows(out))


def write_input_gradient(dz: Array, U: Array, dx: Array | None) -> None:
    """Write dz·Uᵀ into `dx` [L, B, inputs], unless it is None."""
    if dx is not None:
        np.matmul(rows(dz), U.T, out=rows(dx))


def panel_shape(height: int, width: int) -> tuple[int, int]:
    """Return the shape of the working array that `add_product` needs for a gradient [height, width]."""
    return min(height, PANEL), width


def add_product(a: Array, b: Array, total: Array, panel: Array) -> None:
    """Add aᵀ·b to `total`: a [L, B, m], b [L, B, n], total [m, n]; `panel` has at least `panel_shape(m, n)`."""
    left, right = rows(a), rows(b)
    for start in range(0, total.shape[0], PANEL):
        part = total[start : start + PANEL]
        product = panel[: part.shape[0], : part.shape[1]]
        np.matmul(left[:, start : start + PANEL].T, right, out=product)
        part += product


def add_input_product(x: Array, dz: Array, dU: Array, panel: Array) -> None:
    """Add xᵀ·dz to dU; for row numbers add each row of dz to the row of dU that was looked up."""
    if not is_lookup(x):
        add_product(x, dz, dU, panel)
        return
    flat = rows(dz)
    for row, places in _places(x.ravel()):
        for start in range(0, len(places), PIECE):
            dU[row] += np.add.reduce(flat[places[start : start + PIECE]], axis=0)


def _places(x: Array) -> Iterator[tuple[int, Array]]:
    """Yield each distinct number in x with the places where it stands, in a fixed order."""
    order = np.argsort(x, kind="stable")
    ordered = x[order]
    starts = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    bounds = [0, *starts.tolist(), len(order)]
    for start, stop in itertools.pairwise(bounds):
        yield int(ordered[start]), order[start:stop]


def add_column_sums(dz: Array, total: Array) -> None:
    """Add the sum of dz [L, B, n] over time and batch to `total` [n]."""
    total += np.add.reduce(rows(dz), axis=0)
