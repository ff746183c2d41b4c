"""Sums b + x U of a whole block, and the way back: all products of a cell that has no recurrent one."""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled.gradients import add_gradients, add_looked_up
from rnnframe_compiled.groups import Inputs, Matrix, Steps, Targets
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.making import part
from rnnframe_compiled.products import add_values, multiply
from rnnframe_compiled.rare import rare


class Gradients(NamedTuple):
    """The gradients of U [inputs, columns] and b [columns], which are added to."""

    U: Array
    b: Array


@part
def write_sums(unit: Any, inputs: Inputs, PU: Array, b: Array, out: Array) -> None:
    """out [L, B, columns] = b [columns] + x U; PU is U packed by `pack_columns`."""
    write_sums_from(unit, inputs, PU, (address_of(b), 0, BYTES // bytes_of(unit)), out)


@part
def write_sums_from(unit: Any, inputs: Inputs, PU: Array, start: tuple[int, int, int], out: Array) -> None:
    """out [L, B, columns] = start + x U; `start` is as that of `multiply`."""
    inputs = Inputs(*inputs)
    rows, width, to = out.shape[0] * out.shape[1], out.shape[2], address_of(out)
    x = Matrix(inputs.address, rows, inputs.width, inputs.width)
    multiply(unit, x, address_of(PU), width, start, to)
    z = bytes_of(unit)
    for row in range(len(inputs.numbers)):
        add_values(unit, width, address_of(inputs.rows) + inputs.numbers[row] * width * z, to + row * width * z)


@part
def add_sums_gradients(unit: Any, inputs: Inputs, dz: Array, U: int, b: int, work: Array) -> None:
    """Add to the gradients U [inputs, columns] and b [columns] from dz [L, B, columns]; both at addresses, 0: no b."""
    inputs = Inputs(*inputs)
    B, width = dz.shape[1], dz.shape[2]
    step_bytes = B * inputs.width * bytes_of(unit)  # x is dense, whatever numpy says of the stride of a single step
    rows, x = dz.shape[0] * B, inputs.address
    sums, to = Matrix(address_of(dz), rows, width, width), Targets(U if x else 0, 0, b, width)
    add_gradients(unit, Steps(x, step_bytes, B, inputs.width), Matrix(0, rows, 0, 0), sums, to, work)
    if len(inputs.numbers):
        add_looked_up(unit, inputs.numbers, sums, U, width)


@rare("gradients of inputs")
def multiply_rows(unit: Any, a: Array, packed: Array, work: Array, out: Array) -> None:
    """out [rows, width] = a [rows, terms] · the matrix [terms, width] in panels; `work` has room for a vector."""
    work[: BYTES // bytes_of(unit)] = 0
    left = Matrix(address_of(a), a.shape[0], a.shape[1], a.shape[1])
    multiply(unit, left, address_of(packed), out.shape[1], (address_of(work), 0, 0), address_of(out))
