"""Block kernels of mingru and minlstm: one product for all steps, then gates and recurrence in one pass.

The formulas are those of `rnnframe_cells.linear`, on lanes.
"""

from typing import Any, NamedTuple

import numpy as np

from rnnframe.plugin import Array
from rnnframe_compiled.functions import sigmoid
from rnnframe_compiled.groups import Inputs
from rnnframe_compiled.lanes import BYTES, Lanes, address_of, bytes_of, lanewise
from rnnframe_compiled.making import kernel
from rnnframe_compiled.rare import rare
from rnnframe_compiled.sums import Gradients, add_sums_gradients, write_sums

GRU, LSTM = 2, 3
"""Columns of U for every unit, which tell the two cells apart."""


class Packed(NamedTuple):
    """U, packed by `pack_columns`, and b [gates·H]."""

    PU: Array
    b: Array


class Tape(NamedTuple):
    """The gates, and v before g [L, B, gates·H]; h [L + 1, B, H], in row 0 the state before the block."""

    gates: Array
    h: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`, and dz [L, B, gates·H], the gradients of the sums."""

    work: Array
    dz: Array


def _positive(v: Lanes) -> Lanes:
    """g(v)."""
    return v.if_positive(v + 0.5, sigmoid(v))


def _slope(v: Lanes, g: Lanes) -> Lanes:
    """g'(v)."""
    return v.if_positive(g.number(1), g * (1.0 - g))


def _share(f: Lanes, i: Lanes) -> Lanes:
    """i / (f + i), 0 where both are."""
    return i / (f + i).at_least(float(np.finfo(np.float32 if f.single else np.float64).tiny))


def _mix(share: Lanes, v: Lanes, h_old: Lanes) -> Lanes:
    """h."""
    return (1.0 - share).fma(h_old, share * _positive(v))


@lanewise
def gru_step(s_z: Any, v: Any, h_old: Any) -> Any:
    """Return z, v and h."""
    z = sigmoid(s_z)
    return z, v, _mix(z, v, h_old)


@lanewise
def gru_again(z: Any, v: Any, h_old: Any) -> Any:
    """Return h."""
    return _mix(z, v, h_old)


@lanewise
def gru_reverse(z: Any, v: Any, h_old: Any, dh: Any, carried: Any) -> Any:
    """Return the gradients of both sums and of the h before."""
    g, d, kept = _positive(v), dh + carried, 1.0 - z
    taken = d * z
    return (g - h_old) * (taken * kept), taken * _slope(v, g), d * kept


@lanewise
def lstm_step(s_f: Any, s_i: Any, v: Any, h_old: Any) -> Any:
    """Return f, i, v and h."""
    f, i = sigmoid(s_f), sigmoid(s_i)
    return f, i, v, _mix(_share(f, i), v, h_old)


@lanewise
def lstm_again(f: Any, i: Any, v: Any, h_old: Any) -> Any:
    """Return h."""
    return _mix(_share(f, i), v, h_old)


@lanewise
def lstm_reverse(f: Any, i: Any, v: Any, h_old: Any, dh: Any, carried: Any) -> Any:
    """Return the gradients of the three sums and of the h before."""
    g, d, share = _positive(v), dh + carried, _share(f, i)
    kept, taken = 1.0 - share, d * share
    of_share = (g - h_old) * (taken * kept)
    return of_share * (f - 1.0), of_share * (1.0 - i), taken * _slope(v, g), d * kept


@kernel
def forward(unit: Any, count: int, inputs: Inputs, packed: Packed, tape: Tape) -> None:
    """Run the block of a cell with `count` gates: write the gates, and h from its row 1 on."""
    packed, tape = Packed(*packed), Tape(*tape)
    z = bytes_of(unit)
    B, H = tape.h.shape[1], tape.h.shape[2]
    at_gates, at_h = address_of(tape.gates), address_of(tape.h)
    write_sums(unit, inputs, packed.PU, packed.b, tape.gates)
    for row in range(tape.gates.shape[0] * B):
        for j in range(0, H, BYTES // z):
            q, before = at_gates + (row * count * H + j) * z, at_h + (row * H + j) * z
            after = before + B * H * z
            if count == GRU:
                gru_step(unit, H - j, (q, q + H * z, before), (q, q + H * z, after))
            else:
                three = q, q + H * z, q + 2 * H * z
                lstm_step(unit, H - j, (*three, before), (*three, after))


@rare("what a tape leaves out")
def rebuild(unit: Any, count: int, tape: Tape) -> None:
    """Make h again from the gates and the h before the block."""
    tape = Tape(*tape)
    z = bytes_of(unit)
    B, H = tape.h.shape[1], tape.h.shape[2]
    at_gates, at_h = address_of(tape.gates), address_of(tape.h)
    for row in range(tape.gates.shape[0] * B):
        for j in range(0, H, BYTES // z):
            q, before = at_gates + (row * count * H + j) * z, at_h + (row * H + j) * z
            after = before + B * H * z
            if count == GRU:
                gru_again(unit, H - j, (q, q + H * z, before), (after,))
            else:
                lstm_again(unit, H - j, (q, q + H * z, q + 2 * H * z, before), (after,))


@kernel
def backward(
    unit: Any, count: int, inputs: Inputs, tape: Tape, dh: Array, dstate: Array, scratch: Scratch, gradients: Gradients
) -> None:
    """Reverse the block: dh [L, B, H] are the gradients of its h.

    dstate [B, H] is the gradient of the state after the block, and becomes that of the state before it.
    """
    inputs, tape = Inputs(*inputs), Tape(*tape)
    scratch, gradients = Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    L, B, H = dh.shape
    at_gates, at_h, at_dh, at_dz, carried = (
        address_of(tape.gates),
        address_of(tape.h),
        address_of(dh),
        address_of(scratch.dz),
        address_of(dstate),
    )
    for t in range(L - 1, -1, -1):
        for r in range(B):
            row = t * B + r
            for j in range(0, H, BYTES // z):
                q, d = at_gates + (row * count * H + j) * z, at_dz + (row * count * H + j) * z
                h, dh_t, c = at_h + (row * H + j) * z, at_dh + (row * H + j) * z, carried + (r * H + j) * z
                if count == GRU:
                    gru_reverse(unit, H - j, (q, q + H * z, h, dh_t, c), (d, d + H * z, c))
                else:
                    lstm_reverse(
                        unit,
                        H - j,
                        (q, q + H * z, q + 2 * H * z, h, dh_t, c),
                        (d, d + H * z, d + 2 * H * z, c),
                    )
    u, b = address_of(gradients.U), address_of(gradients.b)
    add_sums_gradients(unit, inputs, scratch.dz, u, b, scratch.work)
