"""Block kernels of the LSTM with peepholes; the formulas are those of `rnnframe_cells.peephole`, on lanes."""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled import groups
from rnnframe_compiled.functions import sigmoid, tanh
from rnnframe_compiled.gradients import add_block_gradients
from rnnframe_compiled.groups import Inputs, Matrix
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.lstm import State, Tape
from rnnframe_compiled.making import kernel
from rnnframe_compiled.products import add_values
from rnnframe_compiled.recurrent import Packed, Scratch, reverse_step_sums, write_step_sums


class Gradients(NamedTuple):
    """The gradients of U, W, b and p, which are added to."""

    U: Array
    W: Array
    b: Array
    p: Array


@lanewise
def step(z_i: Any, z_f: Any, z_g: Any, z_o: Any, c_old: Any, p_i: Any, p_f: Any, p_o: Any) -> Any:
    """Return the gates, c and h."""
    i, f, g = sigmoid(p_i.fma(c_old, z_i)), sigmoid(p_f.fma(c_old, z_f)), tanh(z_g)
    c = f.fma(c_old, i * g)
    o = sigmoid(p_o.fma(c, z_o))
    return i, f, g, o, c, o * tanh(c)


@lanewise
def reverse_step(
    i: Any,
    f: Any,
    g: Any,
    o: Any,
    c: Any,
    c_old: Any,
    dh: Any,
    dc: Any,
    p_i: Any,
    p_f: Any,
    p_o: Any,
    dp_i: Any,
    dp_f: Any,
    dp_o: Any,
) -> Any:
    """Return the gradients of the gates' sums, dc of the step before, and p's with this step added."""
    y = tanh(c)
    dz_o = dh * y * (o * (1.0 - o))
    dc = dz_o.fma(p_o, (dh * o).fma(1.0 - y * y, dc))
    dz_i = dc * g * (i * (1.0 - i))
    dz_f = dc * c_old * (f * (1.0 - f))
    dz_g = dc * i * (1.0 - g * g)
    before = dz_i.fma(p_i, dz_f.fma(p_f, dc * f))
    return dz_i, dz_f, dz_g, dz_o, before, dz_i.fma(c_old, dp_i), dz_f.fma(c_old, dp_f), dz_o.fma(c, dp_o)


@kernel
def forward(unit: Any, inputs: Inputs, packed: Packed, p: Array, tape: Tape) -> None:
    """Run the block: write the gates, and c and h from their row 1 on; p [3H]."""
    tape = Tape(*tape)
    z = bytes_of(unit)
    L, B, H = tape.gates.shape[0], tape.gates.shape[1], tape.h.shape[2]
    at_gates, at_c, at_h, at_p = address_of(tape.gates), address_of(tape.c), address_of(tape.h), address_of(p)
    for t in range(L):
        write_step_sums(unit, t, inputs, packed, tape.h, Matrix(at_gates + t * B * 4 * H * z, B, 4 * H, 4 * H))
        for row in range(t * B, (t + 1) * B):
            for j in range(0, H, BYTES // z):
                q, here, k = at_gates + (row * 4 * H + j) * z, (row * H + j) * z, at_p + j * z
                after = here + B * H * z
                four = q, q + H * z, q + 2 * H * z, q + 3 * H * z
                given = (*four, at_c + here, k, k + H * z, k + 2 * H * z)
                step(unit, H - j, given, (*four, at_c + after, at_h + after))


@kernel
def backward(
    unit: Any,
    inputs: Inputs,
    PWT: Array,
    p: Array,
    tape: Tape,
    dh: Array,
    dstate: State,
    scratch: Scratch,
    gradients: Gradients,
) -> None:
    """Reverse the block: dh [L, B, H] are the gradients of its h, PWT is W transposed, packed by `pack_transposed`."""
    tape, dstate, scratch, gradients = Tape(*tape), State(*dstate), Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    L, B, H = dh.shape
    work, dz = scratch
    at_gates, at_c, at_dz = address_of(tape.gates), address_of(tape.c), address_of(dz)
    dh_t, dc_t, at_p, at_dp = address_of(dstate.h), address_of(dstate.c), address_of(p), address_of(gradients.p)
    work[: BYTES // z] = 0
    add_values(unit, B * H, address_of(dh) + (L - 1) * B * H * z, dh_t)
    for t in range(L - 1, -1, -1):
        for r in range(B):
            row = t * B + r
            for j in range(0, H, BYTES // z):
                q, d, k = at_gates + (row * 4 * H + j) * z, at_dz + (row * 4 * H + j) * z, j * z
                here, carried = at_c + (row * H + j) * z, (r * H + j) * z
                peeps = at_p + k, at_p + H * z + k, at_p + 2 * H * z + k
                dpeeps = at_dp + k, at_dp + H * z + k, at_dp + 2 * H * z + k
                four = q, q + H * z, q + 2 * H * z, q + 3 * H * z
                states = here + B * H * z, here, dh_t + carried, dc_t + carried
                made = d, d + H * z, d + 2 * H * z, d + 3 * H * z, dc_t + carried
                reverse_step(unit, H - j, (*four, *states, *peeps, *dpeeps), (*made, *dpeeps))
        reverse_step_sums(unit, t, dz, PWT, dh, dh_t, address_of(work))
    of_sums = groups.Gradients(gradients.U, gradients.W, gradients.b)
    add_block_gradients(unit, Inputs(*inputs), tape.h, dz, of_sums, work)
