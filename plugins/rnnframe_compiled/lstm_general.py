"""Block kernels of the LSTM with layer normalization, with a projection, or with both.

The formulas are those of `rnnframe_cells.lstm`, on lanes. A norm needs all sums of a step before the first gate is
computed, and so each step is a product, a pass over its rows, and a product again where h is projected.
"""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled.functions import sigmoid, tanh
from rnnframe_compiled.gradients import add_gradients
from rnnframe_compiled.groups import Inputs, Matrix, Steps, Targets
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.lstm import State, Tape
from rnnframe_compiled.making import kernel, part
from rnnframe_compiled.norms import moments, reach, scaled, taken_back, taken_back_with_bias
from rnnframe_compiled.products import add_values, copy, multiply
from rnnframe_compiled.rare import rare
from rnnframe_compiled.rowwise import rowwise
from rnnframe_compiled.sums import add_sums_gradients, write_sums_from


class Packed(NamedTuple):
    """U, W and P, packed by `pack_columns`; b [4H]; g_x [4H], g_h [4H], g_c [H] and b_c [H], one behind the other.

    P is empty where there is no projection, and `scales` where there is no norm; so it is with what belongs to them.
    """

    PU: Array
    PW: Array
    PP: Array
    b: Array
    scales: Array


class Reverse(NamedTuple):
    """W and P transposed, packed by `pack_transposed`; and what h W is made of again, for its norm."""

    PWT: Array
    PPT: Array
    PW: Array
    scales: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`; dz [L, B, 4H], which becomes the gradients of the sums.

    n [L, B, 4H] is h W, and becomes its gradient; made [L, B, H] is o ∘ tanh c, and dscales has gradients of `scales`,
    which are written, not added to.
    """

    work: Array
    dz: Array
    n: Array
    made: Array
    dscales: Array


class Gradients(NamedTuple):
    """The gradients of U, W, P and b, which are added to."""

    U: Array
    W: Array
    P: Array
    b: Array


@rowwise(sums=0)
def remember(i: Any, f: Any, g: Any, c_old: Any) -> Any:
    """Return c."""
    return f.fma(c_old, i * g)


@rowwise(sums=0)
def open_gates(z_i: Any, z_f: Any, z_g: Any, z_o: Any, c_old: Any) -> Any:
    """Return the gates and c."""
    return _opened(z_i, z_f, z_g, z_o, c_old)


@rowwise(sums=0)
def open_scaled_gates(
    z_i: Any,
    z_f: Any,
    z_g: Any,
    z_o: Any,
    c_old: Any,
    w_i: Any,
    w_f: Any,
    w_g: Any,
    w_o: Any,
    g_i: Any,
    g_f: Any,
    g_g: Any,
    g_o: Any,
    mean: Any,
    inverse: Any,
) -> Any:
    """Return the same, of sums z + n ∘ g, where n is w normalized."""
    i, f, g, o = (
        ((w - mean) * inverse).fma(scale, z)
        for z, w, scale in ((z_i, w_i, g_i), (z_f, w_f, g_f), (z_g, w_g, g_g), (z_o, w_o, g_o))
    )
    return _opened(i, f, g, o, c_old)


def _opened(z_i: Any, z_f: Any, z_g: Any, z_o: Any, c_old: Any) -> Any:
    i, f, g, o = sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o)
    return i, f, g, o, f.fma(c_old, i * g)


@rowwise(sums=0)
def show(o: Any, c: Any) -> Any:
    """Return o ∘ tanh c."""
    return o * tanh(c)


@rowwise(sums=0)
def show_scaled(o: Any, c: Any, g_c: Any, b_c: Any, mean: Any, inverse: Any) -> Any:
    """Return o ∘ tanh of c normalized."""
    return o * tanh(((c - mean) * inverse).fma(g_c, b_c))


@rowwise(sums=0)
def reverse_shown(o: Any, c: Any, dy: Any) -> Any:
    """Return the gradients of o's sum and of c, and what was shown."""
    y = tanh(c)
    return dy * y * (o * (1.0 - o)), dy * o * (1.0 - y * y), o * y


@rowwise(sums=2)
def reverse_shown_scaled(
    o: Any, c: Any, dy: Any, g_c: Any, b_c: Any, dg_c: Any, db_c: Any, mean: Any, inverse: Any
) -> Any:
    """Return what `norms.reach` adds up; the gradients of o's sum and of n; what was shown; dg_c and db_c."""
    n = (c - mean) * inverse
    y = tanh(n.fma(g_c, b_c))
    d = dy * o * (1.0 - y * y)
    dn = d * g_c
    return dn, dn * n, dy * y * (o * (1.0 - o)), dn, o * y, d.fma(n, dg_c), db_c + d


@rowwise(sums=0)
def reverse_gates(i: Any, f: Any, g: Any, c_old: Any, dc_own: Any, dc: Any) -> Any:
    """Return the gradients of the sums of i, f and g, and of c before."""
    return _reversed(i, f, g, c_old, dc + dc_own)


@rowwise(sums=2)
def reverse_scaled_gates(
    i: Any,
    f: Any,
    g: Any,
    c_old: Any,
    c: Any,
    dn: Any,
    dc: Any,
    dz_o: Any,
    w_i: Any,
    w_f: Any,
    w_g: Any,
    w_o: Any,
    g_i: Any,
    g_f: Any,
    g_g: Any,
    g_o: Any,
    mean_c: Any,
    inverse_c: Any,
    of_all: Any,
    together: Any,
    mean: Any,
    inverse: Any,
) -> Any:
    """Return what `norms.reach` adds up of h W, from the gradient of c normalized, and the same as `reverse_gates`."""
    of_c = ((dn - of_all) - (c - mean_c) * inverse_c * together) * inverse_c
    made = _reversed(i, f, g, c_old, dc + of_c)
    dz_i, dz_f, dz_g, _ = made
    one, other = dn.number(0), dn.number(0)
    for d, w, scale in ((dz_i, w_i, g_i), (dz_f, w_f, g_f), (dz_g, w_g, g_g), (dz_o, w_o, g_o)):
        scaled_d = d * scale
        one, other = one + scaled_d, scaled_d.fma((w - mean) * inverse, other)
    return one, other, *made


def _reversed(i: Any, f: Any, g: Any, c_old: Any, dc: Any) -> Any:
    return dc * g * (i * (1.0 - i)), dc * c_old * (f * (1.0 - f)), dc * i * (1.0 - g * g), dc * f


@kernel
def forward(unit: Any, inputs: Inputs, packed: Packed, tape: Tape, scratch: Scratch) -> None:
    """Run the block: write the gates, and c and h from their row 1 on."""
    packed, tape, scratch = Packed(*packed), Tape(*tape), Scratch(*scratch)
    z = bytes_of(unit)
    L, B, H, R = tape.gates.shape[0], tape.gates.shape[1], tape.c.shape[2], tape.h.shape[2]
    normed, projected = len(packed.scales) > 0, len(packed.PP) > 0
    at_gates, at_c, at_h = address_of(tape.gates), address_of(tape.c), address_of(tape.h)
    at_made = address_of(scratch.made) if projected else at_h + B * H * z
    product, scales, b = address_of(scratch.dz), address_of(packed.scales), address_of(packed.b)
    scratch.work[: BYTES // z] = 0
    zeros = address_of(scratch.work), 0, 0
    write_sums_from(unit, inputs, packed.PU, zeros if normed else (b, 0, BYTES // z), tape.gates)
    for row in range(L * B if normed else 0):
        place = at_gates + row * 4 * H * z
        scaled(unit, 4 * H, (place, scales, b), moments(unit, 4 * H, place), (place,))
    for t in range(L):
        before, sums = Matrix(at_h + t * B * R * z, B, R, R), at_gates + t * B * 4 * H * z
        start, out = (zeros, product) if normed else ((sums, 4 * H, BYTES // z), sums)
        multiply(unit, before, address_of(packed.PW), 4 * H, start, out)
        for r in range(B):
            row = t * B + r
            q, c_old, made = at_gates + row * 4 * H * z, at_c + row * H * z, at_made + row * H * z
            four, c = (q, q + H * z, q + 2 * H * z, q + 3 * H * z), c_old + B * H * z
            if normed:
                w, g = product + r * 4 * H * z, scales + 4 * H * z
                given = (*four, c_old, w, w + H * z, w + 2 * H * z, w + 3 * H * z)
                by = g, g + H * z, g + 2 * H * z, g + 3 * H * z
                open_scaled_gates(unit, H, (*given, *by), moments(unit, 4 * H, w), (*four, c))
            else:
                open_gates(unit, H, (*four, c_old), (), (*four, c))
            show_row(unit, H, normed, q + 3 * H * z, c, scales, made)
        if projected:
            left = Matrix(at_made + t * B * H * z, B, H, H)
            multiply(unit, left, address_of(packed.PP), R, zeros, at_h + (t + 1) * B * R * z)


@part
def show_row(unit: Any, H: int, normed: bool, o: int, c: int, scales: int, made: int) -> None:
    """Write o ∘ tanh of c, or of c normalized, of a row; all at addresses."""
    if normed:
        mean, inverse = moments(unit, H, c)
        g_c = scales + 8 * H * bytes_of(unit)
        show_scaled(unit, H, (o, c, g_c, g_c + H * bytes_of(unit)), (mean, inverse), (made,))
    else:
        show(unit, H, (o, c), (), (made,))


@rare("what a tape leaves out")
def rebuild(unit: Any, scales: Array, tape: Tape) -> None:
    """Make c again from the gates and the c before the block, and h too where it is not projected."""
    tape = Tape(*tape)
    z = bytes_of(unit)
    L, B, H, R = tape.gates.shape[0], tape.gates.shape[1], tape.c.shape[2], tape.h.shape[2]
    at_gates, at_c, at_h = address_of(tape.gates), address_of(tape.c), address_of(tape.h)
    for row in range(L * B):
        q, c_old = at_gates + row * 4 * H * z, at_c + row * H * z
        c = c_old + B * H * z
        remember(unit, H, (q, q + H * z, q + 2 * H * z, c_old), (), (c,))
        if R == H:
            show_row(unit, H, len(scales) > 0, q + 3 * H * z, c, address_of(scales), at_h + (row + B) * H * z)


@kernel
def backward(
    unit: Any, packed: Reverse, tape: Tape, dh: Array, dstate: State, scratch: Scratch, gradients: Gradients
) -> None:
    """Reverse the block but for x U: dh [L, B, R] are the gradients of its h, and are overwritten."""
    packed, tape, dstate = Reverse(*packed), Tape(*tape), State(*dstate)
    scratch, gradients = Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    L, B, H, R = tape.gates.shape[0], tape.gates.shape[1], tape.c.shape[2], tape.h.shape[2]
    normed, projected = len(packed.scales) > 0, len(packed.PPT) > 0
    at_dh, at_dz, at_n, at_made = map_addresses(dh, scratch.dz, scratch.n, scratch.made)
    dh_t, scales, dscales = address_of(dstate.h), address_of(packed.scales), address_of(scratch.dscales)
    scratch.work[: BYTES // z] = 0
    zeros = address_of(scratch.work), 0, 0
    before = Matrix(address_of(tape.h), L * B, R, R)
    if normed:
        scratch.dscales[:] = 0
        multiply(unit, before, address_of(packed.PW), 4 * H, zeros, at_n)
    add_values(unit, B * R, at_dh + (L - 1) * B * R * z, dh_t)
    for t in range(L - 1, -1, -1):
        dy = dh_t
        if projected:
            for j in range(0, B * R, BYTES // z):
                copy(unit, B * R - j, (dh_t + j * z,), (at_dh + (t * B * R + j) * z,))
            dy = at_made + t * B * H * z
            multiply(unit, Matrix(dh_t, B, R, R), address_of(packed.PPT), H, zeros, dy)
        for r in range(B):
            row = t * B + r
            # what was shown takes the place of its gradient: without a projection, nobody reads either again
            if normed:
                reverse_scaled_row(unit, row, r, dy + r * H * z, tape, dstate, scratch, scales, dscales)
            else:
                reverse_row(unit, row, r, dy + r * H * z, tape, dstate, scratch.dz)
        sums = (at_n if normed else at_dz) + t * B * 4 * H * z
        given = (at_dh + (t - 1) * B * R * z, R, BYTES // z) if t else zeros
        multiply(unit, Matrix(sums, B, 4 * H, 4 * H), address_of(packed.PWT), R, given, dh_t)
    left, right = before, Matrix(at_n if normed else at_dz, L * B, 4 * H, 4 * H)
    to = Targets(0, address_of(gradients.W), 0, 4 * H)
    for _ in range(2 if projected else 1):  # W, then P: code of one call is half that of two
        add_gradients(unit, Steps(0, 0, 1, 0), left, right, to, scratch.work)
        left, right = Matrix(at_made, L * B, H, H), Matrix(at_dh, L * B, R, R)
        to = Targets(0, address_of(gradients.P), 0, R)


@part
def map_addresses(a: Array, b: Array, c: Array, d: Array) -> tuple[int, int, int, int]:
    """Return the addresses of four arrays."""
    return address_of(a), address_of(b), address_of(c), address_of(d)


@part
def reverse_row(unit: Any, row: int, r: int, dy: int, tape: Tape, dstate: State, dz: Array) -> None:
    """Write the gradients of a row's sums, and that of its c before; dy becomes what was shown."""
    z = bytes_of(unit)
    B, H = tape.c.shape[1], tape.c.shape[2]
    q, d = address_of(tape.gates) + row * 4 * H * z, address_of(dz) + row * 4 * H * z
    c_old, dc = address_of(tape.c) + row * H * z, address_of(dstate.c) + r * H * z
    reverse_shown(unit, H, (q + 3 * H * z, c_old + B * H * z, dy), (), (d + 3 * H * z, d, dy))
    reverse_gates(unit, H, (q, q + H * z, q + 2 * H * z, c_old, d, dc), (), (d, d + H * z, d + 2 * H * z, dc))


@part
def reverse_scaled_row(
    unit: Any, row: int, r: int, dy: int, tape: Tape, dstate: State, scratch: Scratch, scales: int, dscales: int
) -> None:
    """Do so where sums and c are normalized; the row of n, which is h W, becomes its gradient."""
    z = bytes_of(unit)
    B, H = tape.c.shape[1], tape.c.shape[2]
    at = row * 4 * H * z
    q, d, w = address_of(tape.gates) + at, address_of(scratch.dz) + at, address_of(scratch.n) + at
    c_old, dc = address_of(tape.c) + row * H * z, address_of(dstate.c) + r * H * z
    o, c, dz_o, share = q + 3 * H * z, c_old + B * H * z, d + 3 * H * z, 1.0 / H
    g_c, dg_c, g, dg = scales + 8 * H * z, dscales + 8 * H * z, scales + 4 * H * z, dscales + 4 * H * z
    of_c, of_w = moments(unit, H, c), moments(unit, 4 * H, w)
    given, into = (o, c, dy, g_c, g_c + H * z, dg_c, dg_c + H * z), (dz_o, d, dy, dg_c, dg_c + H * z)
    of_all, together = reverse_shown_scaled(unit, H, given, of_c, into)
    own = q, q + H * z, q + 2 * H * z, c_old, c, d, dc, dz_o
    norm = w, w + H * z, w + 2 * H * z, w + 3 * H * z, g, g + H * z, g + 2 * H * z, g + 3 * H * z
    of_norms, three = (*of_c, of_all * share, together * share, *of_w), (d, d + H * z, d + 2 * H * z)
    of_all, together = reverse_scaled_gates(unit, H, (*own, *norm), of_norms, (*three, dc))
    numbers = (*of_w, of_all * share / 4, together * share / 4)
    taken_back(unit, 4 * H, (d, w, g, dg), numbers, (w, dg))


@kernel
def reverse_inputs(
    unit: Any, inputs: Inputs, PU: Array, scratch: Scratch, scales: Array, gradients: Gradients, ready: bool
) -> None:
    """Add to the gradients of b and U, and make of dz, the gradients of the sums, those of x U, where it is normalized.

    For that x U is computed again, into n, unless it is there (`ready`).
    """
    scratch, gradients = Scratch(*scratch), Gradients(*gradients)
    dz, work = scratch.dz, scratch.work
    at_b = address_of(gradients.b)
    if len(scales):
        z = bytes_of(unit)
        L, B, width = dz.shape
        share = 1.0 / width
        work[: BYTES // z] = 0
        if not ready:
            write_sums_from(unit, inputs, PU, (address_of(work), 0, 0), scratch.n)
        at_dz, at_n, g_x, dg_x = address_of(dz), address_of(scratch.n), address_of(scales), address_of(scratch.dscales)
        for row in range(L * B):
            d, x = at_dz + row * width * z, at_n + row * width * z
            mean, inverse = moments(unit, width, x)
            of_all, together = reach(unit, width, (d, x, g_x), (mean, inverse), ())
            numbers = mean, inverse, of_all * share, together * share
            taken_back_with_bias(unit, width, (d, x, g_x, dg_x, at_b), numbers, (d, dg_x, at_b))
        at_b = 0
    add_sums_gradients(unit, inputs, dz, address_of(gradients.U), at_b, work)
