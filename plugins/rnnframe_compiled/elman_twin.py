"""The twin of the simple recurrent layer."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, write_input_gradient
from rnnframe_cells.elman import Elman
from rnnframe_compiled import elman
from rnnframe_compiled.groups import Gradients, taker
from rnnframe_compiled.packing import pack_columns, pack_transposed
from rnnframe_compiled.twins import ACTIVATIONS, RecurrentTwin, inputs_of, packed_inputs

_packed, _scratch, _gradients = map(taker, (elman.Packed, elman.Scratch, Gradients))


@attrs.frozen(kw_only=True)
class CompiledElman(RecurrentTwin):
    """Simple recurrent layer; formulas in `rnnframe_compiled.elman`."""

    name: ClassVar[str] = "elman"
    step_arrays = ("PU", "PW", "b"), ("h",), ()
    cell: Elman

    @property
    def kind(self) -> int:
        """The number of the activation."""
        return ACTIVATIONS.index(self.cell.activation)

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz."""
        return {"work": self.work(self.hidden, inputs), "dz": self.hidden}

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
        weights = block.weights
        inputs = self.inputs(block.x, weights, block.scratch["dz"])
        elman.forward(self.dtype.type(1), self.kind, inputs, _packed(weights), block.tape["h"])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch = block.weights, block.scratch
        elman.backward(
            self.dtype.type(1),
            self.kind,
            inputs_of(block.x, weights["U"]),
            weights["PWT"],
            block.tape["h"],
            dh,
            dstate["h"],
            _scratch(scratch),
            _gradients(gradients),
        )
        write_input_gradient(scratch["dz"], weights["U"], dx)
