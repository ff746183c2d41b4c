"""Block kernels of rglru: one product for all steps, then gates and recurrence in one pass.

The formulas are those of `rnnframe_cells.gated_linear`, on lanes. a = exp(-u) with u = r ∘ fading, and with t = tanh u
√(1 - a²) is √(2t / (1 + t)), which is right where u is small.
"""

from typing import Any, NamedTuple

import numpy as np

from rnnframe.plugin import Array
from rnnframe_compiled.functions import exp, sigmoid, tanh
from rnnframe_compiled.groups import Inputs
from rnnframe_compiled.lanes import BYTES, Lanes, address_of, bytes_of, lanewise
from rnnframe_compiled.making import kernel
from rnnframe_compiled.rare import rare
from rnnframe_compiled.sums import Gradients, add_sums_gradients, write_sums


class Packed(NamedTuple):
    """K, packed by `pack_columns`; b [2H] and fading [H]."""

    PU: Array
    b: Array
    fading: Array


class Tape(NamedTuple):
    """The gates r and i [L, B, 2H]; h [L + 1, B, H], in row 0 the state before the block."""

    gates: Array
    h: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`; the gradients of the sums [L, B, 2H], of x but by them [L, B, H],
    and of fading [H]."""

    work: Array
    dz: Array
    direct: Array
    dfading: Array


def _root(u: Lanes) -> Lanes:
    """√(1 - exp(-2u))."""
    t = tanh(u)
    return ((t + t) / (t + 1.0)).root()


def _next(r: Lanes, i: Lanes, fading: Lanes, x: Lanes, h_old: Lanes) -> Lanes:
    """h."""
    u = r * fading
    return exp(u * -1.0).fma(h_old, _root(u) * (i * x))


@lanewise
def step(s_r: Any, s_i: Any, fading: Any, x: Any, h_old: Any) -> Any:
    """Return r, i and h."""
    r, i = sigmoid(s_r), sigmoid(s_i)
    return r, i, _next(r, i, fading, x, h_old)


@lanewise
def again(r: Any, i: Any, fading: Any, x: Any, h_old: Any) -> Any:
    """Return h."""
    return _next(r, i, fading, x, h_old)


@lanewise
def reverse_step(r: Any, i: Any, fading: Any, x: Any, h_old: Any, dh: Any, carried: Any, dfading: Any) -> Any:
    """Return the gradients of both sums, of x but by them, of the h before, and fading's with this step added."""
    u, d = r * fading, dh + carried
    a, root = exp(u * -1.0), _root(u)
    least = float(np.finfo(np.float32 if r.single else np.float64).tiny) ** 0.5  # where r is zero, and what comes out
    du = d * a * (i * x * a / root.at_least(least) - h_old)
    taken = d * root
    return du * fading * (r * (1.0 - r)), taken * x * (i * (1.0 - i)), taken * i, d * a, du.fma(r, dfading)


@kernel
def forward(unit: Any, x: int, inputs: Inputs, packed: Packed, tape: Tape) -> None:
    """Run the block: write the gates, and h from its row 1 on; x [L, B, H] is at an address."""
    packed, tape = Packed(*packed), Tape(*tape)
    z = bytes_of(unit)
    B, H = tape.h.shape[1], tape.h.shape[2]
    at_gates, at_h, fading = address_of(tape.gates), address_of(tape.h), address_of(packed.fading)
    write_sums(unit, inputs, packed.PU, packed.b, tape.gates)
    for row in range(tape.gates.shape[0] * B):
        for j in range(0, H, BYTES // z):
            q, here = at_gates + (row * 2 * H + j) * z, (row * H + j) * z
            after = at_h + here + B * H * z
            step(unit, H - j, (q, q + H * z, fading + j * z, x + here, at_h + here), (q, q + H * z, after))


@rare("what a tape leaves out")
def rebuild(unit: Any, x: int, packed: Packed, tape: Tape) -> None:
    """Make h again from the gates, x and the h before the block."""
    packed, tape = Packed(*packed), Tape(*tape)
    z = bytes_of(unit)
    B, H = tape.h.shape[1], tape.h.shape[2]
    at_gates, at_h, fading = address_of(tape.gates), address_of(tape.h), address_of(packed.fading)
    for row in range(tape.gates.shape[0] * B):
        for j in range(0, H, BYTES // z):
            q, here = at_gates + (row * 2 * H + j) * z, (row * H + j) * z
            after = at_h + here + B * H * z
            again(unit, H - j, (q, q + H * z, fading + j * z, x + here, at_h + here), (after,))


@kernel
def backward(
    unit: Any,
    x: int,
    inputs: Inputs,
    fading: Array,
    tape: Tape,
    dh: Array,
    dstate: Array,
    scratch: Scratch,
    gradients: Gradients,
) -> None:
    """Reverse the block: dh [L, B, H] are the gradients of its h.

    dstate [B, H] is the gradient of the state after the block, and becomes that of the state before it. Those of x but
    by the sums, and of fading, are written, not added to.
    """
    tape, scratch, gradients = Tape(*tape), Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    L, B, H = dh.shape
    scratch.dfading[:] = 0
    at_gates, at_h, at_dh, at_dz = (
        address_of(tape.gates),
        address_of(tape.h),
        address_of(dh),
        address_of(scratch.dz),
    )
    carried, direct, at_fading, at_dfading = (
        address_of(dstate),
        address_of(scratch.direct),
        address_of(fading),
        address_of(scratch.dfading),
    )
    for t in range(L - 1, -1, -1):
        for r in range(B):
            row = t * B + r
            for j in range(0, H, BYTES // z):
                q, d = at_gates + (row * 2 * H + j) * z, at_dz + (row * 2 * H + j) * z
                here, c, f = (row * H + j) * z, carried + (r * H + j) * z, at_dfading + j * z
                given = q, q + H * z, at_fading + j * z, x + here, at_h + here, at_dh + here, c, f
                reverse_step(unit, H - j, given, (d, d + H * z, direct + here, c, f))
    u, b = address_of(gradients.U), address_of(gradients.b)
    add_sums_gradients(unit, inputs, scratch.dz, u, b, scratch.work)
