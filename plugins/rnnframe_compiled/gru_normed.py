"""Block kernels of the GRU with layer normalization; the formulas are those of `rnnframe_cells.gru`, on lanes.

A norm needs all sums of a step before the first gate is computed, and so each step is a product and a pass over its
rows. r and z are normalized together, n apart.
"""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled.functions import sigmoid, tanh
from rnnframe_compiled.gradients import add_gradients
from rnnframe_compiled.groups import Inputs, Matrix, Steps, Targets
from rnnframe_compiled.gru_after import Gradients, Tape
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.making import kernel, part
from rnnframe_compiled.norms import moments, reach, scaled, taken_back, taken_back_with_bias
from rnnframe_compiled.products import add_values, multiply
from rnnframe_compiled.rowwise import rowwise
from rnnframe_compiled.sums import add_sums_gradients, write_sums_from


class Packed(NamedTuple):
    """U and W, packed by `pack_columns`; b [3H] and bn [H]; g_x [3H] and g_h [3H], one behind the other."""

    PU: Array
    PW: Array
    b: Array
    bn: Array
    scales: Array


class Reverse(NamedTuple):
    """W transposed, packed by `pack_transposed`; and what h W is made of again, for its norm."""

    PWT: Array
    PW: Array
    scales: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`; d [L, B, 3H], which becomes the gradients of the sums.

    n [L, B, 3H] is h W, and becomes its gradient; dq [H] is that of q, of a row. dscales has the gradients of
    `scales`, which are written, not added to.
    """

    work: Array
    d: Array
    n: Array
    dq: Array
    dscales: Array


@rowwise(sums=0)
def open_gates(
    s_r: Any,
    s_z: Any,
    s_n: Any,
    h_old: Any,
    w_r: Any,
    w_z: Any,
    w_n: Any,
    g_r: Any,
    g_z: Any,
    g_n: Any,
    bn: Any,
    mean: Any,
    inverse: Any,
    mean_n: Any,
    inverse_n: Any,
) -> Any:
    """Return r, z, n, q and h, of sums s + w ∘ g, where w is normalized."""
    r = sigmoid(((w_r - mean) * inverse).fma(g_r, s_r))
    z = sigmoid(((w_z - mean) * inverse).fma(g_z, s_z))
    q = ((w_n - mean_n) * inverse_n).fma(g_n, bn)
    n = tanh(r.fma(q, s_n))
    return r, z, n, q, z.fma(h_old - n, n)


@rowwise(sums=4)
def reverse_gates(
    r: Any,
    z: Any,
    n: Any,
    q: Any,
    h_old: Any,
    dh: Any,
    w_r: Any,
    w_z: Any,
    w_n: Any,
    g_r: Any,
    g_z: Any,
    g_n: Any,
    mean: Any,
    inverse: Any,
    mean_n: Any,
    inverse_n: Any,
) -> Any:
    """Return what `norms.reach` adds up of h W, of r and z and then of n; the gradients of the sums of r, z and n, and
    of q; and dh's way past the gates."""
    d_n = dh * (1.0 - z) * (1.0 - n * n)
    d_z = dh * (h_old - n) * (z * (1.0 - z))
    d_r, dq = d_n * q * (r * (1.0 - r)), d_n * r
    s_r, s_z, s_n = d_r * g_r, d_z * g_z, dq * g_n
    together = s_r.fma((w_r - mean) * inverse, s_z * ((w_z - mean) * inverse))
    return s_r + s_z, together, s_n, s_n * ((w_n - mean_n) * inverse_n), d_r, d_z, d_n, dq, dh * z


@kernel
def forward(unit: Any, inputs: Inputs, packed: Packed, tape: Tape, work: Array, product: Array) -> None:
    """Run the block: write the gates, q, and h from its row 1 on; `product` has room for h W of a step."""
    packed, tape = Packed(*packed), Tape(*tape)
    z = bytes_of(unit)
    L, B, H = tape.q.shape
    at_gates, at_q, at_h = address_of(tape.gates), address_of(tape.q), address_of(tape.h)
    scales, at_w, b, bn = address_of(packed.scales), address_of(product), address_of(packed.b), address_of(packed.bn)
    n, g_r = 2 * H * z, scales + 3 * H * z
    work[: BYTES // z] = 0
    zeros = address_of(work), 0, 0
    write_sums_from(unit, inputs, packed.PU, zeros, tape.gates)
    for row in range(L * B):
        place = at_gates + row * 3 * H * z
        scaled(unit, 2 * H, (place, scales, b), moments(unit, 2 * H, place), (place,))
        scaled(unit, H, (place + n, scales + n, b + n), moments(unit, H, place + n), (place + n,))
    for t in range(L):
        multiply(unit, Matrix(at_h + t * B * H * z, B, H, H), address_of(packed.PW), 3 * H, zeros, at_w)
        for r in range(B):
            row, w = t * B + r, at_w + r * 3 * H * z
            a, h_old = at_gates + row * 3 * H * z, at_h + row * H * z
            given = a, a + H * z, a + n, h_old, w, w + H * z, w + n, g_r, g_r + H * z, g_r + n, bn
            numbers = (*moments(unit, 2 * H, w), *moments(unit, H, w + n))
            into = a, a + H * z, a + n, at_q + row * H * z, h_old + B * H * z
            open_gates(unit, H, given, numbers, into)


@kernel
def backward(
    unit: Any, packed: Reverse, tape: Tape, dh: Array, dstate: Array, scratch: Scratch, gradients: Gradients
) -> None:
    """Reverse the block but for x U: dh [L, B, H] are the gradients of its h.

    dstate [B, H] is the gradient of the state after the block, and becomes that of the state before it.
    """
    packed, tape, scratch, gradients = Reverse(*packed), Tape(*tape), Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    L, B, H = tape.q.shape
    at_dh, dh_t, at_n, size = address_of(dh), address_of(dstate), address_of(scratch.n), B * H
    scratch.work[: BYTES // z] = 0
    scratch.dscales[:] = 0
    before = Matrix(address_of(tape.h), L * B, H, H)
    multiply(unit, before, address_of(packed.PW), 3 * H, (address_of(scratch.work), 0, 0), at_n)
    add_values(unit, size, at_dh + (L - 1) * size * z, dh_t)
    for t in range(L - 1, -1, -1):
        for r in range(B):
            reverse_row(unit, t * B + r, dh_t + r * H * z, tape, scratch, address_of(packed.scales), gradients.bn)
        if t:
            add_values(unit, size, at_dh + (t - 1) * size * z, dh_t)
        of_w = Matrix(at_n + t * B * 3 * H * z, B, 3 * H, 3 * H)
        multiply(unit, of_w, address_of(packed.PWT), H, (dh_t, H, BYTES // z), dh_t)
    to = Targets(0, address_of(gradients.W), 0, 3 * H)
    add_gradients(unit, Steps(0, 0, 1, 0), before, Matrix(at_n, L * B, 3 * H, 3 * H), to, scratch.work)


@part
def reverse_row(unit: Any, row: int, past: int, tape: Tape, scratch: Scratch, scales: int, dbn: Array) -> None:
    """Write the gradients of a row's sums, make of its h W their gradient, and of dh, `past`, what goes past the gates.

    The gradients of g_h and bn are added to.
    """
    z = bytes_of(unit)
    H = tape.q.shape[2]
    at, share, n = row * 3 * H * z, 1.0 / H, 2 * H * z
    a, d, w = address_of(tape.gates) + at, address_of(scratch.d) + at, address_of(scratch.n) + at
    g, dg, dq = scales + 3 * H * z, address_of(scratch.dscales) + 3 * H * z, address_of(scratch.dq)
    q, h_old = address_of(tape.q) + row * H * z, address_of(tape.h) + row * H * z
    of_rz, of_n = moments(unit, 2 * H, w), moments(unit, H, w + n)
    given = a, a + H * z, a + n, q, h_old, past, w, w + H * z, w + n, g, g + H * z, g + n
    all_rz, together_rz, all_n, together_n = reverse_gates(
        unit, H, given, (*of_rz, *of_n), (d, d + H * z, d + n, dq, past)
    )
    numbers = (*of_rz, all_rz * share / 2, together_rz * share / 2)
    taken_back(unit, 2 * H, (d, w, g, dg), numbers, (w, dg))
    at_bn, numbers = address_of(dbn), (*of_n, all_n * share, together_n * share)
    taken_back_with_bias(unit, H, (dq, w + n, g + n, dg + n, at_bn), numbers, (w + n, dg + n, at_bn))


@kernel
def reverse_inputs(
    unit: Any, inputs: Inputs, PU: Array, scratch: Scratch, scales: Array, gradients: Gradients, ready: bool
) -> None:
    """Add to the gradients of b and U, and make of d, the gradients of the sums, those of x U.

    For that x U is computed again, into n, unless it is there (`ready`).
    """
    scratch, gradients = Scratch(*scratch), Gradients(*gradients)
    d, n, work = scratch.d, scratch.n, scratch.work
    z = bytes_of(unit)
    H = d.shape[2] // 3
    work[: BYTES // z] = 0
    if not ready:
        write_sums_from(unit, inputs, PU, (address_of(work), 0, 0), n)
    g, dg, db = address_of(scales), address_of(scratch.dscales), address_of(gradients.b)
    for row in range(d.shape[0] * d.shape[1]):
        place, x, offset, width = address_of(d) + row * 3 * H * z, address_of(n) + row * 3 * H * z, 0, 2 * H
        for _ in range(2):  # of r and z, then of n: code of one call is half that of two
            own, of_x = place + offset, x + offset
            mean, inverse = moments(unit, width, of_x)
            of_all, together = reach(unit, width, (own, of_x, g + offset), (mean, inverse), ())
            numbers = mean, inverse, of_all / width, together / width
            given = own, of_x, g + offset, dg + offset, db + offset
            taken_back_with_bias(unit, width, given, numbers, (own, dg + offset, db + offset))
            offset, width = 2 * H * z, H
    add_sums_gradients(unit, inputs, d, address_of(gradients.U), 0, work)
