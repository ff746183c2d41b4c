"""What linear-attention computes of one span of one head of a sample, in rooms that stay near.

A span has at most SPAN steps. Its arrays stand `stride` values from step to step, its scores [n, n] without gaps.
"""

from typing import Any, NamedTuple

import numpy as np

from rnnframe.plugin import Array
from rnnframe_cells.attention import SPAN
from rnnframe_compiled.functions import exp
from rnnframe_compiled.groups import Panel
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.making import part
from rnnframe_compiled.packing import columns_at, transposed_at
from rnnframe_compiled.products import multiply_panel
from rnnframe_compiled.rowwise import first, rowwise
from rnnframe_compiled.tiles import WIDE

BAND = 6
"""Rows of a triangle of scores that are multiplied at once, with the terms that the longest of them has: a tile."""


class Rooms(NamedTuple):
    """Working memory for a span: sums of log γ, and addresses.

    A vector of zeros; decays [n] from before the span to each step, over √keys, and from each step to its end; the
    decay of all of it; scores; rows of a left matrix; a right matrix in panels; S where it is not in its place.
    """

    total: Array
    zeros: int
    reached: int
    remains: int
    whole: int
    scores: int
    left: int
    right: int
    S: int


class Rows(NamedTuple):
    """A matrix of one row for each step: its address, how many values rows are apart, and how many each has."""

    address: int
    stride: int
    width: int


class Right(NamedTuple):
    """The right matrix [terms, width] of a product, in panels."""

    address: int
    terms: int
    width: int


@rowwise(sums=0)
def write_decays(total: Any, last: Any, scale: Any) -> Any:
    """Return the decays from before the span, times `scale`, and to its end."""
    return exp(total) * scale, exp(last - total)


@rowwise(sums=0)
def fade(scores: Any, total: Any, here: Any, scale: Any) -> Any:
    """Return scores of a step with steps up to it: each times the decay from there to here, and `scale`."""
    return scores * (exp(here - total) * scale)


@rowwise(sums=0)
def scaled(x: Any, factor: Any) -> Any:
    """Return x times a number."""
    return x * factor


@rowwise(sums=0)
def cleared(x: Any) -> Any:
    """Return zeros."""
    return x.number(0)


def values_needed(lanes: int, keys: int, values: int) -> tuple[int, ...]:
    """Return the values in each of the rooms, in whole vectors of so many lanes, in their order."""
    wide, span = max(keys, values), -(-SPAN // lanes) * lanes
    of_keys, of_values = -(-keys // lanes) * lanes, -(-values // lanes) * lanes
    right = max(of_keys * max(SPAN, values), of_values * max(SPAN, keys), span * wide)
    scores, left = -(-SPAN * SPAN // lanes) * lanes, -(-SPAN * wide // lanes) * lanes
    return span, lanes, span, span, lanes, scores, left, right, -(-keys * values // lanes) * lanes


_values_needed = part(values_needed)


@part
def rooms_of(unit: Any, work: Array, keys: int, values: int) -> Rooms:
    """Return the rooms in a working array."""
    z = bytes_of(unit)
    sizes = _values_needed(BYTES // z, keys, values)
    at = address_of(work)
    zeros = at + sizes[0] * z
    reached = zeros + sizes[1] * z
    remains = reached + sizes[2] * z
    whole = remains + sizes[3] * z
    scores = whole + sizes[4] * z
    left = scores + sizes[5] * z
    right = left + sizes[6] * z
    cleared(unit, sizes[1], (zeros,), (), (zeros,))
    return Rooms(work[: sizes[0]], zeros, reached, remains, whole, scores, left, right, right + sizes[7] * z)


@part
def begin_span(unit: Any, fading: Array, n: int, scale: Any, rooms: Rooms) -> None:
    """Write the sums of fading [n] (log γ) and what decays follow from them."""
    z, total = bytes_of(unit), rooms.total
    total[0] = fading[0]
    for t in range(1, n):
        total[t] = total[t - 1] + fading[t]
    at, whole = address_of(total), address_of(total) + (n - 1) * z
    write_decays(unit, n, (at,), (total[n - 1], scale), (rooms.reached, rooms.remains))
    write_decays(unit, np.intp(1), (whole,), (total[n - 1], unit), (rooms.whole, rooms.whole + z))


@part
def take(unit: Any, n: int, rows: Rows, factors: int, rooms: Rooms) -> None:
    """Write rows [n, width] to the room for a left matrix, without gaps, each times its factor."""
    z = bytes_of(unit)
    for t in range(n):
        source, target = rows.address + t * rows.stride * z, rooms.left + t * rows.width * z
        scaled(unit, rows.width, (source,), (first(unit, factors + t * z),), (target,))


@part
def multiply_right(
    unit: Any,
    left: tuple[int, int, int],
    rows: int,
    right: Right,
    some: tuple[int, int],
    start: tuple[int, int, int],
    out: Rows,
) -> None:
    """out [rows, width] = start + left · right, of whose terms only `some` are added: from which on, and how many.

    `left` is an address with its strides from row to row and term to term, `start` one with those from row to row and
    vector to vector.
    """
    z = bytes_of(unit)
    L = BYTES // z
    vectors = -(-right.width // L)
    a, a_row, a_term = left
    begin, down, along = start
    k, count = some
    for p in range(0, vectors, WIDE):
        across = min(WIDE, vectors - p)
        last = min(L, right.width - (p + across - 1) * L)
        panel = Panel(right.address + (p * right.terms + k * across) * BYTES, count, across, last)
        here = (begin + p * along * z, down, along)
        multiply_panel(unit, a + k * a_term * z, rows, a_row, a_term, panel, here, out.address + p * BYTES, out.stride)


@part
def whole_product(unit: Any, left: tuple[int, int, int], rows: int, right: Right, rooms: Rooms, out: Rows) -> None:
    """out [rows, width] = left · right."""
    nothing = np.intp(0)  # numbers that are literal would make code of its own
    multiply_right(unit, left, rows, right, (nothing, right.terms), (rooms.zeros, nothing, nothing), out)


@part
def write_scores(unit: Any, n: int, left: Rows, right: Rows, scale: Any, rooms: Rooms) -> None:
    """Write left rightᵀ ∘ D times `scale` [n, n]: D_ts are the decays from s to t, and zero where s is after t."""
    z, total = bytes_of(unit), address_of(rooms.total)
    transposed_at(unit, right.address, n, right.stride, right.width, rooms.right)
    given, scores = Right(rooms.right, right.width, n), Rows(rooms.scores, n, n)
    whole_product(unit, (left.address, left.stride, np.intp(1)), n, given, rooms, scores)
    for t in range(n):
        row, later = rooms.scores + t * n * z, rooms.scores + (t * n + t + 1) * z
        fade(unit, t + 1, (row, total), (rooms.total[t], scale), (row,))
        cleared(unit, n - t - 1, (later,), (), (later,))


@part
def right_of(unit: Any, rows: int, matrix: Rows, rooms: Rooms) -> Right:
    """Return a matrix of so many rows as the right one of a product: where it is, if it stands there as in a panel."""
    vector, width = BYTES // bytes_of(unit), matrix.width
    if matrix.stride == width and width % vector == 0 and width <= WIDE * vector:
        return Right(matrix.address, rows, width)
    columns_at(unit, matrix.address, rows, matrix.stride, width, rooms.right)
    return Right(rooms.right, rows, width)


@part
def add_earlier(unit: Any, n: int, right: Right, rooms: Rooms, out: Rows) -> None:
    """out [n, width] += scores · right: each step with those up to it."""
    z = bytes_of(unit)
    for t in range(0, n, BAND):
        rows, into = min(BAND, n - t), Rows(out.address + t * out.stride * z, out.stride, out.width)
        left, start = (rooms.scores + t * n * z, n, np.intp(1)), (into.address, into.stride, np.intp(BYTES // z))
        multiply_right(unit, left, rows, right, (np.intp(0), t + rows), start, into)


@part
def add_later(unit: Any, n: int, right: Right, rooms: Rooms, out: Rows) -> None:
    """out [n, width] += scoresᵀ · right: each step with those from it on."""
    z = bytes_of(unit)
    for s in range(0, n, BAND):
        rows, into = min(BAND, n - s), Rows(out.address + s * out.stride * z, out.stride, out.width)
        left, start = (rooms.scores + s * z, np.intp(1), n), (into.address, into.stride, np.intp(BYTES // z))
        multiply_right(unit, left, rows, right, (s, n - s), start, into)


@part
def fade_and_add(unit: Any, rows: Rows, factors: int, right: Right, rooms: Rooms, S: int, into: int) -> None:
    """Write S [keys, values] times the decay of the span + (rows ∘ factors)ᵀ · right, at another address or its own."""
    z = bytes_of(unit)
    n, keys, values = right.terms, rows.width, right.width
    take(unit, n, rows, factors, rooms)
    scaled(unit, keys * values, (S,), (first(unit, rooms.whole),), (into,))
    left, start = (rooms.left, np.intp(1), keys), (into, values, np.intp(BYTES // z))
    multiply_right(unit, left, keys, right, (np.intp(0), n), start, Rows(into, values, values))
