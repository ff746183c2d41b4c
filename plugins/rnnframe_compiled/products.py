"""Packed matrices, and the products of whole blocks that become gradients."""

from typing import Any

import numpy as np
from numba import njit

from rnnframe.arrays import Array
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.moves import copy_padded, transpose_square
from rnnframe_compiled.tiles import (
    WIDE,
    both1,
    both2,
    both3,
    both4,
    gates3,
    gates4,
    rows_of,
    tile1,
    tile2,
    tile3,
    tile4,
)

FEW = 4
"""Samples below which U is read for many steps at once."""
ROWS1, ROWS2, ROWS3, ROWS4 = (rows_of(vectors) for vectors in (1, 2, 3, 4))
TERMS = 192
"""Rows of a block whose part of a gradient is added at once: few enough to stay near, with what they meet there."""


def lanes(dtype: Any) -> int:
    """Return how many values of a numpy dtype stand in one vector."""
    return int(BYTES // dtype.itemsize)


def vectors_for(width: int, dtype: Any) -> int:
    """Return how many vectors hold `width` values."""
    return -(-width // lanes(dtype))


@lanewise
def copy(x: Any) -> Any:
    """x."""
    return x


@lanewise
def add(x: Any, y: Any) -> Any:
    """x + y."""
    return x + y


@njit(nogil=True, cache=True)
def pack(unit: Any, W: Array, first: int, gap: int, count: int, width: int, out: Array) -> None:
    """Write out[p, k, g·L + j] = W[k, first + g·gap + p·L + j] for `count` gates g; zeros where p·L + j ≥ width.

    L is the number of values in a vector; W is contiguous.
    """
    z = bytes_of(unit)
    L = BYTES // z
    terms, stride = W.shape
    panels = -(-width // L)
    source, target = address_of(W) + first * z, address_of(out)
    for p in range(panels):
        for k in range(terms):
            for g in range(count):
                place = source + (k * stride + g * gap + p * L) * z
                copy_padded(unit, width - p * L, place, target + ((p * terms + k) * count + g) * BYTES)


@njit(nogil=True, cache=True)
def pack_columns(unit: Any, W: Array, first: int, width: int, out: Array) -> None:
    """Write the columns [first, first + width) of W in panels of WIDE vectors: W[k, first + p·WIDE·L + j]."""
    z = bytes_of(unit)
    L = BYTES // z
    terms, stride = W.shape
    vectors = -(-width // L)
    source, target = address_of(W) + first * z, address_of(out)
    for p in range(0, vectors, WIDE):
        across = min(WIDE, vectors - p)
        for k in range(terms):
            for v in range(across):
                n = width - (p + v) * L
                copy_padded(
                    unit, n, source + (k * stride + (p + v) * L) * z, target + (p * terms + k * across + v) * BYTES
                )


@njit(nogil=True, cache=True)
def pack_transposed(unit: Any, W: Array, first: int, width: int, out: Array) -> None:
    """Write the transpose of the columns [first, first + width) of W in panels, as `pack_columns` does."""
    z = bytes_of(unit)
    L = BYTES // z
    m, stride = W.shape
    vectors = -(-m // L)
    source, target = address_of(W) + first * z, address_of(out)
    for p in range(0, vectors, WIDE):
        across = min(WIDE, vectors - p)
        for k in range(0, width, L):
            for v in range(across):
                row = (p + v) * L
                place = source + (row * stride + k) * z
                into = target + (p * width + k * across + v) * BYTES
                transpose_square(unit, m - row, width - k, place, stride, into, across * L)


@njit(nogil=True, cache=True)
def project_gates(unit: Any, x: int, I: int, packed: int, count: int, H: int, rows: int, zeros: int, out: int) -> None:
    """out [rows, count·H] = x [rows, I] · U, packed by `pack` for 3 or 4 gates; `zeros` is the address of a vector.

    With few samples this reads U once for many steps, where a step alone would read it for them.
    """
    z = bytes_of(unit)
    L = BYTES // z
    most = ROWS4 if count == 4 else ROWS3
    tiles = -(-rows // most)
    for p in range(-(-H // L)):
        last = min(L, H - p * L)
        for i in range(tiles):
            r = rows * i // tiles
            at = (out + (r * count * H + p * L) * z, count * H, H)
            product = (x + r * I * z, I, 1, packed + p * I * count * BYTES, count * L, I)
            if count == 4:
                gates4(unit, rows * (i + 1) // tiles - r, last, (zeros, 0, 0), at, product)
            else:
                gates3(unit, rows * (i + 1) // tiles - r, last, (zeros, 0, 0), at, product)


@njit(nogil=True, cache=True)
def multiply_add(unit: Any, a: int, rows: int, stride: int, terms: int, packed: int, width: int, out: int) -> None:
    """out [rows, width] += a [rows, terms] · the matrix [terms, width] packed by `pack_transposed`."""
    z = bytes_of(unit)
    L = BYTES // z
    vectors = -(-width // L)
    for p in range(0, vectors, WIDE):
        across = min(WIDE, vectors - p)
        last = min(L, width - (p + across - 1) * L)
        b = packed + p * L * terms * z
        c = out + p * L * z
        most = ROWS4 if across == 4 else ROWS3 if across == 3 else ROWS2 if across == 2 else ROWS1
        tiles = -(-rows // most)
        for i in range(tiles):
            r = rows * i // tiles
            count = rows * (i + 1) // tiles - r
            at = (c + r * width * z, width, L)
            product = (a + r * stride * z, stride, 1, b, across * L, terms)
            if across == 4:
                tile4(unit, count, last, at, at, product)
            elif across == 3:
                tile3(unit, count, last, at, at, product)
            elif across == 2:
                tile2(unit, count, last, at, at, product)
            else:
                tile1(unit, count, last, at, at, product)


@njit(nogil=True, cache=True)
def multiply_both(
    unit: Any, x: int, I: int, U: int, h: int, H: int, W: int, bias: int, rows: int, width: int, out: int, stride: int
) -> None:
    """out [rows, width] = bias + x [rows, I] · U + h [rows, H] · W, packed by `pack_columns`; rows `stride` apart."""
    z = bytes_of(unit)
    L = BYTES // z
    vectors = -(-width // L)
    for p in range(0, vectors, WIDE):
        across = min(WIDE, vectors - p)
        last = min(L, width - (p + across - 1) * L)
        most = ROWS4 if across == 4 else ROWS3 if across == 3 else ROWS2 if across == 2 else ROWS1
        tiles = -(-rows // most)
        start = (bias + p * L * z, 0, L)
        for i in range(tiles):
            r = rows * i // tiles
            count = rows * (i + 1) // tiles - r
            at = (out + (r * stride + p * L) * z, stride, L)
            one = (x + r * I * z, I, 1, U + p * L * I * z, across * L, I)
            other = (h + r * H * z, H, 1, W + p * L * H * z, across * L, H)
            if across == 4:
                both4(unit, count, last, start, at, one, other)
            elif across == 3:
                both3(unit, count, last, start, at, one, other)
            elif across == 2:
                both2(unit, count, last, start, at, one, other)
            else:
                both1(unit, count, last, start, at, one, other)


@njit(nogil=True, cache=True)
def add_transposed(
    unit: Any,
    a: int,
    a_row: int,
    a_term: int,
    rows: int,
    b: int,
    b_term: int,
    terms: int,
    c: int,
    stride: int,
    across: int,
    last: int,
) -> None:
    """c [rows, across vectors] += aᵀ b over `terms` terms, for one panel of b."""
    z = bytes_of(unit)
    L = BYTES // z
    most = ROWS4 if across == 4 else ROWS3 if across == 3 else ROWS2 if across == 2 else ROWS1
    tiles = -(-rows // most)
    for i in range(tiles):
        r = rows * i // tiles
        count = rows * (i + 1) // tiles - r
        at = (c + r * stride * z, stride, L)
        product = (a + r * a_row * z, a_row, a_term, b, b_term, terms)
        if across == 4:
            tile4(unit, count, last, at, at, product)
        elif across == 3:
            tile3(unit, count, last, at, at, product)
        elif across == 2:
            tile2(unit, count, last, at, at, product)
        else:
            tile1(unit, count, last, at, at, product)


@njit(nogil=True, cache=True)
def add_gradients(
    unit: Any,
    one: int,
    x: int,
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
    panel: int,
) -> None:
    """Add xᵀ·dz to dU, hᵀ·dz to dW and the column sums of dz to db, each row `out` values long; address 0 leaves out.

    x [rows, I], h [rows, H], dz [rows, width] with rows `stride` apart; `one` is the address of a 1, and `panel` that
    of a working array of TERMS·WIDE vectors.
    """
    z = bytes_of(unit)
    L = BYTES // z
    vectors = -(-width // L)
    for start in range(0, rows, TERMS):
        terms = min(TERMS, rows - start)
        for p in range(0, vectors, WIDE):
            across = min(WIDE, vectors - p)
            last = min(L, width - (p + across - 1) * L)
            for k in range(terms):
                for v in range(across):
                    place = dz + ((start + k) * stride + (p + v) * L) * z
                    copy(unit, L if v < across - 1 else last, (place,), (panel + (k * across + v) * L * z,))
            offset = p * L * z
            if dW:
                add_transposed(
                    unit, h + start * H * z, 1, H, H, panel, across * L, terms, dW + offset, out, across, last
                )
            if dU:
                add_transposed(
                    unit, x + start * I * z, 1, I, I, panel, across * L, terms, dU + offset, out, across, last
                )
            if db:
                add_transposed(unit, one, 0, 0, 1, panel, across * L, terms, db + offset, out, across, last)


@njit(nogil=True, cache=True)
def add_looked_up(unit: Any, x: Array, dz: int, stride: int, width: int, dU: int, out: int) -> None:
    """Add each row of dz to the row of dU that was looked up, in the order of the rows."""
    z = bytes_of(unit)
    L = BYTES // z
    for k in range(len(x)):
        source, target = dz + k * stride * z, dU + np.intp(x[k]) * out * z
        for j in range(0, width, L):
            add(unit, width - j, (target + j * z, source + j * z), (target + j * z,))
