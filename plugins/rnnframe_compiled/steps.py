"""One step of a stack in one call: a table of addresses, and a loop that calls a function for each of its rows.

A row of the table is what one part of a step needs: the address of the function that runs it, and sizes and addresses
of arrays which stay where they are. A cell's step is its block kernel, run for a block of one step.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, typeof, types
from numba.core.ccallback import CFunc
from numba.extending import intrinsic

from rnnframe.plugin import Array
from rnnframe_compiled import (
    attention,
    elman,
    gated_linear,
    gru_after,
    gru_before,
    gru_normed,
    independent,
    linear,
    lru,
    lstm,
    lstm_general,
    peephole,
    selective,
    slstm,
)
from rnnframe_compiled.cache_files import guard_files
from rnnframe_compiled.groups import Matrix
from rnnframe_compiled.lanes import BYTES, INT64, address_of, bytes_of
from rnnframe_compiled.making import kernel, part
from rnnframe_compiled.place import kept
from rnnframe_compiled.products import copy, multiply
from rnnframe_compiled.shared import make_shared_ready
from rnnframe_compiled.softmax import probabilities

FIELDS = 24
"""Numbers in a row of the table: 192 bytes, three lines of memory."""
TURN = FIELDS - 1
"""The field that an LSTM's step changes: every other one reads its weights backwards."""
ARRAYS = 10
"""The field of a cell's row where the addresses of its arrays begin."""


@intrinsic
def pointer(typingctx: Any, unit: Any, place: Any) -> Any:
    """Return an address as a pointer to values of the type of `unit`."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[1], context.get_value_type(signature.return_type))

    return types.CPointer(unit)(unit, types.intp), emit


@intrinsic
def call(typingctx: Any, unit: Any, function: Any, place: Any) -> Any:
    """Call the function at an address, as `address_of_step` returns it, with the address of its row."""

    def emit(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(INT64, [context.get_value_type(unit), INT64])
        return builder.call(builder.inttoptr(values[1], kind.as_pointer()), [values[0], values[2]])

    return types.intp(unit, types.intp, types.intp), emit


@kernel
def run(unit: Any, table: Array) -> Any:
    """Run the rows of a table [rows, FIELDS], one after the other; return 0, or what the first returns that refuses."""
    for n in range(len(table)):
        found = call(unit, table[n, 0], address_of(table) + n * FIELDS * 8)
        if found != 0:
            return found
    return 0


def code_of_run(unit: Any, table: Array) -> Callable[[Any, Array], int]:
    """Return `run` for arguments of the types of these, without the look at types that numba takes at every call."""
    run(unit, table[:0])
    code: Callable[[Any, Array], int] = run.overloads[typeof(unit), typeof(table)].entry_point
    return code


def finite_step(unit: Any, place: int) -> int:
    """Return 1 where inputs are not finite: how many; their address."""
    f = carray(pointer(place, place), FIELDS)
    x, wrong = carray(pointer(unit, f[2]), f[1]), False
    for n in range(len(x)):
        wrong |= x[n] - x[n] != 0
    return 1 if wrong else 0


def known_step(unit: Any, place: int) -> int:
    """Return 1 where row numbers are none of 0 to count - 1: how many; their address; count."""
    f = carray(pointer(place, place), FIELDS)
    numbers, wrong = carray(pointer(place, f[2]), f[1]), False
    for n in range(len(numbers)):
        wrong |= numbers[n] < 0 or numbers[n] >= f[3]
    return 1 if wrong else 0


@part
def inputs_of_row(unit: Any, f: Array, width: int) -> Any:
    """Return the members of `groups.Inputs` from the fields of a cell's row; `width` is that of U's rows."""
    numbers = carray(pointer(f[0], f[6]), f[7])
    return f[5], np.intp(0), f[2], numbers, carray(pointer(unit, f[8]), (f[9], width))


def lstm_step(unit: Any, place: int) -> int:
    """Run one step of an LSTM: PU, PW, Pb; gates, c, h; the working array and its length."""
    f = carray(pointer(place, place), FIELDS)
    B, I, H, V = f[1], f[2], f[3], BYTES // bytes_of(unit)
    panels = -(-H // V)
    packed = (
        carray(pointer(unit, f[ARRAYS]), (panels, I, 4 * V)),
        carray(pointer(unit, f[ARRAYS + 1]), (panels, H, 4 * V)),
        carray(pointer(unit, f[ARRAYS + 2]), (panels, 1, 4 * V)),
    )
    tape = (
        carray(pointer(unit, f[ARRAYS + 3]), (1, B, 4 * H)),
        carray(pointer(unit, f[ARRAYS + 4]), (2, B, H)),
        carray(pointer(unit, f[ARRAYS + 5]), (2, B, H)),
    )
    work = carray(pointer(unit, f[ARRAYS + 6]), f[ARRAYS + 7])
    f[TURN] = 1 - f[TURN]
    lstm.forward(unit, f[TURN], inputs_of_row(unit, f, 4 * H), packed, tape, work, work[:0])
    return 0


def general_lstm_step(unit: Any, place: int) -> int:
    """Run one step of an LSTM of as many units as field 4 says, below zero with a norm: PU, PW, PP, b, scales; gates,
    c, h; the working array, sums, and o ∘ tanh c, with their lengths."""
    f = carray(pointer(place, place), FIELDS)
    B, I, R, H, V = f[1], f[2], f[3], abs(f[4]), BYTES // bytes_of(unit)
    across, of_h = -(-4 * H // V) * V, -(-R // V) * V
    packed = (
        carray(pointer(unit, f[ARRAYS]), I * across),
        carray(pointer(unit, f[ARRAYS + 1]), R * across),
        carray(pointer(unit, f[ARRAYS + 2]), H * of_h if R < H else 0),
        carray(pointer(unit, f[ARRAYS + 3]), 4 * H),
        carray(pointer(unit, f[ARRAYS + 4]), 10 * H if f[4] < 0 else 0),
    )
    tape = (
        carray(pointer(unit, f[ARRAYS + 5]), (1, B, 4 * H)),
        carray(pointer(unit, f[ARRAYS + 6]), (2, B, H)),
        carray(pointer(unit, f[ARRAYS + 7]), (2, B, R)),
    )
    sums = carray(pointer(unit, f[ARRAYS + 9]), (1, B, 4 * H))
    made = carray(pointer(unit, f[ARRAYS + 10]), (1, B, H))
    scratch = carray(pointer(unit, f[ARRAYS + 8]), f[ARRAYS + 11]), sums, sums[:0], made, packed[0][:0]
    lstm_general.forward(unit, inputs_of_row(unit, f, 4 * H), packed, tape, scratch)
    return 0


def gru_after_step(unit: Any, place: int) -> int:
    """Run one step of a GRU with reset=after: PU, PW, Pb; gates, q, h; the working array and its length."""
    f = carray(pointer(place, place), FIELDS)
    B, I, H, V = f[1], f[2], f[3], BYTES // bytes_of(unit)
    panels = -(-H // V)
    packed = (
        carray(pointer(unit, f[ARRAYS]), (panels, I, 3 * V)),
        carray(pointer(unit, f[ARRAYS + 1]), (panels, H, 3 * V)),
        carray(pointer(unit, f[ARRAYS + 2]), (panels, 1, 4 * V)),
    )
    tape = (
        carray(pointer(unit, f[ARRAYS + 3]), (1, B, 3 * H)),
        carray(pointer(unit, f[ARRAYS + 4]), (1, B, H)),
        carray(pointer(unit, f[ARRAYS + 5]), (2, B, H)),
    )
    work = carray(pointer(unit, f[ARRAYS + 6]), f[ARRAYS + 7])
    gru_after.forward(unit, inputs_of_row(unit, f, 3 * H), packed, tape, work, work[:0])
    return 0


def gru_normed_step(unit: Any, place: int) -> int:
    """Run one step of a GRU with a norm: PU, PW, b, bn, scales; gates, q, h; the working array, sums; their lengths."""
    f = carray(pointer(place, place), FIELDS)
    B, I, H, V = f[1], f[2], f[3], BYTES // bytes_of(unit)
    across = -(-3 * H // V) * V
    packed = (
        carray(pointer(unit, f[ARRAYS]), I * across),
        carray(pointer(unit, f[ARRAYS + 1]), H * across),
        carray(pointer(unit, f[ARRAYS + 2]), 3 * H),
        carray(pointer(unit, f[ARRAYS + 3]), H),
        carray(pointer(unit, f[ARRAYS + 4]), 6 * H),
    )
    tape = (
        carray(pointer(unit, f[ARRAYS + 5]), (1, B, 3 * H)),
        carray(pointer(unit, f[ARRAYS + 6]), (1, B, H)),
        carray(pointer(unit, f[ARRAYS + 7]), (2, B, H)),
    )
    work = carray(pointer(unit, f[ARRAYS + 8]), f[ARRAYS + 10])
    product = carray(pointer(unit, f[ARRAYS + 9]), (1, B, 3 * H))
    gru_normed.forward(unit, inputs_of_row(unit, f, 3 * H), packed, tape, work, product)
    return 0


def gru_before_step(unit: Any, place: int) -> int:
    """Run one step of a GRU with reset=before: PUrz, PU, PWrz, PWn, b; gates, h; r h."""
    f = carray(pointer(place, place), FIELDS)
    B, I, H, V = f[1], f[2], f[3], BYTES // bytes_of(unit)
    of_rz, of_n = -(-2 * H // V) * V, -(-H // V) * V
    packed = (
        carray(pointer(unit, f[ARRAYS]), I * of_rz),
        carray(pointer(unit, f[ARRAYS + 1]), I * of_n),
        carray(pointer(unit, f[ARRAYS + 2]), H * of_rz),
        carray(pointer(unit, f[ARRAYS + 3]), H * of_n),
        carray(pointer(unit, f[ARRAYS + 4]), 3 * H),
    )
    tape = (
        carray(pointer(unit, f[ARRAYS + 5]), (1, B, 3 * H)),
        carray(pointer(unit, f[ARRAYS + 6]), (2, B, H)),
    )
    reset = carray(pointer(unit, f[ARRAYS + 7]), (1, B, H))
    nothing = packed[0][:0]
    gru_before.forward(unit, inputs_of_row(unit, f, 3 * H), packed, tape, reset, nothing)
    return 0


def elman_step(unit: Any, place: int) -> int:
    """Run one step of a simple recurrent layer, whose activation is field 4: PU, PW, b; h."""
    f = carray(pointer(place, place), FIELDS)
    B, I, H, V = f[1], f[2], f[3], BYTES // bytes_of(unit)
    across = -(-H // V) * V
    packed = (
        carray(pointer(unit, f[ARRAYS]), I * across),
        carray(pointer(unit, f[ARRAYS + 1]), H * across),
        carray(pointer(unit, f[ARRAYS + 2]), H),
    )
    h = carray(pointer(unit, f[ARRAYS + 3]), (2, B, H))
    elman.forward(unit, f[4], inputs_of_row(unit, f, H), packed, h, packed[0][:0])
    return 0


def linear_step(unit: Any, place: int) -> int:
    """Run one step of a mingru or minlstm, whose number of gates is field 4: PU, b; gates, h."""
    f = carray(pointer(place, place), FIELDS)
    B, I, H, count, V = f[1], f[2], f[3], f[4], BYTES // bytes_of(unit)
    width = count * H
    packed = carray(pointer(unit, f[ARRAYS]), -(-width // V) * V * I), carray(pointer(unit, f[ARRAYS + 1]), width)
    tape = (
        carray(pointer(unit, f[ARRAYS + 2]), (1, B, width)),
        carray(pointer(unit, f[ARRAYS + 3]), (2, B, H)),
    )
    linear.forward(unit, count, inputs_of_row(unit, f, width), packed, tape)
    return 0


def independent_step(unit: Any, place: int) -> int:
    """Run one step of an indrnn, whose activation is field 4: PU, w, b; h."""
    f = carray(pointer(place, place), FIELDS)
    B, I, H, V = f[1], f[2], f[3], BYTES // bytes_of(unit)
    packed = (
        carray(pointer(unit, f[ARRAYS]), -(-H // V) * V * I),
        carray(pointer(unit, f[ARRAYS + 1]), H),
        carray(pointer(unit, f[ARRAYS + 2]), H),
    )
    independent.forward(unit, f[4], inputs_of_row(unit, f, H), packed, carray(pointer(unit, f[ARRAYS + 3]), (2, B, H)))
    return 0


def lru_step(unit: Any, place: int) -> int:
    """Run one step of a linear recurrent unit of as many states as field 4 says: PU, PC, zeros, factor, b; s, y."""
    f = carray(pointer(place, place), FIELDS)
    B, I, units, N, V = f[1], f[2], f[3], 2 * f[4], BYTES // bytes_of(unit)
    packed = (
        carray(pointer(unit, f[ARRAYS]), -(-N // V) * V * I),
        carray(pointer(unit, f[ARRAYS + 1]), -(-units // V) * V * N),
        carray(pointer(unit, f[ARRAYS + 2]), N),
        carray(pointer(unit, f[ARRAYS + 3]), N),
        carray(pointer(unit, f[ARRAYS + 4]), units),
    )
    tape = (
        carray(pointer(unit, f[ARRAYS + 5]), (2, B, N)),
        carray(pointer(unit, f[ARRAYS + 6]), (1, B, units)),
    )
    lru.forward(unit, inputs_of_row(unit, f, N), packed, tape)
    return 0


def gated_linear_step(unit: Any, place: int) -> int:
    """Run one step of an rglru: PU, b, fading; gates, h."""
    f = carray(pointer(place, place), FIELDS)
    B, H, V = f[1], f[3], BYTES // bytes_of(unit)
    packed = (
        carray(pointer(unit, f[ARRAYS]), -(-2 * H // V) * V * H),
        carray(pointer(unit, f[ARRAYS + 1]), 2 * H),
        carray(pointer(unit, f[ARRAYS + 2]), H),
    )
    tape = (
        carray(pointer(unit, f[ARRAYS + 3]), (1, B, 2 * H)),
        carray(pointer(unit, f[ARRAYS + 4]), (2, B, H)),
    )
    gated_linear.forward(unit, f[5], inputs_of_row(unit, f, 2 * H), packed, tape)
    return 0


def selective_step(unit: Any, place: int) -> int:
    """Run one step of a selective state space whose rank and states are field 4: PU, PR, zeros, b, A, D; made, step, s,
    y."""
    f = carray(pointer(place, place), FIELDS)
    B, I, rank, N, V = f[1], f[3], f[4] >> 20, f[4] & (1 << 20) - 1, BYTES // bytes_of(unit)
    columns = rank + 2 * N
    packed = (
        carray(pointer(unit, f[ARRAYS]), -(-columns // V) * V * I),
        carray(pointer(unit, f[ARRAYS + 1]), -(-I // V) * V * rank),
        carray(pointer(unit, f[ARRAYS + 2]), columns),
        carray(pointer(unit, f[ARRAYS + 3]), I),
        carray(pointer(unit, f[ARRAYS + 4]), (I, N)),
        carray(pointer(unit, f[ARRAYS + 5]), I),
    )
    tape = (
        carray(pointer(unit, f[ARRAYS + 6]), (1, B, columns)),
        carray(pointer(unit, f[ARRAYS + 7]), (1, B, I)),
        carray(pointer(unit, f[ARRAYS + 8]), (2, B, I * N)),
        carray(pointer(unit, f[ARRAYS + 9]), (1, B, I)),
    )
    selective.forward(unit, f[5], inputs_of_row(unit, f, columns), packed, tape)
    return 0


def attention_step(unit: Any, place: int) -> int:
    """Run one step of linear attention whose keys and heads are field 4: PU, bias; made, S, y; the working array."""
    f = carray(pointer(place, place), FIELDS)
    B, I, width, keys, heads, V = f[1], f[2], f[3], f[4] >> 20, f[4] & (1 << 20) - 1, BYTES // bytes_of(unit)
    columns = 2 * heads * keys + width + heads
    packed = (
        carray(pointer(unit, f[ARRAYS]), -(-columns // V) * V * I),
        carray(pointer(unit, f[ARRAYS + 1]), columns),
    )
    tape = (
        carray(pointer(unit, f[ARRAYS + 2]), (1, B, columns)),
        carray(pointer(unit, f[ARRAYS + 3]), (2, B, keys * width)),
        carray(pointer(unit, f[ARRAYS + 4]), (1, B, width)),
    )
    work = carray(pointer(unit, f[ARRAYS + 5]), f[ARRAYS + 6])
    attention.forward(unit, heads, inputs_of_row(unit, f, columns), packed, tape, work)
    return 0


@part
def four_sums_of_row(unit: Any, f: Array) -> Any:
    """Return the members of `recurrent.Packed` from the fields of a cell's row."""
    I, H, V = f[2], f[3], BYTES // bytes_of(unit)
    across = -(-4 * H // V) * V
    return (
        carray(pointer(unit, f[ARRAYS]), I * across),
        carray(pointer(unit, f[ARRAYS + 1]), H * across),
        carray(pointer(unit, f[ARRAYS + 2]), 4 * H),
    )


def peephole_step(unit: Any, place: int) -> int:
    """Run one step of an LSTM with peepholes: PU, PW, b, p; gates, c, h."""
    f = carray(pointer(place, place), FIELDS)
    B, H = f[1], f[3]
    tape = (
        carray(pointer(unit, f[ARRAYS + 4]), (1, B, 4 * H)),
        carray(pointer(unit, f[ARRAYS + 5]), (2, B, H)),
        carray(pointer(unit, f[ARRAYS + 6]), (2, B, H)),
    )
    p = carray(pointer(unit, f[ARRAYS + 3]), 3 * H)
    peephole.forward(unit, inputs_of_row(unit, f, 4 * H), four_sums_of_row(unit, f), p, tape)
    return 0


def slstm_step(unit: Any, place: int) -> int:
    """Run one step of an slstm: PU, PW, b; gates, h, c, n, m."""
    f = carray(pointer(place, place), FIELDS)
    B, H = f[1], f[3]
    tape = (
        carray(pointer(unit, f[ARRAYS + 3]), (1, B, 5 * H)),
        carray(pointer(unit, f[ARRAYS + 4]), (2, B, H)),
        carray(pointer(unit, f[ARRAYS + 5]), (2, B, H)),
        carray(pointer(unit, f[ARRAYS + 6]), (2, B, H)),
        carray(pointer(unit, f[ARRAYS + 7]), (2, B, H)),
    )
    slstm.forward(unit, inputs_of_row(unit, f, 4 * H), four_sums_of_row(unit, f), tape)
    return 0


def readout_step(unit: Any, place: int) -> int:
    """Run a readout: rows, H, outputs; the addresses of h, packed V, c, and the outputs."""
    f = carray(pointer(place, place), FIELDS)
    bias = (f[6], 0, BYTES // bytes_of(unit))
    multiply(unit, Matrix(f[4], f[1], f[2], f[2]), f[5], f[3], bias, f[7])
    return 0


def softmax_step(unit: Any, place: int) -> int:
    """Make probabilities of outputs: rows, width; their address."""
    f = carray(pointer(place, place), FIELDS)
    probabilities(unit, carray(pointer(unit, f[3]), (f[1], f[2])))
    return 0


def move_step(unit: Any, place: int) -> int:
    """Copy values: how many; from which address to which."""
    f = carray(pointer(place, place), FIELDS)
    z = bytes_of(unit)
    for j in range(0, f[1], BYTES // z):
        copy(unit, f[1] - j, (f[2] + j * z,), (f[3] + j * z,))
    return 0


@functools.cache
def address_of_step(step: Callable[..., int], dtype: str) -> Any:
    """Return the address of the machine code of a step, which it compiles or loads where that is still to be done."""
    unit = {"float32": types.float32, "float64": types.float64}[dtype]
    make_shared_ready(step, unit)
    with kept():
        compiled = CFunc(step, ((unit, types.intp), types.intp), {}, {"nopython": True})
        compiled.enable_caching()
        guard_files(compiled)
        compiled.compile()
    _compiled.append(compiled)
    return compiled.address


_compiled: list[CFunc] = []
"""Machine code lasts as long as these objects."""
