"""Products of matrices at addresses, with packed weights."""

from typing import Any

from rnnframe.plugin import Array
from rnnframe_compiled.groups import Matrix, Panel, Product
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.making import part
from rnnframe_compiled.rare import rare
from rnnframe_compiled.shared import shared
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
"""The most rows of a tile of 1, 2, 3 and 4 vectors across: what `rows_of` allows, so measured as WIDE is."""
FEW = 4
"""Samples below which a product is mostly reading the matrix, and is arranged for that.

Measure another number with `python -m tests.benchmarks speed --only compiled --cells lstm,gru --shapes 5`: set to 1, it
shows what the arrangement is worth for one sample.
"""
NEAR = 1 << 15
"""Bytes that the nearest cache of a usual processor holds: a matrix that is larger is read backwards every other time.

Measure another number with `python -m tests.benchmarks speed --only compiled --cells lstm --shapes 5`.
"""
PARTS = 4
"""Parts in which the terms of a product of few rows are added.

Measure another number with `python -m tests.benchmarks speed --only compiled --cells lstm --shapes 5`.
"""


@lanewise
def copy(x: Any) -> Any:
    """x."""
    return x


@lanewise
def add(x: Any, y: Any) -> Any:
    """x + y."""
    return x + y


@part
def add_values(unit: Any, size: int, source: int, target: int) -> None:
    """target [size] += source [size], at addresses; the values of each lie one behind the other."""
    L = BYTES // bytes_of(unit)
    for j in range(0, size, L):
        place = j * bytes_of(unit)
        add(unit, size - j, (target + place, source + place), (target + place,))


@part
def copy_gates(unit: Any, n: int, count: int, source: int, gap: int, sums: int) -> None:
    """Copy `n` values of each of `count` gates, `gap` apart, into the vectors of a tile's row."""
    for g in range(count):
        copy(unit, n, (source + g * gap * bytes_of(unit),), (sums + g * BYTES,))


@part
def add_gates(unit: Any, n: int, count: int, source: int, gap: int, sums: int) -> None:
    """Add `n` values of each of `count` gates, `gap` apart, to the vectors of a tile's row."""
    for g in range(count):
        s = sums + g * BYTES
        add(unit, n, (s, source + g * gap * bytes_of(unit)), (s,))


@part
def most_rows(across: int) -> int:
    """Return the most rows of a tile of so many vectors."""
    return ROWS4 if across == 4 else ROWS3 if across == 3 else ROWS2 if across == 2 else ROWS1


@rare("inputs of few samples")
def project_gates(unit: Any, x: int, PU: Array, Pb: Array, H: int, rows: int, out: Array) -> None:
    """out [rows, gates·H] = b + x [rows, I] · U [I, gates·H], both packed by `pack`."""
    z = bytes_of(unit)
    L = BYTES // z
    I, count = PU.shape[1], PU.shape[2] // L
    most = most_rows(count)
    tiles = -(-rows // most)
    for p in range(len(PU)):
        last = min(L, H - p * L)
        start = (address_of(Pb) + p * Pb.shape[2] * z, 0, L)
        for i in range(tiles):
            r = rows * i // tiles
            at = (address_of(out) + (r * count * H + p * L) * z, count * H, H)
            product = (x + r * I * z, I, 1, address_of(PU) + p * I * count * BYTES, count * L, I)
            if count == 4:
                gates4(unit, rows * (i + 1) // tiles - r, last, start, at, product)
            else:
                gates3(unit, rows * (i + 1) // tiles - r, last, start, at, product)


@part
def multiply_panel(
    unit: Any,
    a: int,
    rows: int,
    a_row: int,
    a_term: int,
    panel: Panel,
    start: tuple[int, int, int],
    out: int,
    stride: int,
) -> None:
    """out [rows, columns of the panel] = start + a [rows, terms] · the panel.

    `a` is an address, with its strides from row to row and term to term; `start` an address with those from row to row
    and vector to vector; out's rows are `stride` apart.
    """
    z = bytes_of(unit)
    L = BYTES // z
    across, last = panel.across, panel.last
    tiles = -(-rows // most_rows(across))
    first, down, along = start
    for i in range(tiles):
        r = rows * i // tiles
        count = rows * (i + 1) // tiles - r
        here, at = (first + r * down * z, down, along), (out + r * stride * z, stride, L)
        product = (a + r * a_row * z, a_row, a_term, panel.address, across * L, panel.terms)
        if across == 4:
            tile4(unit, count, last, here, at, product)
        elif across == 3:
            tile3(unit, count, last, here, at, product)
        elif across == 2:
            tile2(unit, count, last, here, at, product)
        else:
            tile1(unit, count, last, here, at, product)


@part
def multiply(unit: Any, a: Matrix, packed: int, width: int, start: tuple[int, int, int], out: int) -> None:
    """out [rows, width] = start + a [rows, terms] · the matrix [terms, width] in panels.

    `start` is an address with its strides from row to row and vector to vector.
    """
    first, down, along = start
    product(unit, (a.address, a.rows, a.width, a.stride, packed, width, first, down, along, out, 1, 0))


@part
def multiply_few(
    unit: Any, a: Matrix, packed: int, width: int, start: tuple[int, int, int], out: int, backwards: int
) -> None:
    """Do what `multiply` does for a few rows, where reading the matrix is what takes the time.

    The terms are added in PARTS parts, the last one first where `backwards`: to be said at every other call, for what
    was read last is still near.
    """
    first, down, along = start
    product(unit, (a.address, a.rows, a.width, a.stride, packed, width, first, down, along, out, PARTS, backwards))


@shared
def product(
    unit: Any,
    a: int,
    rows: int,
    terms: int,
    stride: int,
    packed: int,
    width: int,
    first: int,
    down: int,
    along: int,
    out: int,
    parts: int,
    backwards: int,
) -> int:
    """Do what `multiply` does, with the members of its groups, or `multiply_few`, for so many parts of the terms."""
    z = bytes_of(unit)
    L = BYTES // z
    vectors = -(-width // L)
    for number in range(parts):
        part = parts - 1 - number if backwards else number
        k = terms * part // parts
        count = terms * (part + 1) // parts - k
        if number:
            first, down, along = out, width, L
        for p in range(0, vectors, WIDE):
            across = min(WIDE, vectors - p)
            last = min(L, width - (p + across - 1) * L)
            panel = Panel(packed + (p * terms + k * across) * BYTES, count, across, last)
            here = (first + p * along * z, down, along)
            multiply_panel(unit, a + k * z, rows, stride, 1, panel, here, out + p * BYTES, width)
    return 0


@part
def multiply_both(unit: Any, one: Product, other: Product, bias: int, out: Matrix) -> None:
    """out [rows, width] = bias [width] + both products, whose right matrices are packed by `pack_columns`."""
    x, I, pu = one
    h, H, pw = other
    both_products(unit, (x, h, I, H, pu, pw, bias, out.address, out.rows, out.width, out.stride))


@shared
def both_products(
    unit: Any,
    x: int,
    h: int,
    I: int,
    H: int,
    pu: int,
    pw: int,
    bias: int,
    out: int,
    rows: int,
    width: int,
    stride: int,
) -> int:
    """Do what `multiply_both` does, with the members of its groups."""
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
            first = (x + r * I * z, I, 1, pu + p * L * I * z, across * L, I)
            second = (h + r * H * z, H, 1, pw + p * L * H * z, across * L, H)
            if across == 4:
                both4(unit, count, last, start, at, first, second)
            elif across == 3:
                both3(unit, count, last, start, at, first, second)
            elif across == 2:
                both2(unit, count, last, start, at, first, second)
            else:
                both1(unit, count, last, start, at, first, second)
    return 0
