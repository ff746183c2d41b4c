"""The twin of the LSTM with a norm or a projection."""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention, is_lookup, project, write_input_gradient
from rnnframe_cells.lstm import LSTM
from rnnframe_compiled import lstm, lstm_general
from rnnframe_compiled.groups import taker
from rnnframe_compiled.packing import pack_columns, pack_transposed
from rnnframe_compiled.twins import RecurrentTwin, inputs_of, packed_inputs

_packed, _reverse, _tape, _state, _scratch, _gradients = map(
    taker,
    (
        lstm_general.Packed,
        lstm_general.Reverse,
        lstm.Tape,
        lstm.State,
        lstm_general.Scratch,
        lstm_general.Gradients,
    ),
)
SCALES = "g_x", "g_h", "g_c", "b_c"
"""What a norm adds to the parameters, in the order in which kernels have them."""


@attrs.frozen(kw_only=True)
class CompiledGeneralLSTM(RecurrentTwin):
    """Long short-term memory with a norm or a projection; formulas in `rnnframe_compiled.lstm_general`.

    All arrays of both are always there, and empty where the cell does not have them: there is one code for all.
    """

    name: ClassVar[str] = "lstm"
    sizes: ClassVar[Mapping[str, int | None]] = {"hidden": 2, "projection": None}
    step_arrays = ("PU", "PW", "PP", "b", "scales"), ("gates", "c", "h"), ("work", "dz", "made")
    cell: LSTM

    @property
    def kind(self) -> int:
        """Units, below zero with a norm."""
        return -self.hidden if self.cell.norm else self.hidden

    def accepts_strided_steps(self, inputs: int) -> bool:
        """Products run over whole blocks."""
        return False

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz; n, o ∘ tanh c, and gradients of the scales."""
        H, normed, projected = self.hidden, bool(self.cell.norm), bool(self.cell.projection)
        sizes: Sizes = {"work": self.work(4 * H, inputs), "dz": 4 * H, "n": 4 * H * normed, "made": H * projected}
        return {**sizes, "dscales": (10 * H * normed,)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W, P, Wᵀ and Pᵀ in panels, and all scales in one array."""
        H, projection = self.hidden, self.cell.projection or 0
        seen, few = self.cell.seen_width, packed_inputs(inputs)
        panels = {"PU": self.packed(few, 4 * H), "PW": self.packed(seen, 4 * H), "PP": self.packed(H, projection)}
        reverse = {"PWT": self.packed(4 * H, seen), "PPT": self.packed(projection, H)}
        return {**panels, **reverse, "scales": (10 * H if self.cell.norm else 0,)}

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.dtype.type(1)
        if weights["PU"].size:
            pack_columns(unit, weights["U"], 0, 4 * H, weights["PU"])
        pack_columns(unit, weights["W"], 0, 4 * H, weights["PW"])
        if self.cell.projection:
            pack_columns(unit, weights["P"], 0, self.cell.projection, weights["PP"])
        for name, part in self._parts(weights["scales"]):
            part[...] = weights[name]

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transposes of W and P."""
        unit = self.dtype.type(1)
        pack_transposed(unit, weights["W"], 0, 4 * self.hidden, weights["PWT"])
        if self.cell.projection:
            pack_transposed(unit, weights["P"], 0, self.cell.projection, weights["PPT"])

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, scratch = block.weights, block.scratch
        inputs = self.inputs(block.x, weights, scratch["dz"])
        lstm_general.forward(self.dtype.type(1), inputs, _packed(weights), _tape(block.tape), _scratch(scratch))

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Make again what is not there: c, and h unless it is projected; or the same gates and c, and the same h."""
        if retention == "lean":
            lstm_general.rebuild(self.dtype.type(1), block.weights["scales"], _tape(block.tape))
        else:
            self.forward(block)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch, unit = block.weights, block.scratch, self.dtype.type(1)
        adding, x = _gradients({"P": gradients["W"][:0], **gradients}), block.x
        arrays = _scratch(scratch)
        lstm_general.backward(unit, _reverse(weights), _tape(block.tape), dh, _state(dstate), arrays, adding)
        wide = bool(self.cell.norm) and not is_lookup(x) and not weights["PU"].size
        if wide:
            project(x, weights["U"], scratch["n"])
        inputs = inputs_of(x, weights["U"])
        lstm_general.reverse_inputs(unit, inputs, weights["PU"], arrays, weights["scales"], adding, wide)
        for name, part in self._parts(scratch["dscales"]):
            gradients[name][...] += part
        write_input_gradient(scratch["dz"], weights["U"], dx)

    def _parts(self, scales: Array) -> list[tuple[str, Array]]:
        """Return the names of the scales, where there are any, with their parts of an array of all."""
        H = self.hidden
        return [*zip(SCALES, np.split(scales, [4 * H, 8 * H, 9 * H]), strict=True)] if len(scales) else []
