"""Sums b + x U + h W of one step, and the way back, for cells whose gates are computed when all sums are there."""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled.groups import Inputs, Matrix, Product
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.making import part
from rnnframe_compiled.products import add_values, multiply, multiply_both


class Packed(NamedTuple):
    """U and W, packed by `pack_columns`, and b."""

    PU: Array
    PW: Array
    b: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`, and dz [L, B, 4H], which becomes the gradients of the sums."""

    work: Array
    dz: Array


@part
def write_step_sums(unit: Any, t: int, inputs: Inputs, packed: Packed, h: Array, out: Matrix) -> None:
    """out [B, columns] = b + x_t U + h_(t-1) W; h [L + 1, B, H]."""
    inputs, packed, out = Inputs(*inputs), Packed(*packed), Matrix(*out)
    z = bytes_of(unit)
    B, H = h.shape[1], h.shape[2]
    of_x = Product(inputs.address + t * inputs.step_bytes, inputs.width, address_of(packed.PU))
    of_h = Product(address_of(h) + t * B * H * z, H, address_of(packed.PW))
    multiply_both(unit, of_x, of_h, address_of(packed.b), out)
    for r in range(B if len(inputs.numbers) else 0):
        source = address_of(inputs.rows) + inputs.numbers[t * B + r] * out.width * z
        add_values(unit, out.width, source, out.address + r * out.stride * z)


@part
def reverse_step_sums(unit: Any, t: int, dz: Array, PWT: Array, dh: Array, carried: int, zeros: int) -> None:
    """Write at `carried` [B, H] what reaches h_(t-1): dz_t Wᵀ, and dh_(t-1), where step t - 1 is in the block."""
    z = bytes_of(unit)
    B, H, columns = dh.shape[1], dh.shape[2], dz.shape[2]
    given = (address_of(dh) + (t - 1) * B * H * z, H, BYTES // z) if t else (zeros, 0, 0)
    sums = Matrix(address_of(dz) + t * B * columns * z, B, columns, columns)
    multiply(unit, sums, address_of(PWT), H, given, carried)
