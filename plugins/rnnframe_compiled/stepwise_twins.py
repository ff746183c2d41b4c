"""The twins of cells that are written as the formula of one step."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, write_input_gradient
from rnnframe_cells.peephole import PeepholeLSTM
from rnnframe_cells.slstm import SLSTM
from rnnframe_compiled import lstm, peephole, slstm
from rnnframe_compiled.groups import Gradients, taker
from rnnframe_compiled.packing import pack_columns, pack_transposed
from rnnframe_compiled.recurrent import Packed, Scratch
from rnnframe_compiled.twins import RecurrentTwin, inputs_of, packed_inputs

_packed, _scratch = map(taker, (Packed, Scratch))
_peephole_tape, _peephole_state, _peephole_gradients = map(taker, (lstm.Tape, lstm.State, peephole.Gradients))
_slstm_tape, _slstm_state, _slstm_gradients = map(taker, (slstm.Tape, slstm.State, Gradients))


@attrs.frozen(kw_only=True)
class FourSums(RecurrentTwin):
    """The twin of a cell with U, W and b of four columns for every unit."""

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz."""
        return {"work": self.work(4 * self.hidden, inputs), "dz": 4 * self.hidden}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and Wᵀ in panels."""
        H = self.hidden
        own = {"PU": self.packed(packed_inputs(inputs), 4 * H), "PW": self.packed(H, 4 * H)}
        return {**own, "PWT": self.packed(4 * H, H)}

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.dtype.type(1)
        if weights["PU"].size:
            pack_columns(unit, weights["U"], 0, 4 * H, weights["PU"])
        pack_columns(unit, weights["W"], 0, 4 * H, weights["PW"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transpose of W."""
        pack_transposed(self.dtype.type(1), weights["W"], 0, 4 * self.hidden, weights["PWT"])


@attrs.frozen(kw_only=True)
class CompiledPeepholeLSTM(FourSums):
    """Long short-term memory with peepholes; formulas in `rnnframe_compiled.peephole`."""

    name: ClassVar[str] = "peephole-lstm"
    step_arrays = ("PU", "PW", "b", "p"), ("gates", "c", "h"), ()
    cell: PeepholeLSTM

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights = block.weights
        inputs = self.inputs(block.x, weights, block.scratch["dz"])
        peephole.forward(self.dtype.type(1), inputs, _packed(weights), weights["p"], _peephole_tape(block.tape))

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch = block.weights, block.scratch
        peephole.backward(
            self.dtype.type(1),
            inputs_of(block.x, weights["U"]),
            weights["PWT"],
            weights["p"],
            _peephole_tape(block.tape),
            dh,
            _peephole_state(dstate),
            _scratch(scratch),
            _peephole_gradients(gradients),
        )
        write_input_gradient(scratch["dz"], weights["U"], dx)


@attrs.frozen(kw_only=True)
class CompiledSLSTM(FourSums):
    """Long short-term memory with exponential gates; formulas in `rnnframe_compiled.slstm`."""

    name: ClassVar[str] = "slstm"
    step_arrays = ("PU", "PW", "b"), ("gates", "h", "c", "n", "m"), ()
    cell: SLSTM

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights = block.weights
        inputs = self.inputs(block.x, weights, block.scratch["dz"])
        slstm.forward(self.dtype.type(1), inputs, _packed(weights), _slstm_tape(block.tape))

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch = block.weights, block.scratch
        slstm.backward(
            self.dtype.type(1),
            inputs_of(block.x, weights["U"]),
            weights["PWT"],
            _slstm_tape(block.tape),
            dh,
            _slstm_state(dstate),
            _scratch(scratch),
            _slstm_gradients(gradients),
        )
        write_input_gradient(scratch["dz"], weights["U"], dx)
