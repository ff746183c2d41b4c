"""The twin of the simple recurrent layer."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, write_input_gradient
from rnnframe_cells.elman import Elman
from rnnframe_compiled import elman
from rnnframe_compiled.packing import pack_columns, pack_transposed
from rnnframe_compiled.twins import Twin, packed_inputs, terms_of


@attrs.frozen(kw_only=True)
class CompiledElman(Twin):
    """Simple recurrent layer; formulas in `rnnframe_compiled.elman`."""

    name: ClassVar[str] = "elman"
    cell: Elman

    @property
    def kind(self) -> int:
        """The number of the activation."""
        return ("tanh", "sigmoid", "relu", "identity").index(self.cell.activation)

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz."""
        return {"work": self.work(1, inputs), "dz": self.hidden}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and Wᵀ in panels."""
        H = self.hidden
        return {"PU": self.packed(packed_inputs(inputs), H), "PW": self.packed(H, H), "PWT": self.packed(H, H)}

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.dtype.type(1)
        if weights["PU"].size:
            pack_columns(unit, weights["U"], 0, H, weights["PU"])
        pack_columns(unit, weights["W"], 0, H, weights["PW"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transpose of W."""
        pack_transposed(self.dtype.type(1), weights["W"], 0, self.hidden, weights["PWT"])

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, x, tape, scratch = block.weights, block.x, block.tape, block.scratch
        unit, inputs = self.dtype.type(1), self.inputs(x, weights, scratch["dz"])
        elman.forward(unit, self.kind, *inputs, weights["PU"], weights["PW"], weights["b"], tape["h"])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, x, tape, scratch = block.weights, block.x, block.tape, block.scratch
        dz = scratch["dz"]
        elman.backward(
            self.dtype.type(1),
            self.kind,
            *terms_of(x, len(weights["U"])),
            weights["PWT"],
            tape["h"],
            dh,
            dstate["h"],
            dz,
            gradients["U"],
            gradients["W"],
            gradients["b"],
            scratch["work"],
        )
        write_input_gradient(dz, weights["U"], dx)
