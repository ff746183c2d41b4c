"""Block kernels of slstm; the formulas are those of `rnnframe_cells.slstm`, on lanes."""

from typing import Any, NamedTuple

import numpy as np

from rnnframe.plugin import Array
from rnnframe_compiled.functions import exp, log_sigmoid, sigmoid, tanh
from rnnframe_compiled.gradients import add_block_gradients
from rnnframe_compiled.groups import Gradients, Inputs, Matrix
from rnnframe_compiled.lanes import BYTES, Lanes, address_of, bytes_of, lanewise
from rnnframe_compiled.making import kernel
from rnnframe_compiled.products import add_values
from rnnframe_compiled.recurrent import Packed, Scratch, reverse_step_sums, write_step_sums


class Tape(NamedTuple):
    """z, i, f, o and σ(s_f) [L, B, 5H]; h, c, n and m [L + 1, B, H], in row 0 the state before the block."""

    gates: Array
    h: Array
    c: Array
    n: Array
    m: Array


class State(NamedTuple):
    """The gradients of h, c, n and m [B, H], on their way from the state after the block to that before it."""

    h: Array
    c: Array
    n: Array
    m: Array


def _least(n: Lanes) -> float:
    return float(np.finfo(np.float32 if n.single else np.float64).tiny)


def _size(n: Lanes) -> Lanes:
    return (n * -1.0).or_larger(n)


def _denominator(n: Lanes) -> Lanes:
    """n, or the smallest normal number where n has vanished."""
    return (_size(n) - _least(n)).if_positive(n, n.number(_least(n)))


@lanewise
def step(s_z: Any, s_i: Any, s_f: Any, s_o: Any, c_old: Any, n_old: Any, m_old: Any) -> Any:
    """Return z, i, f, o and σ(s_f), and h, c, n and m."""
    z, o, forget = tanh(s_z), sigmoid(s_o), sigmoid(s_f)
    kept = m_old + log_sigmoid(s_f)
    m = s_i.or_larger(kept)
    i, f = exp(s_i - m), exp(kept - m)
    c, n = f.fma(c_old, i * z), f.fma(n_old, i)
    return z, i, f, o, forget, o * c / _denominator(n), c, n, m


@lanewise
def reverse_step(
    z: Any,
    i: Any,
    f: Any,
    o: Any,
    forget: Any,
    c: Any,
    n: Any,
    c_old: Any,
    n_old: Any,
    dh: Any,
    dc: Any,
    dn: Any,
    dm: Any,
) -> Any:
    """Return the gradients of the four sums, and of c, n and m of the step before."""
    none = z.number(0)
    denominator = _denominator(n)
    ratio, dratio = c / denominator, dh * o / denominator
    dc = dc + dratio
    dn = dn - (_size(n) - _least(n)).if_positive(dratio * ratio, none)
    of_f, of_i = dc.fma(c_old, dn * n_old) * f, dc.fma(z, dn) * i
    dm = dm - of_f - of_i
    smaller = i - f  # f is one where it is what m was taken from
    dkept, ds_i = of_f + smaller.if_positive(none, dm), of_i + smaller.if_positive(dm, none)
    ds_z, ds_o = dc * i * (1.0 - z * z), dh * ratio * (o * (1.0 - o))
    return ds_z, ds_i, dkept * (1.0 - forget), ds_o, dc * f, dn * f, dkept


@kernel
def forward(unit: Any, inputs: Inputs, packed: Packed, tape: Tape) -> None:
    """Run the block: write the gates, and the states from their row 1 on."""
    tape = Tape(*tape)
    z = bytes_of(unit)
    L, B, H = tape.gates.shape[0], tape.gates.shape[1], tape.h.shape[2]
    at_gates, at_h, at_c = address_of(tape.gates), address_of(tape.h), address_of(tape.c)
    at_n, at_m = address_of(tape.n), address_of(tape.m)
    for t in range(L):
        write_step_sums(unit, t, inputs, packed, tape.h, Matrix(at_gates + t * B * 5 * H * z, B, 4 * H, 5 * H))
        for row in range(t * B, (t + 1) * B):
            for j in range(0, H, BYTES // z):
                q, here = at_gates + (row * 5 * H + j) * z, (row * H + j) * z
                after = here + B * H * z
                four = q, q + H * z, q + 2 * H * z, q + 3 * H * z
                states = at_h + after, at_c + after, at_n + after, at_m + after
                step(unit, H - j, (*four, at_c + here, at_n + here, at_m + here), (*four, q + 4 * H * z, *states))


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
    tape, dstate, scratch = Tape(*tape), State(*dstate), Scratch(*scratch)
    z = bytes_of(unit)
    L, B, H = dh.shape
    work, dz = scratch
    at_gates, at_c, at_n, at_dz = address_of(tape.gates), address_of(tape.c), address_of(tape.n), address_of(dz)
    dh_t, dc_t, dn_t, dm_t = address_of(dstate.h), address_of(dstate.c), address_of(dstate.n), address_of(dstate.m)
    work[: BYTES // z] = 0
    add_values(unit, B * H, address_of(dh) + (L - 1) * B * H * z, dh_t)
    for t in range(L - 1, -1, -1):
        for r in range(B):
            row = t * B + r
            for j in range(0, H, BYTES // z):
                q, d, k = at_gates + (row * 5 * H + j) * z, at_dz + (row * 4 * H + j) * z, (r * H + j) * z
                here = (row * H + j) * z
                after = here + B * H * z
                gates = q, q + H * z, q + 2 * H * z, q + 3 * H * z, q + 4 * H * z
                states = at_c + after, at_n + after, at_c + here, at_n + here
                carried = dc_t + k, dn_t + k, dm_t + k
                sums = d, d + H * z, d + 2 * H * z, d + 3 * H * z
                reverse_step(unit, H - j, (*gates, *states, dh_t + k, *carried), (*sums, *carried))
        reverse_step_sums(unit, t, dz, PWT, dh, dh_t, address_of(work))
    add_block_gradients(unit, Inputs(*inputs), tape.h, dz, Gradients(*gradients), work)
