"""Weights in the order in which tiles ask for them."""

from typing import Any

from rnnframe.plugin import Array
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.making import kernel, part
from rnnframe_compiled.moves import transpose_part, transpose_square
from rnnframe_compiled.pairs import copy_term, operand, words_for
from rnnframe_compiled.rare import rare
from rnnframe_compiled.tiles import WIDE


def lanes(dtype: Any) -> int:
    """Return how many values of a numpy dtype stand in one vector."""
    return int(BYTES // dtype.itemsize)


def vectors_for(width: int, dtype: Any) -> int:
    """Return how many vectors hold `width` values."""
    return -(-width // lanes(dtype))


@kernel
def pack(unit: Any, W: Array, first: int, gap: int, count: int, width: int, out: Array) -> None:
    """Write out[p, k, g·L + j] = W[k, first + g·gap + p·L + j] for `count` gates g; zeros where p·L + j ≥ width.

    L is the number of values in a vector; W [terms, columns] is contiguous, out [panels, terms, count·L]. Where terms
    are paired, out has a row of words for each pair; so it is for the functions below.
    """
    z = bytes_of(unit)
    L = BYTES // z
    terms, stride = W.shape
    panels, steps = -(-width // L), words_for(unit, terms)
    source, target = address_of(W) + first * z, address_of(out)
    for p in range(panels):
        for k in range(steps):
            for g in range(count):
                place, into = source + (g * gap + p * L) * z, target + ((p * steps + k) * count + g) * BYTES
                copy_term(unit, width - p * L, k, terms, place, stride, into)


@kernel
def pack_columns(unit: Any, W: Array, first: int, width: int, out: Array) -> None:
    """Write the columns [first, first + width) of W in panels of WIDE vectors: W[k, first + p·WIDE·L + j].

    W [terms, columns] is contiguous; out has room for `terms` rows of whole vectors that hold `width` values.
    """
    columns_at(unit, address_of(W) + first * bytes_of(unit), W.shape[0], W.shape[1], width, address_of(out))


@part
def columns_at(unit: Any, source: int, terms: int, stride: int, width: int, target: int) -> None:
    """Do what `pack_columns` does for a matrix [terms, width] at an address, its rows `stride` values apart."""
    z = bytes_of(unit)
    L = BYTES // z
    vectors, steps = -(-width // L), words_for(unit, terms)
    for p in range(0, vectors, WIDE):
        across = min(WIDE, vectors - p)
        for k in range(steps):
            for v in range(across):
                place, into = source + (p + v) * L * z, target + (p * steps + k * across + v) * BYTES
                copy_term(unit, width - (p + v) * L, k, terms, place, stride, into)


@kernel
def pack_transposed(unit: Any, W: Array, first: int, width: int, out: Array) -> None:
    """Write the transpose of the columns [first, first + width) of W in panels, as `pack_columns` does.

    W [m, columns] is contiguous; out has room for `width` rows of whole vectors that hold m values.
    """
    transposed_at(unit, address_of(W) + first * bytes_of(unit), W.shape[0], W.shape[1], width, address_of(out))


@part
def transposed_at(unit: Any, source: int, rows: int, stride: int, width: int, target: int) -> None:
    """Do what `pack_transposed` does for a matrix [rows, width] at an address, its rows `stride` values apart."""
    z = bytes_of(unit)
    L = BYTES // z
    vectors = -(-rows // L)
    for p in range(0, vectors, WIDE):
        across = min(WIDE, vectors - p)
        for k in range(0, width, L):
            for v in range(across):
                row = (p + v) * L
                place = source + (row * stride + k) * z
                into = target + (p * width + k * across + v) * BYTES
                transpose_square(unit, rows - row, width - k, place, stride, into, across * L)


@rare("transposition")
def transpose(unit: Any, source: Array, target: Array) -> None:
    """Write target [n, m] = source [m, n] transposed, both dense."""
    z = bytes_of(unit)
    L = BYTES // z
    m, n = source.shape
    for r in range(0, m, L):
        for k in range(0, n, L):
            place, into = address_of(source) + (r * n + k) * z, address_of(target) + (k * m + r) * z
            transpose_part(unit, m - r, n - k, place, n, into, m)


@kernel
def pair_rows(unit: Any, W: Array, out: Array) -> None:
    """Write out [rows, words], the words of each row of W; `pack_transposed` takes them as a matrix of float32."""
    operand(unit, W.shape[0], W.shape[1], W.shape[1], address_of(W), address_of(out))
