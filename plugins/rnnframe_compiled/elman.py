"""Block kernels of the simple recurrent layer; the formulas are those of `rnnframe_cells.elman`, on lanes."""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled import functions
from rnnframe_compiled.gradients import add_block_gradients
from rnnframe_compiled.groups import Gradients, Inputs, Matrix, Product
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.making import kernel, part
from rnnframe_compiled.pairs import operand, words_for
from rnnframe_compiled.products import add_values, copy, multiply, multiply_both


class Packed(NamedTuple):
    """U and W, packed by `pack_columns`, and b [H]."""

    PU: Array
    PW: Array
    b: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`; dz [L, B, H], which becomes the gradients of the sums.

    `left` is room for left operands, as `RecurrentTwin.left` says.
    """

    work: Array
    dz: Array
    left: Array


tanh, sigmoid, relu = map(lanewise, (functions.tanh, functions.sigmoid, functions.relu))


@lanewise
def reverse_tanh(h: Any, dh: Any) -> Any:
    """dh (1 - h²)."""
    return dh * (1.0 - h * h)


@lanewise
def reverse_sigmoid(h: Any, dh: Any) -> Any:
    """dh h (1 - h)."""
    return dh * (h * (1.0 - h))


@lanewise
def reverse_relu(h: Any, dh: Any) -> Any:
    """dh where h is above zero."""
    return dh * h.above_zero()


@part
def activate(unit: Any, kind: int, n: int, place: tuple[int]) -> None:
    """Replace a vector of sums by its activation; `kind` is the number of the activation."""
    if kind == 0:
        tanh(unit, n, place, place)
    elif kind == 1:
        sigmoid(unit, n, place, place)
    elif kind == 2:
        relu(unit, n, place, place)


@part
def reverse_activation(unit: Any, kind: int, n: int, given: tuple[int, int], made: tuple[int]) -> None:
    """Write the gradient of a vector of sums, from h and the gradient of h."""
    if kind == 0:
        reverse_tanh(unit, n, given, made)
    elif kind == 1:
        reverse_sigmoid(unit, n, given, made)
    elif kind == 2:
        reverse_relu(unit, n, given, made)
    else:
        copy(unit, n, (given[1],), made)


@kernel
def forward(unit: Any, kind: int, inputs: Inputs, packed: Packed, h: Array, left: Array) -> None:
    """Run the block: write h [L + 1, B, H] from its row 1 on; `kind` is the number of the activation."""
    inputs, packed = Inputs(*inputs), Packed(*packed)
    z = bytes_of(unit)
    V = BYTES // z
    L, B, H = h.shape[0] - 1, h.shape[1], h.shape[2]
    I, numbers, rows, at_h = inputs.width, inputs.numbers, address_of(inputs.rows), address_of(h)
    pu, pw, bias = address_of(packed.PU), address_of(packed.PW), address_of(packed.b)
    terms_x, terms_h, room = words_for(unit, I), words_for(unit, H), address_of(left)
    for t in range(L):
        after = at_h + (t + 1) * B * H * z
        x = operand(unit, B, I, I, inputs.address + t * inputs.step_bytes, room)
        before = operand(unit, B, H, H, after - B * H * z, room + B * terms_x * z)
        of_x, of_h = Product(x, terms_x, pu), Product(before, terms_h, pw)
        multiply_both(unit, of_x, of_h, bias, Matrix(after, B, H, H))
        for r in range(B if len(numbers) else 0):
            add_values(unit, H, rows + numbers[t * B + r] * H * z, after + r * H * z)
        for j in range(0, B * H, V):
            place, n = after + j * z, B * H - j
            activate(unit, kind, n, (place,))


@kernel
def backward(
    unit: Any,
    kind: int,
    inputs: Inputs,
    PWT: Array,
    h: Array,
    dh: Array,
    dstate: Array,
    scratch: Scratch,
    gradients: Gradients,
) -> None:
    """Reverse the block: dh [L, B, H] are the gradients of its h, PWT is W transposed, packed by `pack_transposed`.

    dstate [B, H] is the gradient of the state after the block, and becomes that of the state before it.
    """
    inputs, scratch, gradients = Inputs(*inputs), Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    V = BYTES // z
    work, dz, left = scratch
    L, B, H = dz.shape
    at_h, at_dh, at_dz, dh_t, pwt = address_of(h), address_of(dh), address_of(dz), address_of(dstate), address_of(PWT)
    size, zeros, width = B * H, address_of(work), words_for(unit, H)
    work[:V] = 0
    add_values(unit, size, at_dh + (L - 1) * size * z, dh_t)
    for t in range(L - 1, -1, -1):
        d = at_dz + t * size * z
        for j in range(0, size, V):
            arguments, made, n = (at_h + ((t + 1) * size + j) * z, dh_t + j * z), (d + j * z,), size - j
            reverse_activation(unit, kind, n, arguments, made)
        given = (at_dh + (t - 1) * size * z, H, V) if t else (zeros, 0, 0)
        sums = Matrix(operand(unit, B, H, H, d, address_of(left)), B, width, width)
        multiply(unit, sums, pwt, H, given, dh_t)
    add_block_gradients(unit, inputs, h, dz, gradients, work)
