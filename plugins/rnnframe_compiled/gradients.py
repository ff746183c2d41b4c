"""Products of whole blocks that become gradients, at addresses."""

from typing import Any

import numpy as np
from numba import njit

from rnnframe.plugin import Array
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.products import add_values, copy, multiply_panel
from rnnframe_compiled.tiles import WIDE

TERMS = 192
"""Rows of a block whose part of a gradient is added at once: few enough to stay near, with what they meet there."""


@njit(nogil=True, cache=True)
def gather(unit: Any, x: int, step_bytes: int, B: int, I: int, start: int, count: int, target: int) -> None:
    """Write the rows [start, start + count) of x one behind the other; x has steps of B rows, `step_bytes` apart."""
    z = bytes_of(unit)
    L = BYTES // z
    row = start
    while row < start + count:
        t = row // B
        stop = min(start + count, (t + 1) * B)
        size, source, into = (
            (stop - row) * I,
            x + t * step_bytes + (row - t * B) * I * z,
            target + (row - start) * I * z,
        )
        for j in range(0, size, L):
            copy(unit, size - j, (source + j * z,), (into + j * z,))
        row = stop


@njit(nogil=True, cache=True)
def add_gradients(
    unit: Any,
    x: int,
    step_bytes: int,
    B: int,
    I: int,
    h: int,
    H: int,
    dz: int,
    stride: int,
    width: int,
    rows: int,
    dU: int,
    dW: int,
    db: int,
    out: int,
    work: Array,
) -> None:
    """Add xᵀ·dz to dU, hᵀ·dz to dW and the column sums of dz to db, each row `out` values long; address 0 leaves out.

    x [rows, I] with steps of B dense rows `step_bytes` bytes apart, h [rows, H], dz [rows, width] with rows `stride`
    apart. `work` has room for a vector, for TERMS rows of a panel, and for as many of x where its steps are not dense.
    """
    z = bytes_of(unit)
    L = BYTES // z
    work[0] = 1
    one = address_of(work)
    panel = one + BYTES
    vectors = -(-width // L)
    gathered = panel + TERMS * min(WIDE, vectors) * BYTES
    dense = step_bytes == B * I * z
    for start in range(0, rows, TERMS):
        terms = min(TERMS, rows - start)
        steps = x + start * I * z
        if dU and not dense:
            steps = gathered
            gather(unit, x, step_bytes, B, I, start, terms, steps)
        for p in range(0, vectors, WIDE):
            across = min(WIDE, vectors - p)
            last = min(L, width - (p + across - 1) * L)
            for k in range(terms):
                for v in range(across):
                    place = dz + ((start + k) * stride + (p + v) * L) * z
                    copy(unit, L if v < across - 1 else last, (place,), (panel + (k * across + v) * BYTES,))
            if dW:
                c = dW + p * BYTES
                left = h + start * H * z
                multiply_panel(unit, left, 1, H, H, panel, terms, (c, out, L), c, out, across, last)
            if dU:
                c = dU + p * BYTES
                multiply_panel(unit, steps, 1, I, I, panel, terms, (c, out, L), c, out, across, last)
            if db:
                c = db + p * BYTES
                multiply_panel(unit, one, 0, 0, 1, panel, terms, (c, out, L), c, out, across, last)


@njit(nogil=True, cache=True)
def add_looked_up(unit: Any, x: Array, dz: int, stride: int, width: int, dU: int, out: int) -> None:
    """Add each row of dz to the row of dU that was looked up, in the order of the rows."""
    z = bytes_of(unit)
    for k in range(len(x)):
        add_values(unit, width, dz + k * stride * z, dU + np.intp(x[k]) * out * z)


@njit(nogil=True, cache=True)
def add_block_gradients(
    unit: Any,
    x: int,
    step_bytes: int,
    I: int,
    numbers: Array,
    h: Array,
    dz: Array,
    dU: Array,
    dW: Array,
    db: Array,
    work: Array,
) -> None:
    """Add to dU, dW and db where the columns of dz are theirs: x as in `add_gradients`, or looked-up rows."""
    L, B, width = dz.shape
    u, w, b, d = address_of(dU) if x else 0, address_of(dW), address_of(db), address_of(dz)
    add_gradients(unit, x, step_bytes, B, I, address_of(h), h.shape[2], d, width, width, L * B, u, w, b, width, work)
    if len(numbers):
        add_looked_up(unit, numbers, d, width, width, address_of(dU), width)
