"""Vectors on their way between places in memory: copies that fill up, transposed squares, and lines asked for early."""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnnframe_compiled.lanes import INT32, INT64, address, declared, first_lanes, load, store, vector_type


def _prefetch(purpose: int) -> Any:
    @intrinsic
    def prefetch(typingctx: Any, place: Any) -> Any:
        def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
            pointer = builder.inttoptr(values[0], ir.IntType(8).as_pointer())
            function = declared(builder, "llvm.prefetch.p0", ir.VoidType(), pointer.type, INT32, INT32, INT32)
            builder.call(function, [pointer, INT32(purpose), INT32(2), INT32(1)])
            return ir.Constant(INT64, 0)

        return types.intp(types.intp), emit

    return prefetch


expect_read, expect_write = _prefetch(0), _prefetch(1)
"""Have the line at an address brought near, as it will be read, or written, soon; any address will do."""


@intrinsic
def copy_padded(typingctx: Any, unit: Any, n: Any, source: Any, target: Any) -> Any:
    """Copy `n` values to the beginning of a whole vector whose other lanes become zero; one call a vector."""

    def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
        vector = vector_type(unit)
        mask = first_lanes(builder, values[1], vector)
        store(
            builder, load(builder, address(builder, unit, values[2]), vector, mask), address(builder, unit, values[3])
        )
        return ir.Constant(INT64, 0)

    return types.intp(unit, types.intp, types.intp, types.intp), emit


def _transpose(*, padded: bool) -> Any:
    @intrinsic
    def transpose(typingctx: Any, unit: Any, rows: Any, n: Any, source: Any, stride: Any, target: Any, gap: Any) -> Any:
        def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
            _, count, width, origin, step, into, strided = values
            vector = vector_type(unit)
            size = vector.count
            held = []
            for r in range(size):
                exists = builder.icmp_signed("<", INT64(r), count)
                mask = first_lanes(builder, builder.select(exists, width, INT64(0)), vector)
                held.append(load(builder, address(builder, unit, origin, builder.mul(step, INT64(r))), vector, mask))
            distance = 1
            while distance < size:  # squares of this distance change places across the diagonal
                for r in range(size):
                    if not r & distance:
                        a, b = held[r], held[r + distance]
                        upper = [n if not n & distance else size + n - distance for n in range(size)]
                        lower = [n + distance if not n & distance else size + n for n in range(size)]
                        held[r], held[r + distance] = (_shuffle(builder, a, b, places) for places in (upper, lower))
                distance *= 2
            written = None if padded else first_lanes(builder, count, vector)
            for r in range(size):
                wanted = builder.icmp_signed("<", INT64(r), width)
                with builder.if_then(wanted, likely=True):
                    place = address(builder, unit, into, builder.mul(strided, INT64(r)))
                    store(builder, held[r], place, written)
            return ir.Constant(INT64, 0)

        return types.intp(unit, types.intp, types.intp, types.intp, types.intp, types.intp, types.intp), emit

    return transpose


transpose_square, transpose_part = _transpose(padded=True), _transpose(padded=False)
"""Write the transpose of a square of vectors: `rows` rows of `n` values `stride` apart become vectors `gap` apart.

There are as many rows of the result as values in a vector, at most `n`. `transpose_square` writes whole vectors, zeros
for rows that do not exist; `transpose_part` writes the values of those that do.
"""


def _shuffle(builder: Any, a: Any, b: Any, places: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT32, len(places)), places))
