"""Random masks: Philox 4x64-10, whose words are numpy's (`rnnframe.data.draws` says which values they decide on).

Salmon, Moraes, Dror & Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3". numpy is called for each step of a
block, which takes as long as its generator; here a block is one call.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from rnnframe.plugin import Array, MaskPlace
from rnnframe_compiled.lanes import INT32, INT64, address_of, bytes_in, bytes_of, splat, unpacked
from rnnframe_compiled.rare import rare

ROUNDS = 10
MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
STEPS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B
"""What is added to the key after each round."""
VALUES = 16
"""Values of two bytes in the four words for one count."""


def _emit_words(builder: Any, counter: list[Any], key: list[Any]) -> list[Any]:
    """Return the four words of a counter."""
    word, wide = INT64, ir.IntType(128)
    for n in range(ROUNDS):
        high, low = [], []
        for value, multiplier in zip(counter[::2], MULTIPLIERS, strict=True):
            product = builder.mul(builder.zext(value, wide), ir.Constant(wide, multiplier))
            high.append(builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), word))
            low.append(builder.trunc(product, word))
        first, second = (builder.add(k, ir.Constant(word, n * step)) for k, step in zip(key, STEPS, strict=True))
        counter = [
            builder.xor(builder.xor(high[1], counter[1]), first),
            low[1],
            builder.xor(builder.xor(high[0], counter[3]), second),
            low[0],
        ]
    return counter


@intrinsic
def write_values(
    typingctx: Any, unit: Any, key: Any, counter: Any, count: Any, step: Any, threshold: Any, out: Any
) -> Any:
    """Write the 16 values of a count, from the address `out` on: 1 where one reaches the threshold, 0 elsewhere."""

    def emit(_: Any, builder: Any, signature: Any, values: Any) -> Any:
        _, key, counter, count, step, threshold, out = values
        place = unpacked(builder, counter)
        place = [builder.add(place[0], count), builder.add(place[1], step), *place[2:]]
        words = ir.Constant(ir.VectorType(INT64, 4), ir.Undefined)
        for n, word in enumerate(_emit_words(builder, place, unpacked(builder, key))):
            words = builder.insert_element(words, word, INT32(n))
        drawn = builder.bitcast(words, ir.VectorType(ir.IntType(16), VALUES))
        bound = splat(builder, builder.trunc(threshold, ir.IntType(16)), VALUES)
        vector = ir.VectorType(ir.DoubleType() if unit == types.float64 else ir.FloatType(), VALUES)
        kept = builder.uitofp(builder.icmp_unsigned(">=", drawn, bound), vector)
        builder.store(kept, builder.inttoptr(out, vector.as_pointer()), align=bytes_in(unit))
        return ir.Constant(INT64, 0)

    signature = types.intp(unit, key, counter, types.intp, types.intp, types.intp, types.intp)
    return signature, emit


@rare("random masks")
def write(
    unit: Any, key: tuple[Any, ...], counter: tuple[Any, ...], threshold: int, picked: Array, out: Array, room: Array
) -> None:
    """Write a mask [L, B, width], dense, as `rnnframe.data.draws.write_mask` does.

    picked [B] names the samples, from the first one in reach on; where it is empty they are the first B. `room` is for
    16 values.
    """
    z = bytes_of(unit)
    L, B, width = out.shape
    of_sample, whole = -(-width // VALUES), width // VALUES
    for t in range(L):
        for b in range(B):
            first = (picked[b] if len(picked) else b) * of_sample + 1  # the generator counts before it makes words
            row = address_of(out) + (t * B + b) * width * z
            for n in range(whole):
                write_values(unit, key, counter, first + n, t, threshold, row + n * VALUES * z)
            if whole < of_sample:
                write_values(unit, key, counter, first + whole, t, threshold, address_of(room))
                for j in range(width - whole * VALUES):
                    out[t, b, whole * VALUES + j] = room[j]


def write_mask(out: Array, place: MaskPlace) -> None:
    """Write a dense mask [L, B, width]."""
    picked = np.empty(0, np.intp) if place.picked is None else np.ascontiguousarray(place.picked, np.intp)
    write(
        out.dtype.type(1),
        tuple(place.key),
        tuple(place.counter),
        place.threshold,
        picked,
        out,
        np.empty(VALUES, out.dtype),
    )
