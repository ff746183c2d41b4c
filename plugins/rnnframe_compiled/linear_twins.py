"""The twins of cells without a recurrent product."""

from collections.abc import Mapping
from typing import ClassVar

import attrs

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention, rows, write_input_gradient
from rnnframe_cells.independent import IndRNN
from rnnframe_cells.linear import MinGRU
from rnnframe_compiled import independent, linear
from rnnframe_compiled.groups import taker
from rnnframe_compiled.packing import pack_columns, pack_transposed
from rnnframe_compiled.sums import Gradients, multiply_rows
from rnnframe_compiled.twins import ACTIVATIONS, Twin, inputs_of, packed_inputs

_packed, _tape, _scratch, _gradients = map(taker, (linear.Packed, linear.Tape, linear.Scratch, Gradients))
_packed_own, _gradients_own = map(taker, (independent.Packed, independent.Gradients))


@attrs.frozen(kw_only=True)
class LinearTwin(Twin):
    """The twin of a cell whose sums are b + x U alone; U and Uᵀ are packed, where inputs are not too many.

    U is the weight that `matrix` names.
    """

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U and Uᵀ in panels."""
        shapes = {**self.parameters(inputs), **self.cell.derived(inputs)}
        columns, few = shapes[self.matrix][1], packed_inputs(inputs)
        return {"PU": self.packed(few, columns), "PUT": self.packed(columns, few)}

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        U = weights[self.matrix]
        if weights["PU"].size:
            pack_columns(self.dtype.type(1), U, 0, U.shape[1], weights["PU"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transpose of U."""
        U = weights[self.matrix]
        if weights["PUT"].size:
            pack_transposed(self.dtype.type(1), U, 0, U.shape[1], weights["PUT"])

    def write_input_gradient(self, block: BlockPass, dz: Array, dx: Array | None) -> None:
        """Write dz·Uᵀ into `dx`, unless it is None."""
        weights = block.weights
        if dx is None or not weights["PUT"].size:
            write_input_gradient(dz, weights[self.matrix], dx)
        else:
            multiply_rows(self.dtype.type(1), rows(dz), weights["PUT"], block.scratch["work"], rows(dx))


@attrs.frozen(kw_only=True)
class CompiledMinGRU(LinearTwin):
    """Minimal gated recurrent unit; formulas in `rnnframe_compiled.linear`."""

    name: ClassVar[str] = "mingru"
    step_arrays = ("PU", "b"), ("gates", "h"), ()
    cell: MinGRU

    @property
    def kind(self) -> int:
        """Columns of U for every unit."""
        return self.cell.columns // self.cell.hidden

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz."""
        return {"work": self.work(self.cell.columns, inputs), "dz": self.cell.columns}

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, tape = block.weights, block.tape
        inputs = self.inputs(block.x, weights, block.scratch["dz"])
        linear.forward(self.dtype.type(1), self.kind, inputs, _packed(weights), _tape(tape))

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Make h again, or the gates, and h as it is."""
        if retention == "lean":
            linear.rebuild(self.dtype.type(1), self.kind, _tape(block.tape))
        else:
            self.forward(block)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        scratch = block.scratch
        linear.backward(
            self.dtype.type(1),
            self.kind,
            inputs_of(block.x, block.weights["U"]),
            _tape(block.tape),
            dh,
            dstate["h"],
            _scratch(scratch),
            _gradients(gradients),
        )
        self.write_input_gradient(block, scratch["dz"], dx)


@attrs.frozen(kw_only=True)
class CompiledMinLSTM(CompiledMinGRU):
    """Minimal long short-term memory."""

    name: ClassVar[str] = "minlstm"


@attrs.frozen(kw_only=True)
class CompiledIndRNN(LinearTwin):
    """Independently recurrent layer; formulas in `rnnframe_compiled.independent`."""

    name: ClassVar[str] = "indrnn"
    step_arrays = ("PU", "w", "b"), ("h",), ()
    cell: IndRNN

    @property
    def kind(self) -> int:
        """The number of the activation."""
        return ACTIVATIONS.index(self.cell.activation)

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz."""
        return {"work": self.work(self.cell.hidden, inputs), "dz": self.cell.hidden}

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights = block.weights
        inputs = self.inputs(block.x, weights, block.scratch["dz"])
        independent.forward(self.dtype.type(1), self.kind, inputs, _packed_own(weights), block.tape["h"])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch = block.weights, block.scratch
        independent.backward(
            self.dtype.type(1),
            self.kind,
            inputs_of(block.x, weights["U"]),
            weights["w"],
            block.tape["h"],
            dh,
            dstate["h"],
            _scratch(scratch),
            _gradients_own(gradients),
        )
        self.write_input_gradient(block, scratch["dz"], dx)
