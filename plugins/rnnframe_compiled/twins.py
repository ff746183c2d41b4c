"""The twins of the built-in cells: their declarations, with packed weights, in front of compiled functions."""

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe import Cell
from rnnframe.arrays import Array, Arrays
from rnnframe.contracts import Sizes, Tapes, Widths
from rnnframe.products import is_lookup, project, rows
from rnnframe_cells.lstm import LSTM
from rnnframe_compiled import lstm
from rnnframe_compiled.products import TERMS, lanes, pack, pack_transposed, vectors_for
from rnnframe_compiled.tiles import WIDE, rows_of

PACKED = 1024
"""Inputs up to which U is packed beside itself; the products of wider ones are left to BLAS."""
_NO_ROWS = np.empty(0, np.int64)


@attrs.frozen(kw_only=True)
class Twin(Cell):
    """What twins share: they declare what their cell declares. `lanes` is the number of values in a vector."""

    name: ClassVar[str]
    cell: Cell
    dtype: np.dtype[Any]

    @property
    def lanes(self) -> int:
        """Values in a vector."""
        return lanes(self.dtype)

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """As the cell."""
        return self.cell.parameters(inputs)

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """As the cell."""
        self.cell.initialize(parameters, rng)

    def state(self) -> Widths:
        """As the cell."""
        return self.cell.state()

    def tape(self) -> Widths:
        """As the cell."""
        return self.cell.tape()

    def keeps(self, tapes: Tapes) -> tuple[str, ...]:
        """As the cell."""
        return self.cell.keeps(tapes)

    def work(self, gates: int) -> tuple[int]:
        """Return the shape of the working array: a one, a panel of dz, and a tile of sums."""
        return (self.lanes * (1 + TERMS * WIDE + rows_of(gates) * gates),)


@attrs.frozen(kw_only=True)
class CompiledLSTM(Twin):
    """Long short-term memory; formulas in `rnnframe_compiled.lstm`."""

    name: ClassVar[str] = "lstm"
    cell: LSTM

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz."""
        return {"work": self.work(4), "dz": 4 * self.hidden}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and b, a panel for every vector of hidden units with its four gates side by side; Wᵀ in panels."""
        panels, width = vectors_for(self.hidden, self.dtype), 4 * self.lanes
        return {
            "PU": (panels, inputs if inputs <= PACKED else 0, width),
            "PW": (panels, self.hidden, width),
            "Pb": (panels, 1, width),
            "PWT": (panels * self.lanes * 4 * self.hidden,),
        }

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, V = self.hidden, self.lanes
        if weights["PU"].size:
            pack(weights["U"], 0, H, 4, H, V, weights["PU"])
        pack(weights["W"], 0, H, 4, H, V, weights["PW"])
        pack(weights["b"][None], 0, H, 4, H, V, weights["Pb"])
        pack_transposed(weights["W"], V, weights["PWT"])

    def forward(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays) -> None:
        """Run the block."""
        gates = tape["gates"]
        lstm.forward(
            self.dtype.type(1),
            *_inputs(x, weights, gates),
            weights["PU"],
            weights["PW"],
            weights["Pb"],
            gates,
            tape["c"],
            tape["h"],
            scratch["work"],
        )

    def rebuild(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays, tapes: Tapes) -> None:
        """Make c and h again, or the gates from h and then c."""
        unit, gates, c, h = self.dtype.type(1), tape["gates"], tape["c"], tape["h"]
        if tapes == "lean":
            lstm.rebuild(unit, gates, c, h)
            return
        product = scratch["dz"]
        project(x, weights["U"], gates)
        gates += weights["b"]
        np.matmul(rows(h[:-1]), weights["W"], out=rows(product))
        gates += product
        lstm.activate(unit, gates)
        lstm.rebuild(unit, gates, c, product.reshape(-1)[: h.size].reshape(h.shape))  # h is there: to be thrown away

    def backward(
        self,
        weights: Arrays,
        x: Array,
        tape: Arrays,
        dh: Array,
        dstate: Arrays,
        gradients: Arrays,
        scratch: Arrays,
        dx: Array | None,
    ) -> None:
        """Reverse the block."""
        dz = scratch["dz"]
        lstm.backward(
            self.dtype.type(1),
            *_terms(x),
            weights["PWT"],
            tape["gates"],
            tape["c"],
            tape["h"],
            dh,
            dstate["h"],
            dstate["c"],
            dz,
            gradients["U"],
            gradients["W"],
            gradients["b"],
            scratch["work"],
        )
        if dx is not None:
            np.matmul(rows(dz), weights["U"].T, out=rows(dx))


def twin_of(cell: Cell, dtype: np.dtype[Any]) -> Cell | None:
    """Return the twin of a cell; None where there is none."""
    if type(cell) is LSTM:
        return CompiledLSTM(hidden=cell.hidden, cell=cell, dtype=dtype)
    return None


def _inputs(x: Array, weights: Arrays, sums: Array) -> tuple[int, Array, Array]:
    """Return where the inputs of a block come from: the address of dense x, numbers of rows, and the rows to add.

    Dense x is multiplied by packed weights as the block runs (and no row is added). Looked-up rows are those of U with
    these numbers. Inputs too wide to be packed are multiplied here, into `sums`, whose rows are then added.
    """
    if is_lookup(x):
        return 0, np.array(x.reshape(-1), np.int64), weights["U"]
    if weights["PU"].size:
        return x.ctypes.data, _NO_ROWS, weights["U"]
    project(x, weights["U"], sums)
    return 0, np.arange(sums.shape[0] * sums.shape[1]), rows(sums)


def _terms(x: Array) -> tuple[int, int, Array]:
    """Return what dU is made of: the address and the width of dense x, or the numbers of rows."""
    if is_lookup(x):
        return 0, 0, np.array(x.reshape(-1), np.int64)
    return x.ctypes.data, x.shape[-1], _NO_ROWS
