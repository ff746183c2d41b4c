"""Block kernels of the linear recurrent unit: a product into the state, one pass over it, and a product out of it.

The formulas are those of `rnnframe_cells.lru`, on lanes; complex numbers have their N real parts before the others.
"""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled.gradients import add_gradients
from rnnframe_compiled.groups import Inputs, Matrix, Steps, Targets
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.making import kernel, part
from rnnframe_compiled.products import multiply
from rnnframe_compiled.rare import rare
from rnnframe_compiled.sums import add_sums_gradients, write_sums


class Packed(NamedTuple):
    """γ U and C, packed by `pack_columns`; zeros and λ [2N], and b [units]."""

    PU: Array
    PC: Array
    zeros: Array
    factor: Array
    b: Array


class Tape(NamedTuple):
    """s [L + 1, B, 2N], in row 0 the state before the block, and y [L, B, units]."""

    s: Array
    y: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`; ds [L, B, 2N]; the gradients of λ [2N] and γ U [inputs, 2N]."""

    work: Array
    ds: Array
    dfactor: Array
    dscaled: Array


class Gradients(NamedTuple):
    """The gradients of C [2N, units] and b [units], which are added to."""

    C: Array
    b: Array


@lanewise
def step(u: Any, v: Any, real: Any, imaginary: Any, s: Any, r: Any) -> Any:
    """Return u + i v + λ (s + i r)."""
    return real.fma(s, u) - imaginary * r, real.fma(r, v) + imaginary * s


@lanewise
def reverse_step(
    du: Any, dv: Any, real: Any, imaginary: Any, cs: Any, cr: Any, s_old: Any, r_old: Any, dreal: Any, dimaginary: Any
) -> Any:
    """Return the gradients of the state, what is carried to the one before, and λ's with this step added."""
    ds, dr = du + cs, dv + cr
    return (
        ds,
        dr,
        real.fma(ds, imaginary * dr),
        real.fma(dr, imaginary * ds * -1.0),
        ds.fma(s_old, dr.fma(r_old, dreal)),
        dr.fma(s_old, (ds * -1.0).fma(r_old, dimaginary)),
    )


@part
def write_outputs(unit: Any, packed: Packed, tape: Tape) -> None:
    """Write y = s C + b."""
    packed, tape = Packed(*packed), Tape(*tape)
    width, units = tape.s.shape[2], tape.y.shape[2]
    s = Matrix(address_of(tape.s[1:]), tape.y.shape[0] * tape.y.shape[1], width, width)
    bias = address_of(packed.b), 0, BYTES // bytes_of(unit)
    multiply(unit, s, address_of(packed.PC), units, bias, address_of(tape.y))


@kernel
def forward(unit: Any, inputs: Inputs, packed: Packed, tape: Tape) -> None:
    """Run the block: write s from its row 1 on, and y."""
    packed, tape = Packed(*packed), Tape(*tape)
    z = bytes_of(unit)
    B, N = tape.s.shape[1], tape.s.shape[2] // 2
    factor, at_s = address_of(packed.factor), address_of(tape.s)
    write_sums(unit, inputs, packed.PU, packed.zeros, tape.s[1:])
    for row in range(tape.y.shape[0] * B):
        for j in range(0, N, BYTES // z):
            before, of = at_s + (row * 2 * N + j) * z, factor + j * z
            after = before + B * 2 * N * z
            sums = after, after + N * z
            step(unit, N - j, (*sums, of, of + N * z, before, before + N * z), sums)
    write_outputs(unit, packed, tape)


@rare("what a tape leaves out")
def read(unit: Any, packed: Packed, tape: Tape) -> None:
    """Do what `write_outputs` does, alone."""
    write_outputs(unit, packed, tape)


@kernel
def backward(
    unit: Any,
    inputs: Inputs,
    PCT: Array,
    factor: Array,
    s: Array,
    dy: Array,
    dstate: Array,
    scratch: Scratch,
    gradients: Gradients,
) -> None:
    """Reverse the block: dy [L, B, units] are the gradients of its y, PCT is C transposed, packed by `pack_transposed`.

    dstate [B, 2N] is the gradient of the state after the block, and becomes that of the state before it. Those of λ and
    of γ U are written, not added to.
    """
    scratch, gradients = Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    L, B, units = dy.shape
    N = s.shape[2] // 2
    work, ds, dfactor, dscaled = scratch
    work[: BYTES // z] = 0
    dys, states = Matrix(address_of(dy), L * B, units, units), Matrix(address_of(s[1:]), L * B, 2 * N, 2 * N)
    multiply(unit, dys, address_of(PCT), 2 * N, (address_of(work), 0, 0), address_of(ds))
    to = Targets(0, address_of(gradients.C), address_of(gradients.b), units)
    add_gradients(unit, Steps(0, 0, 1, 0), states, dys, to, work)
    at_s, at_ds, carried, at_factor, at_dfactor = (
        address_of(s),
        address_of(ds),
        address_of(dstate),
        address_of(factor),
        address_of(dfactor),
    )
    dfactor[:] = 0
    for t in range(L - 1, -1, -1):
        for r in range(B):
            for j in range(0, N, BYTES // z):
                before, d = at_s + ((t * B + r) * 2 * N + j) * z, at_ds + ((t * B + r) * 2 * N + j) * z
                c, of, to_factor = carried + (r * 2 * N + j) * z, at_factor + j * z, at_dfactor + j * z
                made = d, d + N * z, c, c + N * z, to_factor, to_factor + N * z
                given = d, d + N * z, of, of + N * z, c, c + N * z, before, before + N * z
                reverse_step(unit, N - j, (*given, to_factor, to_factor + N * z), made)
    dscaled[:] = 0
    add_sums_gradients(unit, inputs, ds, address_of(dscaled), 0, work)
