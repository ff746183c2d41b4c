"""Block kernels of the LSTM: the gates are computed while the sums of their tile are still at hand.

The formulas are those of `rnnframe_cells.lstm`, on lanes.
"""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled.functions import sigmoid, tanh
from rnnframe_compiled.gradients import add_block_gradients
from rnnframe_compiled.groups import Gradients, Inputs, Matrix
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.making import kernel
from rnnframe_compiled.moves import expect_read, expect_write
from rnnframe_compiled.pairs import operand, words_for
from rnnframe_compiled.products import (
    FEW,
    NEAR,
    ROWS4,
    add_gates,
    add_values,
    copy_gates,
    multiply,
    multiply_few,
)
from rnnframe_compiled.rare import rare
from rnnframe_compiled.tiles import both4


class Packed(NamedTuple):
    """Packed U, W and b, each [panels, terms, 4·V]: a panel for every vector of V units, its gates side by side."""

    PU: Array
    PW: Array
    Pb: Array


class Tape(NamedTuple):
    """The gates i, f, g, o [L, B, 4H]; c and h [L + 1, B, H or less], in row 0 the state before the block."""

    gates: Array
    c: Array
    h: Array


class State(NamedTuple):
    """The gradients of h and c [B, H], on their way from the state after the block to that before it."""

    h: Array
    c: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`; dz [L, B, 4H], which becomes the gradients of the sums.

    `left` is room for left operands, as `RecurrentTwin.left` says.
    """

    work: Array
    dz: Array
    left: Array


@lanewise
def step(z_i: Any, z_f: Any, z_g: Any, z_o: Any, c_old: Any) -> Any:
    """Return the gates, c and h."""
    i, f, g, o = sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o)
    c = f.fma(c_old, i * g)
    return i, f, g, o, c, o * tanh(c)


@lanewise
def remember(i: Any, f: Any, g: Any, o: Any, c_old: Any) -> Any:
    """Return c and h from the gates: as in `step`."""
    c = f.fma(c_old, i * g)
    return c, o * tanh(c)


@lanewise
def reverse_step(i: Any, f: Any, g: Any, o: Any, c: Any, c_old: Any, dh: Any, dc: Any) -> Any:
    """Return the gradients of the gates' sums, and dc of the step before."""
    y = tanh(c)
    dc = (dh * o).fma(1.0 - y * y, dc)
    dz_i = dc * g * (i * (1.0 - i))
    dz_f = dc * c_old * (f * (1.0 - f))
    dz_g = dc * i * (1.0 - g * g)
    dz_o = dh * y * (o * (1.0 - o))
    return dz_i, dz_f, dz_g, dz_o, dc * f


@kernel
def forward(unit: Any, start: int, inputs: Inputs, packed: Packed, tape: Tape, work: Array, left: Array) -> None:
    """Run the block, whose first step is number `start`: write the gates, and c and h from their row 1 on."""
    inputs, packed, tape = Inputs(*inputs), Packed(*packed), Tape(*tape)
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = tape.gates.shape[0], tape.gates.shape[1], tape.h.shape[2]
    x, I, numbers, rows = inputs.address, inputs.width, inputs.numbers, address_of(inputs.rows)
    pu, pw, pb = address_of(packed.PU), address_of(packed.PW), address_of(packed.Pb)
    at_gates, at_c, at_h = address_of(tape.gates), address_of(tape.c), address_of(tape.h)
    buffer = address_of(work) + (len(work) - ROWS4 * 4 * V) * z
    tiles = -(-B // ROWS4)
    summed = not x and len(numbers) == 0
    panels = -(-H // V)
    of_x, of_h = words_for(unit, I), words_for(unit, H)
    room = address_of(left)
    for t in range(L):
        backwards = (start + t) % 2  # every other step: what was read last is still near
        at_x = operand(unit, B, I, I, x + t * inputs.step_bytes, room)
        before = operand(unit, B, H, H, at_h + t * B * H * z, room + B * of_x * z)
        for number in range(panels):
            p = panels - 1 - number if backwards else number
            n = min(V, H - p * V)
            column = p * V
            weights_u, weights_w = pu + p * of_x * 4 * V * z, pw + p * of_h * 4 * V * z
            for i in range(tiles):
                first = B * i // tiles
                count = B * (i + 1) // tiles - first
                row = t * B + first
                for r in range(count if summed else 0):
                    copy_gates(unit, n, 4, rows + ((row + r) * 4 * H + column) * z, H, buffer + r * 4 * V * z)
                both4(
                    unit,
                    count,
                    V,
                    (buffer, 4 * V, V) if summed else (pb + p * 4 * V * z, 0, V),
                    (buffer, 4 * V, V),
                    (at_x + first * of_x * z, of_x, 1, weights_u, 4 * V, of_x),
                    (before + first * of_h * z, of_h, 1, weights_w, 4 * V, of_h),
                )
                for r in range(count):
                    a = buffer + r * 4 * V * z
                    if len(numbers):
                        add_gates(unit, n, 4, rows + (numbers[row + r] * 4 * H + column) * z, H, a)
                    q = at_gates + ((row + r) * 4 * H + column) * z
                    here = ((row + r) * H + column) * z
                    after = here + B * H * z
                    for g in range(4):
                        expect_write(q + (B * 4 * H + g * H) * z)
                    expect_write(at_c + after + B * H * z)
                    expect_write(at_h + after + B * H * z)
                    step(
                        unit,
                        n,
                        (a, a + V * z, a + 2 * V * z, a + 3 * V * z, at_c + here),
                        (q, q + H * z, q + 2 * H * z, q + 3 * H * z, at_c + after, at_h + after),
                    )


@lanewise
def gates_of(z_i: Any, z_f: Any, z_g: Any, z_o: Any) -> Any:
    """Return the gates: as in `step`."""
    return sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o)


@rare("gates that a tape leaves out")
def activate(unit: Any, gates: Array) -> None:
    """Make gates [L, B, 4H] of their sums, in place."""
    z = bytes_of(unit)
    H = gates.shape[2] // 4
    place = address_of(gates)
    for row in range(gates.shape[0] * gates.shape[1]):
        for j in range(0, H, BYTES // z):
            q = place + (row * 4 * H + j) * z
            four = (q, q + H * z, q + 2 * H * z, q + 3 * H * z)
            gates_of(unit, H - j, four, four)


@rare("what a tape leaves out")
def rebuild(unit: Any, tape: Tape) -> None:
    """Make c and h again from the gates and the c before the block."""
    gates, c, h = Tape(*tape)
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = gates.shape[0], gates.shape[1], h.shape[2]
    at_gates, at_c, at_h = address_of(gates), address_of(c), address_of(h)
    for row in range(L * B):
        for j in range(0, H, V):
            q = at_gates + (row * 4 * H + j) * z
            here = (row * H + j) * z
            after = here + B * H * z
            remember(
                unit, H - j, (q, q + H * z, q + 2 * H * z, q + 3 * H * z, at_c + here), (at_c + after, at_h + after)
            )


@kernel
def backward(
    unit: Any,
    inputs: Inputs,
    PWT: Array,
    tape: Tape,
    dh: Array,
    dstate: State,
    scratch: Scratch,
    gradients: Gradients,
) -> None:
    """Reverse the block: dh [L, B, H] are the gradients of its h, PWT is W transposed, packed by `pack_transposed`."""
    inputs, tape, dstate = Inputs(*inputs), Tape(*tape), State(*dstate)
    scratch, gradients = Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = tape.gates.shape[0], tape.gates.shape[1], tape.h.shape[2]
    work, dz, left = scratch
    at_gates, at_c, at_dh, at_dz = address_of(tape.gates), address_of(tape.c), address_of(dh), address_of(dz)
    dh_t, dc_t, pwt, size = address_of(dstate.h), address_of(dstate.c), address_of(PWT), B * H
    work[:V] = 0
    zeros = address_of(work)
    width = words_for(unit, 4 * H)
    few = B < FEW and 4 * H * H * z > NEAR
    add_values(unit, size, at_dh + (L - 1) * size * z, dh_t)
    for t in range(L - 1, -1, -1):
        for r in range(B):
            row = t * B + r
            for j in range(0, H, V):
                q = at_gates + (row * 4 * H + j) * z
                d = at_dz + (row * 4 * H + j) * z
                here = (row * H + j) * z
                carried = (r * H + j) * z
                for g in range(4):
                    expect_read(q + (g * H - B * 4 * H) * z)
                expect_read(at_c + here - B * H * z)
                expect_read(at_dh + here - B * H * z)
                reverse_step(
                    unit,
                    H - j,
                    (
                        q,
                        q + H * z,
                        q + 2 * H * z,
                        q + 3 * H * z,
                        at_c + here + B * H * z,
                        at_c + here,
                        dh_t + carried,
                        dc_t + carried,
                    ),
                    (d, d + H * z, d + 2 * H * z, d + 3 * H * z, dc_t + carried),
                )
        given = (at_dh + (t - 1) * size * z, H, V) if t else (zeros, 0, 0)
        sums = Matrix(operand(unit, B, 4 * H, 4 * H, at_dz + t * B * 4 * H * z, address_of(left)), B, width, width)
        if few:
            multiply_few(unit, sums, pwt, H, given, dh_t, t % 2)
        else:
            multiply(unit, sums, pwt, H, given, dh_t)
    add_block_gradients(unit, inputs, tape.h, dz, gradients, work)
