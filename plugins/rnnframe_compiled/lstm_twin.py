"""The twin of the LSTM."""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention, project, rows, write_input_gradient
from rnnframe_cells.lstm import LSTM
from rnnframe_compiled import lstm
from rnnframe_compiled.groups import Gradients, taker
from rnnframe_compiled.packing import pack, pack_transposed, vectors_for
from rnnframe_compiled.twins import RecurrentTwin, inputs_of, packed_inputs

_packed, _tape, _state, _scratch = map(taker, (lstm.Packed, lstm.Tape, lstm.State, lstm.Scratch))
_gradients = taker(Gradients)


@attrs.frozen(kw_only=True)
class CompiledLSTM(RecurrentTwin):
    """Long short-term memory; formulas in `rnnframe_compiled.lstm`."""

    name: ClassVar[str] = "lstm"
    step_arrays = ("PU", "PW", "Pb"), ("gates", "c", "h"), ("work",)
    cell: LSTM

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz."""
        return {"work": self.work(4 * self.hidden, inputs), "dz": 4 * self.hidden}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and b, a panel for every vector of hidden units with its four gates side by side; Wᵀ in panels."""
        panels, width = vectors_for(self.hidden, self.dtype), 4 * self.lanes
        return {
            "PU": (panels, packed_inputs(inputs), width),
            "PW": (panels, self.hidden, width),
            "Pb": (panels, 1, width),
            "PWT": (panels * self.lanes * 4 * self.hidden,),
        }

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.dtype.type(1)
        if weights["PU"].size:
            pack(unit, weights["U"], 0, H, 4, H, weights["PU"])
        pack(unit, weights["W"], 0, H, 4, H, weights["PW"])
        pack(unit, weights["b"][None], 0, H, 4, H, weights["Pb"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transpose of W."""
        pack_transposed(self.dtype.type(1), weights["W"], 0, 4 * self.hidden, weights["PWT"])

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, tape = block.weights, block.tape
        inputs = self.inputs(block.x, weights, tape["gates"])
        lstm.forward(self.dtype.type(1), block.start, inputs, _packed(weights), _tape(tape), block.scratch["work"])

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Make c and h again, or the gates from h and then c."""
        weights, tape = block.weights, block.tape
        unit, gates, h = self.dtype.type(1), tape["gates"], tape["h"]
        if retention == "lean":
            lstm.rebuild(unit, _tape(tape))
            return
        product = block.scratch["dz"]
        project(block.x, weights["U"], gates)
        gates += weights["b"]
        np.matmul(rows(h[:-1]), weights["W"], out=rows(product))
        gates += product
        lstm.activate(unit, gates)
        spare = product.reshape(-1)[: h.size].reshape(h.shape)  # h is there: what is made again is thrown away
        lstm.rebuild(unit, (gates, tape["c"], spare))

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch = block.weights, block.scratch
        lstm.backward(
            self.dtype.type(1),
            inputs_of(block.x, weights["U"]),
            weights["PWT"],
            _tape(block.tape),
            dh,
            _state(dstate),
            _scratch(scratch),
            _gradients(gradients),
        )
        write_input_gradient(scratch["dz"], weights["U"], dx)
