"""The twin of a cell: its declarations, with weights packed beside them, in front of compiled functions."""

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    Cell,
    Layer,
    OptionError,
    Sizes,
    TapeRetention,
    Widths,
    is_lookup,
    project,
    rows,
    write_input_gradient,
)
from rnnframe_compiled import twin_from
from rnnframe_compiled.gradients import DEPTH, TERMS, input_gradient, input_gradient_of_pairs
from rnnframe_compiled.packing import lanes, pack_transposed, pair_rows, vectors_for
from rnnframe_compiled.products import FEW, project_gates
from rnnframe_compiled.tiles import WIDE, rows_of

COLUMNS = 256
"""Inputs up to which samples of a wider block are read where they are; a copy of more is small beside the work.

Measure another number with `python -m tests.benchmarks speed --only compiled --threads 2 --shapes 1,4`: set below 200,
both shapes are copied.
"""
PACKED = 1024
"""Inputs up to which U is packed beside itself; the products of wider ones are left to BLAS.

Measure another number with `python -m tests.benchmarks speed --only compiled --shapes 1,4`: set below 200, both shapes
are left to BLAS.
"""
PACKED_PAIRS = 4096
"""Inputs up to which dense x is multiplied in bfloat16, for which there is no BLAS to leave more to."""
ACTIVATIONS = "tanh", "sigmoid", "relu", "identity"
"""In the order of the numbers that kernels know them by."""
_NO_ROWS = np.empty(0, np.int64)


@attrs.frozen(kw_only=True)
class Twin(Layer):
    """What twins share: they declare what their cell declares. `lanes` is the number of values in a vector."""

    name: ClassVar[str]
    cell: Layer
    dtype: np.dtype[Any]
    precision: str | None = None
    """"bfloat16" where operands of products are rounded to it, else None."""
    sizes: ClassVar[Mapping[str, int | None]] = {"hidden": 2}
    """Options of the cell that say how large it is, with values for one that is small; no code depends on them."""
    matrix: ClassVar[str] = "U"
    """What x is multiplied by: a parameter or a derived array."""
    step_arrays: ClassVar[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]]
    """Names of the weights, of the tape and of the working arrays that `rnnframe_compiled.steps` is given, in order."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle what the twin is made of."""
        return twin_from, (self.cell, self.dtype, self.precision)

    @property
    def kind(self) -> int:
        """The number of an option that the code depends on; 0 where there is none."""
        return 0

    @property
    def unit(self) -> Any:
        """The number by whose type kernels know what to compute in."""
        return unit_of(self.dtype, self.precision)

    @property
    def lanes(self) -> int:
        """Values in a vector."""
        return lanes(self.dtype)

    def width(self, inputs: int) -> int:
        """As the cell."""
        return self.cell.width(inputs)

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """As the cell."""
        return self.cell.parameters(inputs)

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """As the cell."""
        self.cell.initialize(parameters, rng)

    def state(self, inputs: int) -> Widths:
        """As the cell."""
        return self.cell.state(inputs)

    def tape(self, inputs: int) -> Widths:
        """As the cell."""
        return self.cell.tape(inputs)

    def dropped_weights(self, inputs: int) -> Mapping[str, float]:
        """As the cell."""
        return self.cell.dropped_weights(inputs)

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """As the cell."""
        return self.cell.retained_arrays(inputs, retention)

    @property
    def unrounded(self) -> tuple[str, ...]:
        """As the cell."""
        return self.cell.unrounded

    def work(self, columns: int, inputs: int) -> tuple[int]:
        """Return the shape of the working array: a one, a panel of the gradients of the sums in so many columns, rows
        of x that are not dense, and a tile of sums."""
        across = min(WIDE, vectors_for(columns, self.dtype))
        x = vectors_for(TERMS * inputs, self.dtype) if self.accepts_strided_steps(inputs) else 0
        return (self.lanes * (1 + TERMS * across + x + rows_of(4) * 4),)

    def packed(self, terms: int, width: int) -> tuple[int]:
        """Return the shape of a matrix [terms, width] in panels of vectors."""
        return (vectors_for(width, self.dtype) * self.lanes * self.steps(terms),)

    def steps(self, terms: int) -> int:
        """Return how many steps a sum of so many terms takes: pairs are one."""
        return terms if self.precision is None else (terms + 1) // 2

    def inputs(self, x: Array, weights: Arrays, sums: Array) -> tuple[int, int, int, Array, Array]:
        """Return the members of `groups.Inputs` for the forward pass; `sums` [L, B, gates·H] is room for products.

        Dense x is multiplied by packed weights as the block runs (and no row is added). Looked-up rows are those of U
        with these numbers. x too wide to be packed is multiplied here for all steps, into `sums`, whose rows are then
        added.
        """
        U = weights[self.matrix]
        if is_lookup(x) or weights["PU"].size:
            return inputs_of(x, U)
        project(x, U, sums)
        return 0, 0, 0, np.arange(sums.shape[0] * sums.shape[1]), rows(sums)


@attrs.frozen(kw_only=True)
class RecurrentTwin(Twin):
    """The twin of a cell whose sums have a recurrent product."""

    cell: Cell

    @property
    def hidden(self) -> int:
        """Units H."""
        return self.cell.hidden

    def accepts_strided_steps(self, inputs: int) -> bool:
        """Whether inputs are few."""
        return inputs <= COLUMNS

    def packed_inputs(self, inputs: int) -> int:
        """Return how many rows of U are packed: all or none."""
        return inputs if inputs <= (PACKED if self.precision is None else PACKED_PAIRS) else 0

    def work(self, columns: int, inputs: int) -> tuple[int]:
        """Return the shape of the working array, with room for pairs of rows of h and x, or for a part of Uᵀ."""
        (size,) = super().work(columns, inputs)
        if self.precision is None:
            part = 1 + vectors_for(self.packed_inputs(inputs), self.dtype) * min(DEPTH, 4 * self.hidden)
            return (max(size, self.lanes * part),)
        pairs = TERMS // 2 * (vectors_for(self.hidden, self.dtype) + vectors_for(inputs, self.dtype))
        return (size + self.lanes * pairs,)

    def left_sizes(self, columns: int, inputs: int) -> Sizes:
        """Return the working array for left operands of a step's products: x and h, or gradients of so many columns."""
        if self.precision is None:
            return {}
        return {"left": max(self.steps(inputs) + self.steps(self.hidden), self.steps(columns))}

    def left(self, scratch: Arrays) -> Array:
        """Return the room for left operands, as one row; empty where they are multiplied as they are."""
        return scratch["work"][:0] if self.precision is None else scratch["left"].reshape(-1)

    def reverse_sizes(self, columns: int, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Return the derived arrays that `pack_reverse` writes for pairs: Uᵀ in panels, and words of U and W."""
        if self.precision is None:
            return {}
        packed = self.packed_inputs(inputs)
        return {"PUT": self.packed(columns, packed), "words": (max(packed, self.hidden), self.steps(columns))}

    def pack_reverse(self, weights: Arrays, name: str, first: int, columns: int, into: Array) -> None:
        """Pack the transpose of `columns` columns of U or W, from `first` on, an even number of pairs."""
        W, unit = weights[name], self.dtype.type(1)
        if self.precision is None:
            pack_transposed(unit, W, first, columns, into)
            return
        words = weights["words"][: len(W)]
        pair_rows(self.unit, W, words)
        pack_transposed(unit, words, self.steps(first), self.steps(columns), into)

    def pack_input_gradient(self, weights: Arrays, columns: int) -> None:
        """Pack the transpose of U where dL/dx is a product of pairs."""
        if self.precision is not None and weights["PUT"].size:
            self.pack_reverse(weights, "U", 0, columns, weights["PUT"])

    def write_input_gradient(self, block: BlockPass, d: Array, columns: int, dx: Array | None) -> None:
        """Write dL/dx from the first columns of d [L, B, ...], the gradients of the sums that x adds to."""
        if dx is None:
            return
        weights, scratch = block.weights, block.scratch
        if self.precision is not None:
            input_gradient_of_pairs(self.unit, d, columns, weights["PUT"], dx, scratch["work"], self.left(scratch))
        elif self.packed_inputs(dx.shape[2]):
            input_gradient(self.unit, d, columns, weights["U"], dx, scratch["work"])
        else:
            write_input_gradient(d[..., :columns], weights["U"], dx)

    def inputs(self, x: Array, weights: Arrays, sums: Array) -> tuple[int, int, int, Array, Array]:
        """Return the members of `groups.Inputs`, as any twin, but where x has so few samples that each step would read
        all of U for them.

        It is multiplied here for all steps, and the block goes on with b + x U as if it had computed it: the terms of
        every sum have one order, however many samples there are.
        """
        PU, gates_apart = weights["PU"], weights["PU"].ndim < 3
        if self.precision is not None and not is_lookup(x) and not PU.size:
            raise OptionError(
                f"precision={self.precision!r}: {self.name} takes up to {PACKED_PAIRS} dense inputs, not {x.shape[2]}; "
                "leave the precision out, or give row numbers"
            )
        if self.precision is not None or is_lookup(x) or not PU.size or x.shape[1] >= FEW or gates_apart:
            return super().inputs(x, weights, sums)
        x = np.ascontiguousarray(x)
        count = sums.shape[0] * sums.shape[1]
        project_gates(self.dtype.type(1), x.ctypes.data, PU, weights["Pb"], self.hidden, count, sums)
        return 0, 0, 0, _NO_ROWS, rows(sums)


def packed_inputs(inputs: int) -> int:
    """Return how many rows of U are packed: all or none."""
    return inputs if inputs <= PACKED else 0


def unit_of(dtype: np.dtype[Any], precision: str | None) -> Any:
    """Return the number by whose type kernels know what to compute in: one of 16 bits stands for bfloat16."""
    return dtype.type(1) if precision is None else np.uint16(1)


def inputs_of(x: Array, U: Array) -> tuple[int, int, int, Array, Array]:
    """Return the members of `groups.Inputs`, as they are: x [L, B, inputs], or numbers [L, B] of rows of U."""
    if is_lookup(x):
        return 0, 0, 0, row_numbers(x, len(U)), U
    return x.ctypes.data, x.strides[0], x.shape[-1], _NO_ROWS, U


def row_numbers(x: Array, count: int) -> Array:
    """Return the row numbers x [L, B] as kernels take them, [L·B].

    Even if x changes while a run goes on, none is out of bounds.
    """
    numbers = np.array(x.reshape(-1), np.int64)
    np.maximum(numbers, 0, out=numbers)
    return np.minimum(numbers, count - 1, out=numbers)
