"""The twin of the linear recurrent unit."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention
from rnnframe_cells.lru import LRU
from rnnframe_compiled import lru
from rnnframe_compiled.groups import taker
from rnnframe_compiled.linear_twins import LinearTwin
from rnnframe_compiled.packing import pack_columns, pack_transposed
from rnnframe_compiled.twins import inputs_of

_packed, _tape, _scratch, _gradients = map(taker, (lru.Packed, lru.Tape, lru.Scratch, lru.Gradients))


@attrs.frozen(kw_only=True)
class CompiledLRU(LinearTwin):
    """Linear recurrent unit; formulas in `rnnframe_compiled.lru`."""

    name: ClassVar[str] = "lru"
    output: ClassVar[str] = "y"
    sizes: ClassVar[Mapping[str, int | None]] = {"units": 2, "states": 2}
    matrix = "scaled"
    step_arrays = ("PU", "PC", "zeros", "factor", "b"), ("s", "y"), ()
    cell: LRU

    @property
    def kind(self) -> int:
        """Complex numbers of the state."""
        return self.cell.states

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned; ds, dλ and the gradient of γ U."""
        N = 2 * self.cell.states
        work = self.work(max(N, self.cell.units), inputs)
        return {"work": work, "ds": N, "dfactor": (N,), "dscaled": (inputs, N)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """λ, U times γ, and products in panels."""
        N, units = 2 * self.cell.states, self.cell.units
        panels = {**super().derived(inputs), "PC": self.packed(N, units), "PCT": self.packed(units, N)}
        return {**self.cell.derived(inputs), **panels, "zeros": (N,)}

    def derive(self, weights: Arrays) -> None:
        """Compute, then pack."""
        self.cell.derive(weights)
        weights["zeros"].fill(0)
        pack_columns(self.dtype.type(1), weights["C"], 0, self.cell.units, weights["PC"])
        super().derive(weights)

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack transposes."""
        pack_transposed(self.dtype.type(1), weights["C"], 0, self.cell.units, weights["PCT"])
        super().derive_reverse(weights)

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, tape = block.weights, block.tape
        inputs = self.inputs(block.x, weights, block.scratch["ds"])
        lru.forward(self.dtype.type(1), inputs, _packed(weights), _tape(tape))

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Multiply s again."""
        lru.read(self.dtype.type(1), _packed(block.weights), _tape(block.tape))

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch = block.weights, block.scratch
        lru.backward(
            self.dtype.type(1),
            inputs_of(block.x, weights["scaled"]),
            weights["PCT"],
            weights["factor"],
            block.tape["s"],
            dh,
            dstate["s"],
            _scratch(scratch),
            _gradients(gradients),
        )
        self.cell.add_of_factor(weights, scratch["dfactor"], gradients)
        self.cell.add_of_scaled(weights, scratch["dscaled"], gradients)
        self.write_input_gradient(block, scratch["ds"], dx)
