"""The twin of linear attention."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention
from rnnframe_cells.attention import LinearAttention
from rnnframe_compiled import attention
from rnnframe_compiled.attention_spans import values_needed
from rnnframe_compiled.groups import taker
from rnnframe_compiled.linear_twins import LinearTwin
from rnnframe_compiled.sums import Gradients
from rnnframe_compiled.twins import inputs_of

_packed, _tape, _scratch, _gradients = map(taker, (attention.Packed, attention.Tape, attention.Scratch, Gradients))
KEYS = 1 << 20
"""What the keys are multiplied by in a twin's `kind`, beside the heads."""


@attrs.frozen(kw_only=True)
class CompiledLinearAttention(LinearTwin):
    """Linear attention with decay; formulas in `rnnframe_compiled.attention`."""

    name: ClassVar[str] = "linear-attention"
    output: ClassVar[str] = "y"
    sizes: ClassVar[Mapping[str, int | None]] = {"heads": 1, "keys": 2, "values": 2}
    step_arrays = ("PU", "bias"), ("made", "S", "y"), ("work",)
    cell: LinearAttention

    @property
    def kind(self) -> int:
        """Keys and heads, in one number."""
        return self.cell.keys * KEYS + self.cell.heads

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and the gradients of q, k, v and z."""
        columns = self.cell.columns
        rooms = sum(values_needed(self.lanes, self.cell.keys, self.cell.values))
        return {"work": (max(rooms, *self.work(columns, inputs)),), "dmade": columns}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U and Uᵀ in panels, and b behind zeros."""
        return {**super().derived(inputs), "bias": (self.cell.columns,)}

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        weights["bias"].fill(0)
        weights["bias"][-self.cell.heads :] = weights["b"]
        super().derive(weights)

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        scratch, unit = block.scratch, self.dtype.type(1)
        inputs = self.inputs(block.x, block.weights, scratch["dmade"])
        packed, tape = _packed(block.weights), _tape(block.tape)
        attention.forward(unit, self.cell.heads, inputs, packed, tape, scratch["work"])

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Run again."""
        self.forward(block)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        scratch = block.scratch
        attention.backward(
            self.dtype.type(1),
            self.cell.heads,
            inputs_of(block.x, block.weights["U"]),
            _tape(block.tape),
            dh,
            dstate["S"],
            _scratch(scratch),
            _gradients(gradients),
        )
        self.write_input_gradient(block, scratch["dmade"], dx)
