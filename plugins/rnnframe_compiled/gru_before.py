"""Block kernels of the GRU with reset=before; the formulas are those of `rnnframe_cells.gru`, on lanes."""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled.functions import sigmoid, tanh
from rnnframe_compiled.gradients import add_gradients, add_looked_up
from rnnframe_compiled.groups import Gradients, Inputs, Matrix, Product, Steps, Targets
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.making import kernel
from rnnframe_compiled.pairs import operand, paired, words_for
from rnnframe_compiled.products import add, add_values, multiply, multiply_both


class Packed(NamedTuple):
    """U and W packed by `pack_columns`, the columns of r and z and those of n apart (PU, PWn), and b [3H]."""

    PUrz: Array
    PU: Array
    PWrz: Array
    PWn: Array
    b: Array


class Transposed(NamedTuple):
    """W transposed, packed by `pack_transposed`: the columns of r and z, and those of n."""

    PWTrz: Array
    PWTn: Array


class Tape(NamedTuple):
    """The gates r, z, n [L, B, 3H]; h [L + 1, B, H], in row 0 the state before the block."""

    gates: Array
    h: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`; d [L, B, 3H], the gradients of the sums; reset [L, B, H], r h.

    `left` is room for left operands, as `RecurrentTwin.left` says.
    """

    work: Array
    d: Array
    reset: Array
    left: Array


@lanewise
def reset_of(s_r: Any, s_z: Any, h_old: Any) -> Any:
    """Return r, z and r h."""
    r = sigmoid(s_r)
    return r, sigmoid(s_z), r * h_old


@lanewise
def step(s_n: Any, z: Any, h_old: Any) -> Any:
    """Return n and h."""
    n = tanh(s_n)
    return n, z.fma(h_old - n, n)


@lanewise
def reverse_step(z: Any, n: Any, h_old: Any, dh: Any) -> Any:
    """Return the gradients of the sums of z and n, and dh's way past the gates."""
    return dh * (h_old - n) * (z * (1.0 - z)), dh * (1.0 - z) * (1.0 - n * n), dh * z


@lanewise
def reverse_reset(r: Any, h_old: Any, ds: Any, dh: Any) -> Any:
    """Return the gradient of r's sum, that of h through r h as well, and r h."""
    return ds * h_old * (r * (1.0 - r)), ds.fma(r, dh), r * h_old


@kernel
def forward(unit: Any, inputs: Inputs, packed: Packed, tape: Tape, reset: Array, left: Array) -> None:
    """Run the block: write the gates, and h from its row 1 on; the first step of `reset` [L, B, H] holds r h."""
    inputs, packed, tape = Inputs(*inputs), Packed(*packed), Tape(*tape)
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = tape.h.shape[0] - 1, tape.h.shape[1], tape.h.shape[2]
    I, numbers, rows = inputs.width, inputs.numbers, address_of(inputs.rows)
    pu_rz, pu_n, pw_rz, pw_n, b = (
        address_of(packed.PUrz),
        address_of(packed.PU),
        address_of(packed.PWrz),
        address_of(packed.PWn),
        address_of(packed.b),
    )
    at_gates, at_h, rh = address_of(tape.gates), address_of(tape.h), address_of(reset)
    terms_x, terms_h, at_x = words_for(unit, I), words_for(unit, H), address_of(left)
    room = at_x + B * terms_x * z
    for t in range(L):
        g, before = at_gates + t * B * 3 * H * z, at_h + t * B * H * z
        x = operand(unit, B, I, I, inputs.address + t * inputs.step_bytes, at_x)
        of_x = Product(x, terms_x, pu_rz)
        of_h = Product(operand(unit, B, H, H, before, room), terms_h, pw_rz)
        multiply_both(unit, of_x, of_h, b, Matrix(g, B, 2 * H, 3 * H))
        for r in range(B):
            for j in range(0, H, V):
                a, here = g + (r * 3 * H + j) * z, (r * H + j) * z
                if len(numbers):
                    u = rows + (numbers[t * B + r] * 3 * H + j) * z
                    add(unit, H - j, (a, u), (a,))
                    add(unit, H - j, (a + H * z, u + H * z), (a + H * z,))
                reset_of(unit, H - j, (a, a + H * z, before + here), (a, a + H * z, rh + here))
        of_x, of_h = Product(x, terms_x, pu_n), Product(operand(unit, B, H, H, rh, room), terms_h, pw_n)
        multiply_both(unit, of_x, of_h, b + 2 * H * z, Matrix(g + 2 * H * z, B, H, 3 * H))
        for r in range(B):
            for j in range(0, H, V):
                a, here = g + (r * 3 * H + j) * z, (r * H + j) * z
                c = a + 2 * H * z
                if len(numbers):
                    add(unit, H - j, (c, rows + (numbers[t * B + r] * 3 * H + 2 * H + j) * z), (c,))
                step(unit, H - j, (c, a + H * z, before + here), (c, before + here + B * H * z))


@kernel
def backward(
    unit: Any,
    inputs: Inputs,
    transposed: Transposed,
    tape: Tape,
    dh: Array,
    dstate: Array,
    scratch: Scratch,
    gradients: Gradients,
) -> None:
    """Reverse the block: dh [L, B, H] are the gradients of its h.

    dstate [B, H] is the gradient of the state after the block, and becomes that of the state before it.
    """
    inputs, transposed, tape = Inputs(*inputs), Transposed(*transposed), Tape(*tape)
    scratch, gradients = Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = tape.h.shape[0] - 1, tape.h.shape[1], tape.h.shape[2]
    work, left, pairs = scratch.work, address_of(scratch.left), paired(unit)
    terms_rz, terms_n = words_for(unit, 2 * H), words_for(unit, H)
    at_gates, at_h, at_dh = address_of(tape.gates), address_of(tape.h), address_of(dh)
    at_d, rh, zeros = address_of(scratch.d), address_of(scratch.reset), address_of(work)
    pwt_rz, pwt_n, dh_t, size = address_of(transposed.PWTrz), address_of(transposed.PWTn), address_of(dstate), B * H
    work[:V] = 0
    add_values(unit, size, at_dh + (L - 1) * size * z, dh_t)
    for t in range(L - 1, -1, -1):
        ds = rh + t * size * z  # until it is overwritten by r h
        for r in range(B):
            for j in range(0, H, V):
                row = t * B + r
                g, s = at_gates + (row * 3 * H + j) * z, at_d + (row * 3 * H + j) * z
                past = dh_t + (r * H + j) * z
                reverse_step(
                    unit,
                    H - j,
                    (g + H * z, g + 2 * H * z, at_h + (row * H + j) * z, past),
                    (s + H * z, s + 2 * H * z, past),
                )
        sums = at_d + t * B * 3 * H * z
        of_n = operand(unit, B, H, 3 * H, sums + 2 * H * z, left)
        multiply(unit, Matrix(of_n, B, terms_n, terms_n if pairs else 3 * H), pwt_n, H, (zeros, 0, 0), ds)
        for r in range(B):
            for j in range(0, H, V):
                row = t * B + r
                past, product = dh_t + (r * H + j) * z, ds + (r * H + j) * z
                reverse_reset(
                    unit,
                    H - j,
                    (at_gates + (row * 3 * H + j) * z, at_h + (row * H + j) * z, product, past),
                    (at_d + (row * 3 * H + j) * z, past, product),
                )
        if t:
            add_values(unit, size, at_dh + (t - 1) * size * z, dh_t)
        of_rz = operand(unit, B, 2 * H, 3 * H, sums, left)
        multiply(unit, Matrix(of_rz, B, terms_rz, terms_rz if pairs else 3 * H), pwt_rz, H, (dh_t, H, V), dh_t)
    x, u, w, b = inputs.address, address_of(gradients.U), address_of(gradients.W), address_of(gradients.b)
    steps, h, scaled = (
        Steps(x, inputs.step_bytes, B, inputs.width),
        Matrix(at_h, L * B, H, H),
        Matrix(rh, L * B, H, H),
    )
    rz, n = Matrix(at_d, L * B, 2 * H, 3 * H), Matrix(at_d + 2 * H * z, L * B, H, 3 * H)
    add_gradients(unit, steps, h, rz, Targets(u if x else 0, w, b, 3 * H), work)
    to = Targets(u + 2 * H * z if x else 0, w + 2 * H * z, b + 2 * H * z, 3 * H)
    add_gradients(unit, steps, scaled, n, to, work)
    if len(inputs.numbers):
        add_looked_up(unit, inputs.numbers, Matrix(at_d, L * B, 3 * H, 3 * H), u, 3 * H)
