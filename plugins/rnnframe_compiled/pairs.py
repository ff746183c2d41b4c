"""Products of bfloat16 operands: two terms of a sum stand in a word of 32 bits, and are multiplied and added as one.

A kernel is written once. For a unit of BFLOAT16 its arrays are float32, as for a unit of float32, but what its products
multiply is rounded to bfloat16, to the nearest and to even, and paired: the word of terms 2k and 2k + 1 holds the first
in its lower half. A sum of an odd number of terms ends with a zero. A word is as large as a float32, so that matrices
of words are packed, copied and walked through as matrices of float32 are.

The instruction VDPBF16PS adds the upper products of a word, then the lower ones, each as a fused multiplication and
addition in float32 that is rounded to the nearest even; numbers below 2^-126 count as zero, what it is given as well as
what it finds (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, VDPBF16PS). On processors
without it other code gives the same bits, several times more slowly.
"""

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnnframe_compiled.lanes import (
    BFLOAT16,
    BYTES,
    INT32,
    INT64,
    address,
    bytes_of,
    declared,
    first_lanes,
    fused,
    load,
    store,
    vector_type,
)
from rnnframe_compiled.making import part
from rnnframe_compiled.moves import copy_padded
from rnnframe_compiled.processor import has

INSTRUCTION = BYTES == 64 and has("avx512bf16")
"""Whether the processor multiplies pairs itself."""
_SIGN, _SIZE, _LEAST_NORMAL, _INFINITE = 0x80000000, 0x7FFFFFFF, 0x00800000, 0x7F800000


def multiplied(builder: Any, dtype: Any, left: Any, right: Any, total: Any) -> Any:
    """Return left · right + total, of words the sum of both products."""
    if dtype != BFLOAT16:
        return fused(builder, left, right, total)
    words = ir.VectorType(INT32, total.type.count)
    left, right = builder.bitcast(left, words), builder.bitcast(right, words)
    return (by_instruction if INSTRUCTION else by_halves)(builder, left, right, total)


def by_instruction(builder: Any, left: Any, right: Any, total: Any) -> Any:
    """Return total + both products of the words, as the processor finds it."""
    name = "llvm.x86.avx512bf16.dpbf16ps.512"
    return builder.call(declared(builder, name, total.type, total.type, left.type, right.type), [total, left, right])


def by_halves(builder: Any, left: Any, right: Any, total: Any) -> Any:
    """Return what `by_instruction` does, with the same bits, on any processor."""
    words, floats = left.type, total.type

    def number(value: int) -> Any:
        return ir.Constant(words, [value] * words.count)

    def normal(bits: Any) -> Any:
        small = builder.icmp_unsigned("<", builder.and_(bits, number(_SIZE)), number(_LEAST_NORMAL))
        return builder.bitcast(builder.select(small, builder.and_(bits, number(_SIGN)), bits), floats)

    def upper(bits: Any) -> Any:
        return normal(builder.and_(bits, number(0xFFFF0000)))

    def lower(bits: Any) -> Any:
        return normal(builder.shl(bits, number(16)))

    total = normal(builder.bitcast(total, words))
    for half in (upper, lower):
        total = fused(builder, half(left), half(right), total)
        total = normal(builder.bitcast(total, words))
    return total


def rounded(builder: Any, floats: Any) -> Any:
    """Return the bits of floats in bfloat16, in the lower halves of integers."""
    integers = ir.VectorType(INT32, floats.type.count)

    def number(value: int) -> Any:
        return ir.Constant(integers, [value] * integers.count)

    bits = builder.bitcast(floats, integers)
    upper = builder.lshr(bits, number(16))
    nearest = builder.lshr(builder.add(bits, builder.add(builder.and_(upper, number(1)), number(0x7FFF))), number(16))
    no_number = builder.icmp_unsigned(">", builder.and_(bits, number(_SIZE)), number(_INFINITE))
    return builder.select(no_number, builder.or_(upper, number(0x40)), nearest)


@intrinsic
def paired(typingctx: Any, unit: Any) -> Any:
    """Tell whether products are of pairs."""

    def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
        return ir.Constant(ir.IntType(1), int(unit == BFLOAT16))

    return types.boolean(unit), emit


@intrinsic
def _pair_row(typingctx: Any, unit: Any, n: Any, source: Any, target: Any) -> Any:
    """Write the first `n` values at an address as words, at most twice as many values as stand in a vector."""

    def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
        if unit != BFLOAT16:  # never run, but compiled
            return ir.Constant(INT64, 0)
        _, n, source, target = values
        vector = vector_type(unit)
        size = vector.count

        def write(masks: Any, mask: Any) -> None:
            places = [address(builder, unit, source, INT64(k * size)) for k in range(2)]
            both = [load(builder, place, vector, mask) for place, mask in zip(places, masks, strict=True)]
            order = ir.Constant(ir.VectorType(INT32, 2 * size), list(range(2 * size)))
            bits = rounded(builder, builder.shuffle_vector(*both, order))
            words = builder.bitcast(builder.trunc(bits, ir.VectorType(ir.IntType(16), 2 * size)), vector)
            store(builder, words, address(builder, unit, target), mask)

        with builder.if_else(builder.icmp_signed(">=", n, INT64(2 * size)), likely=True) as (then, otherwise):
            with then:
                write((None, None), None)
            with otherwise:
                counts = n, builder.sub(n, INT64(size)), builder.ashr(builder.add(n, INT64(1)), INT64(1))
                *masks, of_words = (first_lanes(builder, count, vector) for count in counts)
                write(masks, of_words)
        return ir.Constant(INT64, 0)

    return types.intp(unit, types.intp, types.intp, types.intp), emit


@intrinsic
def _pair_rows(typingctx: Any, unit: Any, n: Any, rows: Any, source: Any, gap: Any, target: Any) -> Any:
    """Write `n` values of each of two rows, `gap` bytes apart, as a whole vector of words; of one row with zeros."""

    def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
        if unit != BFLOAT16:
            return ir.Constant(INT64, 0)
        _, n, rows, source, gap, target = values
        vector = vector_type(unit)
        halves = []
        for r, place in enumerate((source, builder.add(source, gap))):
            exists = builder.icmp_signed("<", INT64(r), rows)
            mask = first_lanes(builder, builder.select(exists, n, INT64(0)), vector)
            halves.append(rounded(builder, load(builder, address(builder, unit, place), vector, mask)))
        lower, upper = halves
        sixteen = ir.Constant(upper.type, [16] * vector.count)
        words = builder.or_(lower, builder.shl(upper, sixteen))
        store(builder, builder.bitcast(words, vector), address(builder, unit, target))
        return ir.Constant(INT64, 0)

    return types.intp(unit, types.intp, types.intp, types.intp, types.intp, types.intp), emit


@part
def words_for(unit: Any, terms: int) -> int:
    """Return how many steps a sum of so many terms takes: half of them where a step is a pair."""
    return (terms + 1) // 2 if paired(unit) else terms


@part
def operand(unit: Any, rows: int, width: int, stride: int, source: int, room: int) -> int:
    """Return the address of a product's left matrix [rows, words]: where it is, or in `room`, where pairs are written.

    The matrix [rows, width] is at an address, its rows `stride` values apart; those of pairs have no gaps. What is not
    paired must have none either where the product expects none.
    """
    if not paired(unit):
        return source
    z = bytes_of(unit)
    count, step = words_for(unit, width), 2 * (BYTES // z)
    if stride == width and width % 2 == 0:
        rows, width = 1, rows * width
    for r in range(rows):
        for j in range(0, width, step):
            _pair_row(unit, width - j, source + (r * stride + j) * z, room + (r * count + j // 2) * z)
    return room


@part
def copy_term(unit: Any, n: int, k: int, terms: int, source: int, stride: int, target: int) -> None:
    """Write step k of a right matrix: `n` values of its row k, or of its rows 2k and 2k + 1 as words, then zeros.

    The matrix [terms, ...] is at an address, its rows `stride` values apart; a whole vector is written.
    """
    z = bytes_of(unit)
    if paired(unit):
        _pair_rows(unit, n, terms - 2 * k, source + 2 * k * stride * z, stride * z, target)
    else:
        copy_padded(unit, n, source + k * stride * z, target)
