"""The twin of the GRU with a norm."""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention, is_lookup, project, write_input_gradient
from rnnframe_cells.gru import GRU
from rnnframe_compiled import gru_after, gru_normed
from rnnframe_compiled.groups import taker
from rnnframe_compiled.packing import pack_columns, pack_transposed
from rnnframe_compiled.twins import RecurrentTwin, inputs_of, packed_inputs

_packed, _reverse, _scratch = map(taker, (gru_normed.Packed, gru_normed.Reverse, gru_normed.Scratch))
_tape, _gradients = taker(gru_after.Tape), taker(gru_after.Gradients)
SCALES = "g_x", "g_h"
"""What the norm adds to the parameters, in the order in which kernels have them."""


@attrs.frozen(kw_only=True)
class CompiledNormedGRU(RecurrentTwin):
    """Gated recurrent unit with reset=after and a norm; formulas in `rnnframe_compiled.gru_normed`."""

    name: ClassVar[str] = "gru"
    step_arrays = ("PU", "PW", "b", "bn", "scales"), ("gates", "q", "h"), ("work", "d")
    cell: GRU

    def accepts_strided_steps(self, inputs: int) -> bool:
        """Products run over whole blocks."""
        return False

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned; d, n, the gradient of a row's q, and those of the scales."""
        H = self.hidden
        return {"work": self.work(3 * H, inputs), "d": 3 * H, "n": 3 * H, "dq": (H,), "dscales": (6 * H,)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and Wᵀ in panels, and all scales in one array."""
        H = self.hidden
        panels = {"PU": self.packed(packed_inputs(inputs), 3 * H), "PW": self.packed(H, 3 * H)}
        return {**panels, "PWT": self.packed(3 * H, H), "scales": (6 * H,)}

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.dtype.type(1)
        if weights["PU"].size:
            pack_columns(unit, weights["U"], 0, 3 * H, weights["PU"])
        pack_columns(unit, weights["W"], 0, 3 * H, weights["PW"])
        np.concatenate([weights[name] for name in SCALES], out=weights["scales"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transpose of W."""
        pack_transposed(self.dtype.type(1), weights["W"], 0, 3 * self.hidden, weights["PWT"])

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, scratch = block.weights, block.scratch
        inputs, work, d = self.inputs(block.x, weights, scratch["d"]), scratch["work"], scratch["d"]
        gru_normed.forward(self.dtype.type(1), inputs, _packed(weights), _tape(block.tape), work, d)

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Make h again from the gates; or the same gates and q, and the same h."""
        if retention == "lean":
            gru_after.rebuild(self.dtype.type(1), block.tape["gates"], block.tape["h"])
        else:
            self.forward(block)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch, unit, x = block.weights, block.scratch, self.dtype.type(1), block.x
        arrays, adding = _scratch(scratch), _gradients(gradients)
        gru_normed.backward(unit, _reverse(weights), _tape(block.tape), dh, dstate["h"], arrays, adding)
        wide = not is_lookup(x) and not weights["PU"].size
        if wide:
            project(x, weights["U"], scratch["n"])
        inputs = inputs_of(x, weights["U"])
        gru_normed.reverse_inputs(unit, inputs, weights["PU"], arrays, weights["scales"], adding, wide)
        for name, part in zip(SCALES, np.split(scratch["dscales"], 2), strict=True):
            gradients[name][...] += part
        write_input_gradient(scratch["d"], weights["U"], dx)
