"""The twins of mingru and minlstm."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention, write_input_gradient
from rnnframe_cells.linear import MinGRU
from rnnframe_compiled import linear
from rnnframe_compiled.groups import taker
from rnnframe_compiled.packing import pack, vectors_for
from rnnframe_compiled.twins import Twin, inputs_of, packed_inputs

_packed, _tape, _scratch, _gradients = map(taker, (linear.Packed, linear.Tape, linear.Scratch, linear.Gradients))


@attrs.frozen(kw_only=True)
class CompiledMinGRU(Twin):
    """Minimal gated recurrent unit; formulas in `rnnframe_compiled.linear`."""

    name: ClassVar[str] = "mingru"
    step_arrays = ("PU", "Pb"), ("gates", "h"), ("work",)
    cell: MinGRU

    @property
    def kind(self) -> int:
        """Columns of U for every unit."""
        return self.cell.columns // self.cell.hidden

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz."""
        return {"work": self.work(self.cell.columns, inputs), "dz": self.cell.columns}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U and b, a panel for every vector of units with its gates side by side."""
        panels, width = vectors_for(self.cell.hidden, self.dtype), self.kind * self.lanes
        return {"PU": (panels, packed_inputs(inputs), width), "Pb": (panels, 1, width)}

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.cell.hidden, self.dtype.type(1)
        if weights["PU"].size:
            pack(unit, weights["U"], 0, H, self.kind, H, weights["PU"])
        pack(unit, weights["b"][None], 0, H, self.kind, H, weights["Pb"])

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, tape = block.weights, block.tape
        inputs = self.inputs(block.x, weights, block.scratch["dz"])
        linear.forward(self.dtype.type(1), self.kind, inputs, _packed(weights), _tape(tape), block.scratch["work"])

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Make h again, or the gates, and h as it is."""
        if retention == "lean":
            linear.rebuild(self.dtype.type(1), self.kind, _tape(block.tape))
        else:
            self.forward(block)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch = block.weights, block.scratch
        linear.backward(
            self.dtype.type(1),
            self.kind,
            inputs_of(block.x, weights["U"]),
            _tape(block.tape),
            dh,
            dstate["h"],
            _scratch(scratch),
            _gradients(gradients),
        )
        write_input_gradient(scratch["dz"], weights["U"], dx)


@attrs.frozen(kw_only=True)
class CompiledMinLSTM(CompiledMinGRU):
    """Minimal long short-term memory."""

    name: ClassVar[str] = "minlstm"
