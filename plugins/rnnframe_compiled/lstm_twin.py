"""The twin of the LSTM."""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention, project, rows
from rnnframe_cells.lstm import LSTM
from rnnframe_compiled import lstm
from rnnframe_compiled.groups import Gradients, taker
from rnnframe_compiled.packing import pack, vectors_for
from rnnframe_compiled.twins import RecurrentTwin, inputs_of

_packed, _tape, _state, _scratch = map(taker, (lstm.Packed, lstm.Tape, lstm.State, lstm.Scratch))
_gradients = taker(Gradients)


@attrs.frozen(kw_only=True)
class CompiledLSTM(RecurrentTwin):
    """Long short-term memory; formulas in `rnnframe_compiled.lstm`."""

    name: ClassVar[str] = "lstm"
    step_arrays = ("PU", "PW", "Pb"), ("gates", "c", "h"), ("work",)
    cell: LSTM

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, dz, and left operands."""
        columns = 4 * self.hidden
        return {"work": self.work(columns, inputs), "dz": columns, **self.left_sizes(columns, inputs)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and b, a panel for every vector of hidden units with its four gates side by side; Wᵀ in panels."""
        panels, width = vectors_for(self.hidden, self.dtype), 4 * self.lanes
        return {
            "PU": (panels, self.steps(self.packed_inputs(inputs)), width),
            "PW": (panels, self.steps(self.hidden), width),
            "Pb": (panels, 1, width),
            "PWT": self.packed(4 * self.hidden, self.hidden),
            **self.reverse_sizes(4 * self.hidden, inputs),
        }

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.unit
        if weights["PU"].size:
            pack(unit, weights["U"], 0, H, 4, H, weights["PU"])
        pack(unit, weights["W"], 0, H, 4, H, weights["PW"])
        pack(self.dtype.type(1), weights["b"][None], 0, H, 4, H, weights["Pb"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transpose of W, and of U where terms are paired."""
        self.pack_reverse(weights, "W", 0, 4 * self.hidden, weights["PWT"])
        self.pack_input_gradient(weights, 4 * self.hidden)

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, tape, scratch = block.weights, block.tape, block.scratch
        inputs, left = self.inputs(block.x, weights, tape["gates"]), self.left(scratch)
        lstm.forward(self.unit, block.start, inputs, _packed(weights), _tape(tape), scratch["work"], left)

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Make c and h again, or the gates from h and then c."""
        weights, tape = block.weights, block.tape
        unit, gates, h = self.dtype.type(1), tape["gates"], tape["h"]
        if retention == "lean":
            lstm.rebuild(unit, _tape(tape))
            return
        if self.precision is not None:  # the same products again, and so h again
            self.forward(block)
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
            self.unit,
            inputs_of(block.x, weights["U"]),
            weights["PWT"],
            _tape(block.tape),
            dh,
            _state(dstate),
            _scratch({**scratch, "left": self.left(scratch)}),
            _gradients(gradients),
        )
        self.write_input_gradient(block, scratch["dz"], 4 * self.hidden, dx)
