"""The twin of the selective state space."""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention
from rnnframe_cells.selective import SelectiveSSM
from rnnframe_compiled import selective
from rnnframe_compiled.groups import taker
from rnnframe_compiled.linear_twins import LinearTwin
from rnnframe_compiled.packing import pack_columns
from rnnframe_compiled.twins import inputs_of

_packed, _tape, _scratch, _gradients = map(
    taker, (selective.Packed, selective.Tape, selective.Scratch, selective.Gradients)
)
RANKS = 1 << 20
"""What the rank is multiplied by in a twin's `kind`, beside the states."""


@attrs.frozen(kw_only=True)
class CompiledSelectiveSSM(LinearTwin):
    """Selective state space; formulas in `rnnframe_compiled.selective`."""

    name: ClassVar[str] = "selective-ssm"
    output: ClassVar[str] = "y"
    sizes: ClassVar[Mapping[str, int | None]] = {"states": 2, "rank": 1}
    matrix = "K"
    step_arrays = ("PU", "PR", "zeros", "b", "A", "D"), ("made", "step", "s", "y"), ()
    cell: SelectiveSSM

    @property
    def kind(self) -> int:
        """Rank and states, in one number."""
        return self.cell.rank * RANKS + self.cell.states

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned; s, the gradients of d, B and C, Δ, Δ ∘ x and A."""
        columns, N = self.cell.columns, self.cell.states
        of_steps = {"s": inputs * N, "dmade": columns, "dstep": inputs, "dtaken": inputs}
        return {"work": self.work(columns, inputs), **of_steps, "dfactor": (inputs, N)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """A, zeros, and K and R in panels."""
        panels = {**super().derived(inputs), "PR": self.packed(self.cell.rank, inputs)}
        return {**self.cell.derived(inputs), **panels, "zeros": (self.cell.columns,)}

    def derive(self, weights: Arrays) -> None:
        """Compute, then pack."""
        self.cell.derive(weights)
        weights["zeros"].fill(0)
        pack_columns(self.dtype.type(1), weights["R"], 0, weights["R"].shape[1], weights["PR"])
        super().derive(weights)

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, x = block.weights, block.x
        inputs = self.inputs(x, weights, block.scratch["dmade"])
        selective.forward(self.dtype.type(1), x.ctypes.data, inputs, _packed(weights), _tape(block.tape))

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Run again."""
        self.forward(block)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch, x, dA = block.weights, block.scratch, block.x, block.scratch["dfactor"]
        selective.backward(
            self.dtype.type(1),
            x.ctypes.data,
            inputs_of(x, weights["K"]),
            _packed(weights),
            weights["R"],
            _tape(block.tape),
            dh,
            dstate["s"],
            _scratch(scratch),
            _gradients(gradients),
        )
        gradients["logA"][...] += np.multiply(dA, weights["A"], out=dA)
        if dx is not None:
            self.write_input_gradient(block, scratch["dmade"], dx)
            dx += dh
