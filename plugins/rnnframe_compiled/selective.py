"""Block kernels of selective-ssm: two products for all steps, then the states of every input in one pass over a row.

The formulas are those of `rnnframe_cells.selective`, on lanes. softplus u is -log σ(-u), and its slope 1 - exp(-Δ) is
2t / (1 + t) with t = tanh(Δ / 2), which is right where Δ is small.
"""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled.functions import exp, log_sigmoid, tanh
from rnnframe_compiled.groups import Inputs, Matrix
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.making import kernel, part
from rnnframe_compiled.products import multiply
from rnnframe_compiled.rowwise import first, rowwise
from rnnframe_compiled.sums import add_sums_gradients, write_sums


class Packed(NamedTuple):
    """K and R, packed by `pack_columns`; zeros [rank + 2N], b [inputs], A [inputs, N] and D [inputs]."""

    PU: Array
    PR: Array
    zeros: Array
    b: Array
    A: Array
    D: Array


class Tape(NamedTuple):
    """d, B and C [L, B, rank + 2N]; Δ [L, B, inputs]; s before and after the block, [2, B, inputs·N]; y [L, B, inputs].

    Only rows 0 and 1 of s are read and written.
    """

    made: Array
    step: Array
    s: Array
    y: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`; s [L, B, inputs·N] after each step; the gradients of d, B and C,
    of Δ, of Δ ∘ x, and of A, all written, not added to."""

    work: Array
    s: Array
    dmade: Array
    dstep: Array
    dtaken: Array
    dfactor: Array


class Gradients(NamedTuple):
    """The gradients of K [inputs, rank + 2N], R [rank, inputs], b and D [inputs], which are added to."""

    K: Array
    R: Array
    b: Array
    D: Array


@rowwise(sums=0)
def softplus(u: Any) -> Any:
    """Return log(1 + exp u)."""
    return log_sigmoid(u * -1.0) * -1.0


@rowwise(sums=1)
def advance(s: Any, A: Any, B: Any, C: Any, step: Any, taken: Any) -> Any:
    """Return the sum of s_t C, and s_t, of an input; `taken` is Δ x."""
    s_t = exp(A * step).fma(s, B * taken)
    return s_t * C, s_t


@rowwise(sums=2)
def reverse_states(
    ds: Any,
    s_old: Any,
    s: Any,
    A: Any,
    B: Any,
    C: Any,
    dB: Any,
    dC: Any,
    dA: Any,
    dy: Any,
    step: Any,
    taken: Any,
) -> Any:
    """Return the sums that reach Δ x and, through exp(Δ A), Δ; the gradient of s before; dB, dC and dA with this."""
    d = C.fma(dy, ds)
    before = d * exp(A * step)
    reached = before * s_old
    return d * B, reached * A, before, d.fma(taken, dB), s.fma(dy, dC), reached.fma(step, dA)


@rowwise(sums=0)
def reverse_inputs(dstep: Any, dtaken: Any, x: Any, step: Any, dy: Any, D: Any, dD: Any, db: Any) -> Any:
    """Return the gradients of Δ's sum, and of x but by the products; dD and db with this row."""
    t = tanh(step * 0.5)
    d = dtaken.fma(x, dstep) * ((t + t) / (t + 1.0))
    return d, dtaken.fma(step, dy * D), dy.fma(x, dD), db + d


@rowwise(sums=0)
def add_products(y: Any, x: Any, D: Any) -> Any:
    """Return y + D ∘ x."""
    return x.fma(D, y)


@rowwise(sums=1, lines=4)
def dot(x: Any, y: Any) -> Any:
    """Return the sum of x ∘ y."""
    return x * y


@rowwise(sums=0)
def add_scaled(total: Any, x: Any, factor: Any) -> Any:
    """Return total + factor x."""
    return x.fma(factor, total)


@kernel
def forward(unit: Any, x: int, inputs: Inputs, packed: Packed, tape: Tape) -> None:
    """Run the block: write d, B and C, Δ, y, and s after it; x [L, B, inputs] is at an address."""
    packed, tape = Packed(*packed), Tape(*tape)
    z = bytes_of(unit)
    L, B, I = tape.step.shape
    columns, N = tape.made.shape[2], packed.A.shape[1]
    rank, rows = columns - 2 * N, L * B
    at_made, at_step, at_s, at_y = (
        address_of(tape.made),
        address_of(tape.step),
        address_of(tape.s),
        address_of(tape.y),
    )
    write_sums(unit, inputs, packed.PU, packed.zeros, tape.made)
    start = address_of(packed.b), 0, BYTES // z
    multiply(unit, Matrix(at_made, rows, rank, columns), address_of(packed.PR), I, start, at_step)
    softplus(unit, rows * I, (at_step,), (), (at_step,))
    size = B * I * N * z
    for row in range(rows):
        state = at_s + (row % B) * I * N * z
        of_B, of_x, A = at_made + (row * columns + rank) * z, x + row * I * z, address_of(packed.A)
        for i in range(I):
            step, own = tape.step[row // B, row % B, i], i * N * z
            given = state + own + (size if row >= B else 0), A + own, of_B, of_B + N * z
            numbers = step, step * first(unit, of_x + i * z)
            tape.y[row // B, row % B, i] = advance(unit, N, given, numbers, (state + own + size,))[0]
        add_products(unit, I, (at_y + row * I * z, of_x, address_of(packed.D)), (), (at_y + row * I * z,))


@kernel
def backward(
    unit: Any,
    x: int,
    inputs: Inputs,
    packed: Packed,
    R: Array,
    tape: Tape,
    dh: Array,
    ds: Array,
    scratch: Scratch,
    gradients: Gradients,
) -> None:
    """Reverse the block: dh [L, B, inputs] are the gradients of y, and become those of x but by the product with K.

    ds [B, inputs·N] is the gradient of the state after the block, and becomes that of the state before it.
    """
    packed, tape, scratch, gradients = Packed(*packed), Tape(*tape), Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    L, B, I = tape.step.shape
    columns, N = tape.made.shape[2], packed.A.shape[1]
    rank, width = columns - 2 * N, I * N * z
    scratch.dmade[:] = 0
    scratch.dfactor[:] = 0
    at_made, at_dmade = address_of(tape.made), address_of(scratch.dmade)
    first_s, at_s = address_of(tape.s), address_of(scratch.s)
    for row in range(L * B):
        before = at_s + (row - B) * width if row >= B else first_s + row * width
        of_B = at_made + (row * columns + rank) * z
        write_states(unit, row, before, of_B, x + row * I * z, packed.A, tape.step, at_s + row * width)
    for row in range(L * B - 1, -1, -1):
        before = at_s + (row - B) * width if row >= B else first_s + row * width
        of_B, dB = at_made + (row * columns + rank) * z, at_dmade + (row * columns + rank) * z
        of_x, state = x + row * I * z, address_of(ds) + (row % B) * width
        for i in range(I):
            own, step = i * N * z, tape.step[row // B, row % B, i]
            A, dA = address_of(packed.A) + own, address_of(scratch.dfactor) + own
            given = state + own, before + own, at_s + row * width + own, A, of_B, of_B + N * z, dB, dB + N * z, dA
            numbers = dh[row // B, row % B, i], step, step * first(unit, of_x + i * z)
            into = state + own, dB, dB + N * z, dA
            found = reverse_states(unit, N, given, numbers, into)
            scratch.dtaken[row // B, row % B, i], scratch.dstep[row // B, row % B, i] = found
        reverse_row(unit, row, of_x, rank, packed.D, R, tape, dh, scratch, gradients)
    add_sums_gradients(unit, inputs, scratch.dmade, address_of(gradients.K), 0, scratch.work)


@part
def write_states(unit: Any, row: int, before: int, of_B: int, of_x: int, A: Array, steps: Array, into: int) -> None:
    """Write the states of a row after its step, from those before it."""
    z = bytes_of(unit)
    B, (I, N) = steps.shape[1], A.shape
    for i in range(I):
        step, own = steps[row // B, row % B, i], i * N * z
        given, numbers = (before + own, address_of(A) + own, of_B, of_B), (step, step * first(unit, of_x + i * z))
        advance(unit, N, given, numbers, (into + own,))


@part
def reverse_row(
    unit: Any,
    row: int,
    of_x: int,
    rank: int,
    D: Array,
    R: Array,
    tape: Tape,
    dh: Array,
    scratch: Scratch,
    gradients: Gradients,
) -> None:
    """Write the gradients of a row's d and of its x but by K, and add to those of R, b and D."""
    z = bytes_of(unit)
    B, I = dh.shape[1], dh.shape[2]
    at = row * I * z
    dstep, dy = address_of(scratch.dstep) + at, address_of(dh) + at
    dD, db = address_of(gradients.D), address_of(gradients.b)
    given = dstep, address_of(scratch.dtaken) + at, of_x, address_of(tape.step) + at, dy, address_of(D), dD, db
    reverse_inputs(unit, I, given, (), (dstep, dy, dD, db))
    for k in range(rank):
        of_R, dR = address_of(R) + k * I * z, address_of(gradients.R) + k * I * z
        scratch.dmade[row // B, row % B, k] = dot(unit, I, (dstep, of_R), (), ())[0]
        add_scaled(unit, I, (dR, dstep), (tape.made[row // B, row % B, k],), (dR,))
