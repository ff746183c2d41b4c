"""Products of matrices by tiles that stay in the registers, and matrices packed for them.

A tile is some rows by a few vectors of the result. Its sums are held in registers from the first term to the last, so
each step of the sum loads a few vectors of the right matrix, which is packed in the order in which they are needed,
and one value per row of the left one. Every value of a product is summed in the order of its terms, whatever the number
of rows: the results for a sample do not depend on those beside it.

For a unit of BFLOAT16 a term is a word of two: see `pairs`. All else is the same.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnnframe_compiled.lanes import (
    INT64,
    REGISTERS,
    address,
    first_lanes,
    load,
    splat,
    store,
    unpacked,
    vector_type,
)
from rnnframe_compiled.pairs import multiplied

WIDE = 4 if REGISTERS == 32 else 2
"""Vectors across a tile where the shape leaves the choice: with the rows of `rows_of` they fill the registers.

Measure another number with `python -m tests.benchmarks speed --only compiled --shapes 2,3,4`.
"""
MOST_ROWS = 6
"""Rows above which a tile is not made taller, even where registers are left: each number of rows is code of its own.

Measure another number with `python -m tests.benchmarks speed --only compiled --shapes 2,3,4`.
"""


def rows_of(vectors: int) -> int:
    """Return the most rows of a tile of so many vectors across.

    The registers hold the sums, a row of the right matrix and one value of the left, or a column of the left matrix and
    one vector of the right.
    """
    fitting = (rows for rows in range(MOST_ROWS, 1, -1) if rows * vectors + min(rows, vectors) + 1 <= REGISTERS)
    return next(fitting, 1)


def _accumulate(builder: Any, dtype: Any, sums: Any, into: tuple[int, ...], product: list[Any]) -> Any:
    """Add k terms to a tile of sums (a list of rows of vectors) and return the sums; `into` says which are added to."""
    a, a_row, a_step, b, b_step, k = product
    vector = vector_type(dtype)
    before = builder.block
    loop, done = builder.append_basic_block("terms"), builder.append_basic_block("summed")
    builder.cbranch(builder.icmp_signed(">", k, INT64(0)), loop, done)
    builder.position_at_end(loop)
    step = builder.phi(INT64)
    step.add_incoming(INT64(0), before)
    held = [list(row) for row in sums]
    for r, row in enumerate(sums):
        for v in into:
            held[r][v] = builder.phi(vector)
            held[r][v].add_incoming(row[v], before)
    right = address(builder, dtype, b, builder.mul(step, b_step))
    left = address(builder, dtype, a, builder.mul(step, a_step))
    added = [list(row) for row in held]

    def value(r: int) -> Any:
        return splat(builder, builder.load(builder.gep(left, [builder.mul(a_row, INT64(r))])), vector.count)

    def values(n: int) -> Any:
        return load(builder, builder.gep(right, [INT64(n * vector.count)]), vector)

    if len(sums) < len(into):  # what is less is held while the other is loaded one by one
        column = [value(r) for r in range(len(sums))]
        pairs = [(r, n, column[r], b) for n in range(len(into)) for b in [values(n)] for r in range(len(sums))]
    else:
        row_of_b = [values(n) for n in range(len(into))]
        pairs = [(r, n, a, row_of_b[n]) for r in range(len(sums)) for a in [value(r)] for n in range(len(into))]
    for r, n, one, other in pairs:
        added[r][into[n]] = multiplied(builder, dtype, one, other, held[r][into[n]])
    following = builder.add(step, INT64(1))
    step.add_incoming(following, loop)
    for r in range(len(sums)):
        for v in into:
            held[r][v].add_incoming(added[r][v], loop)
    builder.cbranch(builder.icmp_signed("<", following, k), loop, done)
    builder.position_at_end(done)
    result = [list(row) for row in sums]
    for r, row in enumerate(sums):
        for v in into:
            result[r][v] = builder.phi(vector)
            result[r][v].add_incoming(row[v], before)
            result[r][v].add_incoming(added[r][v], loop)
    return result


def _tile(across: int, *segments: tuple[int, ...], strided: bool = False) -> Any:
    """Return the code of a tile of `across` vectors whose sums are added to in turn by the products of `segments`.

    A segment names the vectors that its terms go to. `last` counts the lanes of the last vector, of vectors that stand
    apart those of each; see `tile` for the arguments.
    """

    def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
        dtype = signature.args[0]
        vector = vector_type(dtype)
        _, rows, last, start, out, *products = values
        start, start_row, start_vector = unpacked(builder, start)
        out, out_row, out_vector = unpacked(builder, out)
        whole = builder.icmp_signed(">=", last, INT64(vector.count))
        mask = first_lanes(builder, last, vector)
        masks = [mask if strided else None] * (across - 1) + [mask]

        def place(base: Any, row: Any, step: Any, r: int, v: int) -> Any:
            return address(builder, dtype, base, builder.add(builder.mul(row, INT64(r)), builder.mul(step, INT64(v))))

        end = builder.append_basic_block("tile.end")
        choice = builder.switch(rows, end)
        for count in range(1, rows_of(across) + 1):
            case = builder.append_basic_block(f"rows{count}")
            choice.add_case(INT64(count), case)
            builder.position_at_end(case)
            sums = [
                [load(builder, place(start, start_row, start_vector, r, v), vector, masks[v]) for v in range(across)]
                for r in range(count)
            ]
            for into, product in zip(segments, products, strict=True):
                sums = _accumulate(builder, dtype, sums, into, unpacked(builder, product))
            places = [[place(out, out_row, out_vector, r, v) for v in range(across)] for r in range(count)]
            with builder.if_else(whole, likely=True) as (then, otherwise):  # what a mask stored is slow to load again
                for branch, wanted in ((then, [None] * across), (otherwise, masks)):
                    with branch:
                        for row, values_of in zip(places, sums, strict=True):
                            for v in range(across):
                                store(builder, values_of[v], row[v], wanted[v])
            builder.branch(end)
        builder.position_at_end(end)
        return ir.Constant(INT64, 0)

    return emit


def _one_product(across: int, strided: bool = False) -> Any:
    @intrinsic
    def tile(typingctx: Any, unit: Any, rows: Any, last: Any, start: Any, out: Any, product: Any) -> Any:
        code = _tile(across, tuple(range(across)), strided=strided)
        return types.intp(unit, types.intp, types.intp, start, out, product), code

    return tile


def _two_products(first: tuple[int, ...], second: tuple[int, ...]) -> Any:
    across = 1 + max(*first, *second)

    @intrinsic
    def tile(typingctx: Any, unit: Any, rows: Any, last: Any, start: Any, out: Any, one: Any, other: Any) -> Any:
        return types.intp(unit, types.intp, types.intp, start, out, one, other), _tile(across, first, second)

    return tile


# tile(unit, rows, last, (start, row, vector), (out, row, vector), (a, row, term, b, term, terms) ...)
#
# out[r, v] = start[r, v] + Σ_k a[r, k] b[k, v] for `rows` rows r; `last` is how many lanes of the last vector exist.
# Addresses, each with its strides in values; the vectors of b's terms are contiguous.
tile1, tile2, tile3, tile4 = map(_one_product, (1, 2, 3, 4))
gates3, gates4 = (_one_product(count, strided=True) for count in (3, 4))
both1, both2, both3, both4 = (_two_products(of, of) for of in ((0,), (0, 1), (0, 1, 2), (0, 1, 2, 3)))
candidate_tile = _two_products((0, 1, 2), (0, 1, 3))
"""r, z, n and q of a GRU: x contributes to n where h contributes to q."""
