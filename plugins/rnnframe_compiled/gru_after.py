"""Block kernels of the GRU with reset=after; the formulas are those of `rnnframe_cells.gru`, on lanes."""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled.functions import sigmoid, tanh
from rnnframe_compiled.gradients import add_gradients, add_looked_up
from rnnframe_compiled.groups import Inputs, Matrix, Steps, Targets
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.making import kernel
from rnnframe_compiled.moves import expect_read, expect_write
from rnnframe_compiled.pairs import operand, paired, words_for
from rnnframe_compiled.products import ROWS4, add_gates, add_values, copy, copy_gates, multiply
from rnnframe_compiled.rare import rare
from rnnframe_compiled.tiles import candidate_tile


class Packed(NamedTuple):
    """Packed U, W and biases [panels, terms, 3·V, of biases 4·V]: a panel for every vector of V units, gates in it."""

    PU: Array
    PW: Array
    Pb: Array


class Tape(NamedTuple):
    """The gates r, z, n [L, B, 3H]; q = h W + bn [L, B, H]; h [L + 1, B, H], in row 0 the state before the block."""

    gates: Array
    q: Array
    h: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`, and d [L, B, 4H].

    d becomes the gradients of the sums of r and z, of q, and of n's sum. `left` is room for left operands, as
    `RecurrentTwin.left` says.
    """

    work: Array
    d: Array
    left: Array


class Gradients(NamedTuple):
    """The gradients of U [inputs, 3H], W [H, 3H], b [3H] and bn [H], which are added to."""

    U: Array
    W: Array
    b: Array
    bn: Array


@lanewise
def step(s_r: Any, s_z: Any, s_n: Any, q: Any, h_old: Any) -> Any:
    """Return r, z, n, q and h, where r scales q = h W + bn."""
    r, z = sigmoid(s_r), sigmoid(s_z)
    n = tanh(r.fma(q, s_n))
    return r, z, n, q, z.fma(h_old - n, n)


@lanewise
def gates_of(s_r: Any, s_z: Any, s_n: Any, q: Any) -> Any:
    """Return r, z and n: as in `step`."""
    r, z = sigmoid(s_r), sigmoid(s_z)
    return r, z, tanh(r.fma(q, s_n))


@lanewise
def remember(z: Any, n: Any, h_old: Any) -> Any:
    """Return h from the gates: as in the steps."""
    return z.fma(h_old - n, n)


@lanewise
def reverse_step(r: Any, z: Any, n: Any, q: Any, h_old: Any, dh: Any) -> Any:
    """Return the gradients of the sums of r and z, of q and of n's sum, and dh's way past the gates."""
    d_n = dh * (1.0 - z) * (1.0 - n * n)
    d_z = dh * (h_old - n) * (z * (1.0 - z))
    return d_n * q * (r * (1.0 - r)), d_z, d_n * r, d_n, dh * z


@kernel
def forward(unit: Any, inputs: Inputs, packed: Packed, tape: Tape, work: Array, left: Array) -> None:
    """Run the block: write the gates, q, and h from its row 1 on."""
    inputs, packed, tape = Inputs(*inputs), Packed(*packed), Tape(*tape)
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = tape.q.shape
    x, I, numbers, rows = inputs.address, inputs.width, inputs.numbers, address_of(inputs.rows)
    pu, pw, pb = address_of(packed.PU), address_of(packed.PW), address_of(packed.Pb)
    at_gates, at_q, at_h = address_of(tape.gates), address_of(tape.q), address_of(tape.h)
    buffer = address_of(work) + (len(work) - ROWS4 * 4 * V) * z
    tiles = -(-B // ROWS4)
    summed = not x and len(numbers) == 0
    panels = -(-H // V)
    of_x, of_h, room = words_for(unit, I), words_for(unit, H), address_of(left)
    for t in range(L):
        at_x = operand(unit, B, I, I, x + t * inputs.step_bytes, room)
        before = operand(unit, B, H, H, at_h + t * B * H * z, room + B * of_x * z)
        for p in range(panels):
            n = min(V, H - p * V)
            column = p * V
            for i in range(tiles):
                first = B * i // tiles
                count = B * (i + 1) // tiles - first
                row = t * B + first
                for r in range(count if summed else 0):
                    copy_gates(unit, n, 3, rows + ((row + r) * 3 * H + column) * z, H, buffer + r * 4 * V * z)
                    copy(unit, V, (pb + (p * 4 + 3) * V * z,), (buffer + (r * 4 + 3) * V * z,))
                candidate_tile(
                    unit,
                    count,
                    V,
                    (buffer, 4 * V, V) if summed else (pb + p * 4 * V * z, 0, V),
                    (buffer, 4 * V, V),
                    (at_x + first * of_x * z, of_x, 1, pu + p * of_x * 3 * V * z, 3 * V, of_x),
                    (before + first * of_h * z, of_h, 1, pw + p * of_h * 3 * V * z, 3 * V, of_h),
                )
                for r in range(count):
                    a = buffer + r * 4 * V * z
                    if len(numbers):
                        add_gates(unit, n, 3, rows + (numbers[row + r] * 3 * H + column) * z, H, a)
                    g = at_gates + ((row + r) * 3 * H + column) * z
                    here = ((row + r) * H + column) * z
                    after = here + B * H * z
                    for k in range(3):
                        expect_write(g + (B * 3 * H + k * H) * z)
                    expect_write(at_q + after)
                    expect_write(at_h + after + B * H * z)
                    step(
                        unit,
                        n,
                        (a, a + V * z, a + 2 * V * z, a + 3 * V * z, at_h + here),
                        (g, g + H * z, g + 2 * H * z, at_q + here, at_h + after),
                    )


@rare("gates that a tape leaves out")
def activate(unit: Any, gates: Array, q: Array) -> None:
    """Make gates [L, B, 3H] of their sums and q [L, B, H], in place."""
    z = bytes_of(unit)
    L, B, H = q.shape
    for row in range(L * B):
        for j in range(0, H, BYTES // z):
            g = address_of(gates) + (row * 3 * H + j) * z
            gates_of(
                unit,
                H - j,
                (g, g + H * z, g + 2 * H * z, address_of(q) + (row * H + j) * z),
                (g, g + H * z, g + 2 * H * z),
            )


@rare("what a tape leaves out")
def rebuild(unit: Any, gates: Array, h: Array) -> None:
    """Make h [L + 1, B, H] again from the gates [L, B, 3H] and its row 0."""
    z = bytes_of(unit)
    L, B, H = h.shape[0] - 1, h.shape[1], h.shape[2]
    for row in range(L * B):
        for j in range(0, H, BYTES // z):
            g = address_of(gates) + (row * 3 * H + j) * z
            here = address_of(h) + (row * H + j) * z
            remember(unit, H - j, (g + H * z, g + 2 * H * z, here), (here + B * H * z,))


@kernel
def backward(
    unit: Any,
    inputs: Inputs,
    PWT: Array,
    tape: Tape,
    dh: Array,
    dstate: Array,
    scratch: Scratch,
    gradients: Gradients,
) -> None:
    """Reverse the block: dh [L, B, H] are the gradients of its h, PWT is W transposed, packed by `pack_transposed`.

    dstate [B, H] is the gradient of the state after the block, and becomes that of the state before it.
    """
    inputs, tape = Inputs(*inputs), Tape(*tape)
    scratch, gradients = Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = tape.q.shape
    work, width = scratch.work, words_for(unit, 3 * H)
    at_gates, at_q, at_h = address_of(tape.gates), address_of(tape.q), address_of(tape.h)
    at_dh, at_d, dh_t, pwt, size = address_of(dh), address_of(scratch.d), address_of(dstate), address_of(PWT), B * H
    add_values(unit, size, at_dh + (L - 1) * size * z, dh_t)
    for t in range(L - 1, -1, -1):
        for r in range(B):
            row = t * B + r
            for j in range(0, H, V):
                g = at_gates + (row * 3 * H + j) * z
                here = (row * H + j) * z
                s = at_d + (row * 4 * H + j) * z
                past = dh_t + (r * H + j) * z
                for k in range(3):
                    expect_read(g + (k * H - B * 3 * H) * z)
                expect_read(at_q + here - size * z)
                expect_read(at_h + here - size * z)
                expect_read(at_dh + here - size * z)
                reverse_step(
                    unit,
                    H - j,
                    (g, g + H * z, g + 2 * H * z, at_q + here, at_h + here, past),
                    (s, s + H * z, s + 2 * H * z, s + 3 * H * z, past),
                )
        if t:
            add_values(unit, size, at_dh + (t - 1) * size * z, dh_t)
        sums = operand(unit, B, 3 * H, 4 * H, at_d + t * B * 4 * H * z, address_of(scratch.left))
        rzq = Matrix(sums, B, width, width if paired(unit) else 4 * H)
        multiply(unit, rzq, pwt, H, (dh_t, H, V), dh_t)
    x, u, w, b = inputs.address, address_of(gradients.U), address_of(gradients.W), address_of(gradients.b)
    steps, h = Steps(x, inputs.step_bytes, B, inputs.width), Matrix(at_h, L * B, H, H)
    rz = Matrix(at_d, L * B, 2 * H, 4 * H)
    q, n = Matrix(at_d + 2 * H * z, L * B, H, 4 * H), Matrix(at_d + 3 * H * z, L * B, H, 4 * H)
    u_n, w_n, b_n = u + 2 * H * z, w + 2 * H * z, b + 2 * H * z
    add_gradients(unit, steps, h, rz, Targets(u if x else 0, w, b, 3 * H), work)
    add_gradients(unit, steps, h, q, Targets(0, w_n, address_of(gradients.bn), 3 * H), work)
    add_gradients(unit, steps, h, n, Targets(u_n if x else 0, 0, b_n, 3 * H), work)
    if len(inputs.numbers):
        add_looked_up(unit, inputs.numbers, rz, u, 3 * H)
        add_looked_up(unit, inputs.numbers, n, u_n, 3 * H)


@rare("gradients of inputs")
def put_in_front(unit: Any, d: Array) -> None:
    """Write the gradients of n's sums over those of q's, behind which they are, in d [L, B, 4H]: x meets n, not q."""
    z = bytes_of(unit)
    H = d.shape[2] // 4
    for row in range(d.shape[0] * d.shape[1]):
        place = address_of(d) + (row * 4 + 2) * H * z
        for j in range(0, H, BYTES // z):
            copy(unit, H - j, (place + (H + j) * z,), (place + j * z,))
