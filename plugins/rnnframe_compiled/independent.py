"""Block kernels of indrnn: one product for all steps, then one pass over units that see themselves alone.

The formulas are those of `rnnframe_cells.independent`, on lanes.
"""

from typing import Any, NamedTuple

from rnnframe.plugin import Array
from rnnframe_compiled.elman import activate, reverse_activation
from rnnframe_compiled.groups import Inputs
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of, lanewise
from rnnframe_compiled.making import kernel
from rnnframe_compiled.products import add
from rnnframe_compiled.sums import add_sums_gradients, write_sums


class Packed(NamedTuple):
    """U, packed by `pack_columns`; w and b [H]."""

    PU: Array
    w: Array
    b: Array


class Scratch(NamedTuple):
    """The working array of `rnnframe_compiled.twins`, and dz [L, B, H], which becomes the gradients of the sums."""

    work: Array
    dz: Array


class Gradients(NamedTuple):
    """The gradients of U [inputs, H], w [H] and b [H], which are added to."""

    U: Array
    w: Array
    b: Array


@lanewise
def add_own(z: Any, w: Any, h_old: Any) -> Any:
    """z + w h."""
    return w.fma(h_old, z)


@lanewise
def pass_back(dz: Any, w: Any, h_old: Any, dw: Any) -> Any:
    """Return the gradient of the h before, and w's with this step added."""
    return dz * w, dz.fma(h_old, dw)


@kernel
def forward(unit: Any, kind: int, inputs: Inputs, packed: Packed, h: Array) -> None:
    """Run the block: write h [L + 1, B, H] from its row 1 on; `kind` is the number of the activation."""
    packed = Packed(*packed)
    z = bytes_of(unit)
    B, H = h.shape[1], h.shape[2]
    at_h, w = address_of(h), address_of(packed.w)
    write_sums(unit, inputs, packed.PU, packed.b, h[1:])
    for row in range((h.shape[0] - 1) * B):
        for j in range(0, H, BYTES // z):
            before, n = at_h + (row * H + j) * z, H - j
            place = (before + B * H * z,)
            add_own(unit, n, (*place, w + j * z, before), place)
            activate(unit, kind, n, place)


@kernel
def backward(
    unit: Any,
    kind: int,
    inputs: Inputs,
    w: Array,
    h: Array,
    dh: Array,
    dstate: Array,
    scratch: Scratch,
    gradients: Gradients,
) -> None:
    """Reverse the block: dh [L, B, H] are the gradients of its h.

    dstate [B, H] is the gradient of the state after the block, and becomes that of the state before it.
    """
    scratch, gradients = Scratch(*scratch), Gradients(*gradients)
    z = bytes_of(unit)
    L, B, H = dh.shape
    at_h, at_dh, at_dz, carried = address_of(h), address_of(dh), address_of(scratch.dz), address_of(dstate)
    at_w, at_dw = address_of(w), address_of(gradients.w)
    for t in range(L - 1, -1, -1):
        for r in range(B):
            for j in range(0, H, BYTES // z):
                here, n = ((t * B + r) * H + j) * z, H - j
                c, d, before = carried + (r * H + j) * z, at_dz + here, at_h + here
                add(unit, n, (at_dh + here, c), (c,))
                reverse_activation(unit, kind, n, (before + B * H * z, c), (d,))
                pass_back(unit, n, (d, at_w + j * z, before, at_dw + j * z), (c, at_dw + j * z))
    add_sums_gradients(unit, inputs, scratch.dz, address_of(gradients.U), address_of(gradients.b), scratch.work)
