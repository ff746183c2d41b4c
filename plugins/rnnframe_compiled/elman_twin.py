"""The twin of the simple recurrent layer."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes
from rnnframe_cells.elman import Elman
from rnnframe_compiled import elman
from rnnframe_compiled.groups import Gradients, taker
from rnnframe_compiled.packing import pack_columns
from rnnframe_compiled.twins import ACTIVATIONS, RecurrentTwin, inputs_of

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
        """The working array first, where it is aligned, dz, and left operands."""
        H = self.hidden
        return {"work": self.work(H, inputs), "dz": H, **self.left_sizes(H, inputs)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and Wᵀ in panels."""
        H = self.hidden
        return {
            "PU": self.packed(self.packed_inputs(inputs), H),
            "PW": self.packed(H, H),
            "PWT": self.packed(H, H),
            **self.reverse_sizes(H, inputs),
        }

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.unit
        if weights["PU"].size:
            pack_columns(unit, weights["U"], 0, H, weights["PU"])
        pack_columns(unit, weights["W"], 0, H, weights["PW"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transpose of W, and of U where terms are paired."""
        self.pack_reverse(weights, "W", 0, self.hidden, weights["PWT"])
        self.pack_input_gradient(weights, self.hidden)

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, scratch = block.weights, block.scratch
        inputs, left = self.inputs(block.x, weights, scratch["dz"]), self.left(scratch)
        elman.forward(self.unit, self.kind, inputs, _packed(weights), block.tape["h"], left)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch = block.weights, block.scratch
        elman.backward(
            self.unit,
            self.kind,
            inputs_of(block.x, weights["U"]),
            weights["PWT"],
            block.tape["h"],
            dh,
            dstate["h"],
            _scratch({**scratch, "left": self.left(scratch)}),
            _gradients(gradients),
        )
        self.write_input_gradient(block, scratch["dz"], self.hidden, dx)
