"""Products of matrices at addresses, with packed weights."""

from typing import Any

from numba import njit

from rnnframe.plugin import Array
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
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

ROWS1, ROWS2, ROWS3, ROWS4 = (rows_of(vectors) for vectors in (1, 2, 3, 4))
FEW = 4
"""Samples below which a product is mostly reading the matrix, and is arranged for that."""
NEAR = 1 << 15
"""Bytes that the nearest cache of a usual processor holds; what is larger is worth reading to and fro."""
PARTS = 4
"""Parts in which the terms of a product of few rows are added."""


@lanewise
def copy(x: Any) -> Any:
    """x."""
    return x


@lanewise
def add(x: Any, y: Any) -> Any:
    """x + y."""
    return x + y


@njit(nogil=True, cache=True)
def add_values(unit: Any, size: int, source: int, target: int) -> None:
    """target += source, for `size` values that lie one behind the other."""
    L = BYTES // bytes_of(unit)
    for j in range(0, size, L):
        place = j * bytes_of(unit)
        add(unit, size - j, (target + place, source + place), (target + place,))


@njit(nogil=True, cache=True)
def add_gates(unit: Any, n: int, count: int, source: int, gap: int, sums: int) -> None:
    """Add `n` values of each of `count` gates, `gap` apart, to the vectors of a tile's row."""
    for g in range(count):
        s = sums + g * BYTES
        add(unit, n, (s, source + g * gap * bytes_of(unit)), (s,))


@njit(nogil=True, cache=True)
def most_rows(across: int) -> int:
    """Return the most rows of a tile of so many vectors."""
    return ROWS4 if across == 4 else ROWS3 if across == 3 else ROWS2 if across == 2 else ROWS1


@njit(nogil=True, cache=True)
def project_gates(unit: Any, x: int, PU: Array, H: int, rows: int, zeros: int, out: Array) -> None:
    """out [rows, gates·H] = x [rows, I] · U, packed by `pack`; `zeros` is the address of a vector."""
    z = bytes_of(unit)
    L = BYTES // z
    I, count = PU.shape[1], PU.shape[2] // L
    most = most_rows(count)
    tiles = -(-rows // most)
    for p in range(len(PU)):
        last = min(L, H - p * L)
        for i in range(tiles):
            r = rows * i // tiles
            at = (address_of(out) + (r * count * H + p * L) * z, count * H, H)
            product = (x + r * I * z, I, 1, address_of(PU) + p * I * count * BYTES, count * L, I)
            if count == 4:
                gates4(unit, rows * (i + 1) // tiles - r, last, (zeros, 0, 0), at, product)
            else:
                gates3(unit, rows * (i + 1) // tiles - r, last, (zeros, 0, 0), at, product)


@njit(nogil=True, cache=True)
def multiply_panel(
    unit: Any,
    a: int,
    a_row: int,
    a_term: int,
    rows: int,
    b: int,
    terms: int,
    start: tuple[int, int, int],
    out: int,
    stride: int,
    across: int,
    last: int,
) -> None:
    """out [rows, across vectors] = start + a [rows, terms] · b, one panel of `across` vectors a term.

    `start` is an address with its strides from row to row and vector to vector; out's rows are `stride` apart, and
    `last` is how many lanes of the last vector exist.
    """
    z = bytes_of(unit)
    L = BYTES // z
    tiles = -(-rows // most_rows(across))
    first, down, along = start
    for i in range(tiles):
        r = rows * i // tiles
        count = rows * (i + 1) // tiles - r
        here, at = (first + r * down * z, down, along), (out + r * stride * z, stride, L)
        product = (a + r * a_row * z, a_row, a_term, b, across * L, terms)
        if across == 4:
            tile4(unit, count, last, here, at, product)
        elif across == 3:
            tile3(unit, count, last, here, at, product)
        elif across == 2:
            tile2(unit, count, last, here, at, product)
        else:
            tile1(unit, count, last, here, at, product)


@njit(nogil=True, cache=True)
def multiply_terms(
    unit: Any,
    a: int,
    rows: int,
    stride: int,
    terms: int,
    k: int,
    count: int,
    packed: int,
    width: int,
    start: tuple[int, int, int],
    out: int,
) -> None:
    """Do what `multiply` does, for the terms [k, k + count) of the sums."""
    z = bytes_of(unit)
    L = BYTES // z
    vectors = -(-width // L)
    first, down, along = start
    for p in range(0, vectors, WIDE):
        across = min(WIDE, vectors - p)
        last = min(L, width - (p + across - 1) * L)
        b, here = packed + (p * terms + k * across) * BYTES, (first + p * along * z, down, along)
        multiply_panel(unit, a + k * z, stride, 1, rows, b, count, here, out + p * BYTES, width, across, last)


@njit(nogil=True, cache=True)
def multiply(
    unit: Any,
    a: int,
    rows: int,
    stride: int,
    terms: int,
    packed: int,
    width: int,
    start: tuple[int, int, int],
    out: int,
) -> None:
    """out [rows, width] = start + a [rows, terms] · the matrix [terms, width] in panels; a's rows are `stride` apart.

    `start` is an address with its strides from row to row and vector to vector.
    """
    multiply_terms(unit, a, rows, stride, terms, 0, terms, packed, width, start, out)


@njit(nogil=True, cache=True)
def multiply_few(
    unit: Any,
    a: int,
    rows: int,
    stride: int,
    terms: int,
    packed: int,
    width: int,
    start: tuple[int, int, int],
    out: int,
    backwards: int,
) -> None:
    """Do what `multiply` does for a few rows, where reading the matrix is what takes the time.

    The terms are added in PARTS parts, the last one first where `backwards`: to be said at every other call, for what
    was read last is still near.
    """
    for number in range(PARTS):
        part = PARTS - 1 - number if backwards else number
        k = terms * part // PARTS
        here = (out, width, BYTES // bytes_of(unit)) if number else start
        multiply_terms(unit, a, rows, stride, terms, k, terms * (part + 1) // PARTS - k, packed, width, here, out)


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
        tiles = -(-rows // most_rows(across))
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
