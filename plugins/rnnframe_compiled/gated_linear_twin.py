"""The twin of the real-gated linear recurrent unit."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention
from rnnframe_cells.gated_linear import RGLRU
from rnnframe_compiled import gated_linear
from rnnframe_compiled.groups import taker
from rnnframe_compiled.linear_twins import LinearTwin
from rnnframe_compiled.twins import inputs_of

_packed, _tape, _scratch = map(taker, (gated_linear.Packed, gated_linear.Tape, gated_linear.Scratch))


@attrs.frozen(kw_only=True)
class CompiledRGLRU(LinearTwin):
    """Real-gated linear recurrent unit; formulas in `rnnframe_compiled.gated_linear`."""

    name: ClassVar[str] = "rglru"
    sizes: ClassVar[Mapping[str, int | None]] = {}
    matrix = "K"
    step_arrays = ("PU", "b", "fading"), ("gates", "h"), ()
    cell: RGLRU

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned; the gradients of the sums, of x but by them, and of fading."""
        work = self.work(2 * inputs, inputs)
        return {"work": work, "dz": 2 * inputs, "direct": inputs, "dfading": (inputs,)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """fading, and K in panels."""
        return {**self.cell.derived(inputs), **super().derived(inputs)}

    def derive(self, weights: Arrays) -> None:
        """Compute, then pack."""
        self.cell.derive(weights)
        super().derive(weights)

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, x = block.weights, block.x
        inputs = self.inputs(x, weights, block.scratch["dz"])
        gated_linear.forward(self.dtype.type(1), x.ctypes.data, inputs, _packed(weights), _tape(block.tape))

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Make h again, or the gates, and h as it is."""
        if retention == "lean":
            unit, x = self.dtype.type(1), block.x
            gated_linear.rebuild(unit, x.ctypes.data, _packed(block.weights), _tape(block.tape))
        else:
            self.forward(block)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch, x = block.weights, block.scratch, block.x
        gated_linear.backward(
            self.dtype.type(1),
            x.ctypes.data,
            inputs_of(x, weights["K"]),
            weights["fading"],
            _tape(block.tape),
            dh,
            dstate["h"],
            _scratch(scratch),
            (gradients["K"], gradients["b"]),
        )
        self.cell.add_of_fading(weights, scratch["dfading"], gradients)
        if dx is not None:
            self.write_input_gradient(block, scratch["dz"], dx)
            dx += scratch["direct"]
