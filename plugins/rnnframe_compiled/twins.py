"""The twins of the built-in cells: their declarations, with packed weights, in front of compiled functions."""

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe import Cell
from rnnframe.arrays import Array, Arrays
from rnnframe.contracts import Sizes, Tapes, Widths
from rnnframe.products import is_lookup, project, rows
from rnnframe_cells.elman import Elman
from rnnframe_cells.gru import GRU
from rnnframe_cells.lstm import LSTM
from rnnframe_compiled import elman, gru, lstm
from rnnframe_compiled.products import TERMS, lanes, pack, pack_columns, pack_transposed, vectors_for
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

    @property
    def work(self) -> tuple[int]:
        """The shape of the working array: a one, a panel of gradients, and a tile of sums."""
        return (self.lanes * (1 + TERMS * WIDE + rows_of(4) * 4),)

    def packed(self, terms: int, width: int) -> tuple[int]:
        """Return the shape of a matrix [terms, width] in panels of vectors."""
        return (vectors_for(width, self.dtype) * self.lanes * terms,)


@attrs.frozen(kw_only=True)
class CompiledLSTM(Twin):
    """Long short-term memory; formulas in `rnnframe_compiled.lstm`."""

    name: ClassVar[str] = "lstm"
    cell: LSTM

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz."""
        return {"work": self.work, "dz": 4 * self.hidden}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and b, a panel for every vector of hidden units with its four gates side by side; Wᵀ in panels."""
        panels, width = vectors_for(self.hidden, self.dtype), 4 * self.lanes
        return {
            "PU": (panels, _packed(inputs), width),
            "PW": (panels, self.hidden, width),
            "Pb": (panels, 1, width),
            "PWT": (panels * self.lanes * 4 * self.hidden,),
        }

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.dtype.type(1)
        if weights["PU"].size:
            pack(unit, weights["U"], 0, H, 4, H, weights["PU"])
        pack(unit, weights["W"], 0, H, 4, H, weights["PW"])
        pack(unit, weights["b"][None], 0, H, 4, H, weights["Pb"])
        pack_transposed(unit, weights["W"], 0, 4 * H, weights["PWT"])

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


@attrs.frozen(kw_only=True)
class CompiledElman(Twin):
    """Simple recurrent layer; formulas in `rnnframe_compiled.elman`."""

    name: ClassVar[str] = "elman"
    cell: Elman

    @property
    def kind(self) -> int:
        """The number of the activation."""
        return ("tanh", "sigmoid", "relu", "identity").index(self.cell.activation)

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and dz."""
        return {"work": self.work, "dz": self.hidden}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and Wᵀ in panels."""
        H = self.hidden
        return {"PU": self.packed(_packed(inputs), H), "PW": self.packed(H, H), "PWT": self.packed(H, H)}

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.dtype.type(1)
        if weights["PU"].size:
            pack_columns(unit, weights["U"], 0, H, weights["PU"])
        pack_columns(unit, weights["W"], 0, H, weights["PW"])
        pack_transposed(unit, weights["W"], 0, H, weights["PWT"])

    def forward(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays) -> None:
        """Run the block."""
        unit, inputs = self.dtype.type(1), _inputs(x, weights, scratch["dz"])
        elman.forward(unit, self.kind, *inputs, weights["PU"], weights["PW"], weights["b"], tape["h"])

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
        elman.backward(
            self.dtype.type(1),
            self.kind,
            *_terms(x),
            weights["PWT"],
            tape["h"],
            dh,
            dstate["h"],
            dz,
            gradients["U"],
            gradients["W"],
            gradients["b"],
            scratch["work"],
        )
        if dx is not None:
            np.matmul(rows(dz), weights["U"].T, out=rows(dx))


@attrs.frozen(kw_only=True)
class CompiledGRU(Twin):
    """Gated recurrent unit with reset=after; formulas in `rnnframe_compiled.gru`."""

    name: ClassVar[str] = "gru"
    cell: GRU

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, and the gradients of the sums of r and z, of q and n's sum."""
        return {"work": self.work, "d": 4 * self.hidden}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and the biases, a panel for every vector of hidden units with its gates side by side; Wᵀ in panels."""
        H, V = self.hidden, self.lanes
        panels = vectors_for(H, self.dtype)
        return {
            "PU": (panels, _packed(inputs), 3 * V),
            "PW": (panels, H, 3 * V),
            "Pb": (panels, 1, 4 * V),
            "PWT": self.packed(3 * H, H),
        }

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.dtype.type(1)
        if weights["PU"].size:
            pack(unit, weights["U"], 0, H, 3, H, weights["PU"])
        pack(unit, weights["W"], 0, H, 3, H, weights["PW"])
        biases = np.concatenate([weights["b"], weights["bn"]])
        pack(unit, biases[None], 0, H, 4, H, weights["Pb"])
        pack_transposed(unit, weights["W"], 0, 3 * H, weights["PWT"])

    def forward(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays) -> None:
        """Run the block."""
        unit, gates, packed = self.dtype.type(1), tape["gates"], [weights[name] for name in ("PU", "PW", "Pb")]
        inputs = _inputs(x, weights, gates)
        gru.forward_after(unit, *inputs, *packed, gates, tape["q"], tape["h"], scratch["work"])

    def rebuild(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays, tapes: Tapes) -> None:
        """Make h again, or the gates and q from h."""
        unit, gates, q, h, H = self.dtype.type(1), tape["gates"], tape["q"], tape["h"], self.hidden
        if tapes == "lean":
            gru.rebuild(unit, gates, h)
            return
        project(x, weights["U"], gates)
        gates += weights["b"]
        product = scratch["d"].reshape(-1)[: gates.size].reshape(gates.shape)
        np.matmul(rows(h[:-1]), weights["W"], out=rows(product))
        gates[..., : 2 * H] += product[..., : 2 * H]
        np.add(product[..., 2 * H :], weights["bn"], out=q)
        gru.activate_after(unit, gates, q)

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
        d, H = scratch["d"], self.hidden
        gru.backward_after(
            self.dtype.type(1),
            *_terms(x),
            weights["PWT"],
            tape["gates"],
            tape["q"],
            tape["h"],
            dh,
            dstate["h"],
            d,
            gradients["U"],
            gradients["W"],
            gradients["b"],
            gradients["bn"],
            scratch["work"],
        )
        if dx is not None:
            np.copyto(d[..., 2 * H : 3 * H], d[..., 3 * H :])  # x meets n's sum, not q
            np.matmul(rows(d)[:, : 3 * H], weights["U"].T, out=rows(dx))


@attrs.frozen(kw_only=True)
class CompiledResetBefore(Twin):
    """Gated recurrent unit with reset=before; formulas in `rnnframe_compiled.gru`."""

    name: ClassVar[str] = "gru"
    cell: GRU

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, the gradients of the sums, and r h."""
        return {"work": self.work, "d": 3 * self.hidden, "reset": self.hidden}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and Wᵀ in panels, of r and z and of n apart."""
        H, packed = self.hidden, self.packed
        return {
            "PUrz": packed(_packed(inputs), 2 * H),
            "PU": packed(_packed(inputs), H),
            "PWrz": packed(H, 2 * H),
            "PWn": packed(H, H),
            "PWTrz": packed(2 * H, H),
            "PWTn": packed(H, H),
        }

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, U, W, unit = self.hidden, weights["U"], weights["W"], self.dtype.type(1)
        if weights["PU"].size:
            pack_columns(unit, U, 0, 2 * H, weights["PUrz"])
            pack_columns(unit, U, 2 * H, H, weights["PU"])
        pack_columns(unit, W, 0, 2 * H, weights["PWrz"])
        pack_columns(unit, W, 2 * H, H, weights["PWn"])
        pack_transposed(unit, W, 0, 2 * H, weights["PWTrz"])
        pack_transposed(unit, W, 2 * H, H, weights["PWTn"])

    def forward(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays) -> None:
        """Run the block."""
        packed = [weights[name] for name in ("PUrz", "PU", "PWrz", "PWn", "b")]
        inputs = _inputs(x, weights, scratch["d"])
        gru.forward_before(self.dtype.type(1), *inputs, *packed, tape["gates"], tape["h"], scratch["reset"])

    def rebuild(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays, tapes: Tapes) -> None:
        """Make h again, or as the cell does from h."""
        if tapes == "lean":
            gru.rebuild(self.dtype.type(1), tape["gates"], tape["h"])
        else:
            names = {"dz": scratch["d"], "extra": scratch["reset"]}
            H, W = self.hidden, weights["W"]
            self.cell.rebuild({**weights, "Wrz": W[:, : 2 * H], "Wn": W[:, 2 * H :]}, x, tape, names, tapes)

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
        d = scratch["d"]
        gru.backward_before(
            self.dtype.type(1),
            *_terms(x),
            weights["PWTrz"],
            weights["PWTn"],
            tape["gates"],
            tape["h"],
            dh,
            dstate["h"],
            d,
            scratch["reset"],
            gradients["U"],
            gradients["W"],
            gradients["b"],
            scratch["work"],
        )
        if dx is not None:
            np.matmul(rows(d), weights["U"].T, out=rows(dx))


def twin_of(cell: Cell, dtype: np.dtype[Any]) -> Twin | None:
    """Return the twin of a cell; None where there is none."""
    if type(cell) is LSTM:
        return CompiledLSTM(hidden=cell.hidden, cell=cell, dtype=dtype)
    if type(cell) is GRU:
        kind = CompiledGRU if cell.reset == "after" else CompiledResetBefore
        return kind(hidden=cell.hidden, cell=cell, dtype=dtype)
    if type(cell) is Elman:
        return CompiledElman(hidden=cell.hidden, cell=cell, dtype=dtype)
    return None


def _packed(inputs: int) -> int:
    return inputs if inputs <= PACKED else 0


def _inputs(x: Array, weights: Arrays, sums: Array) -> tuple[int, int, Array, Array]:
    """Return where inputs come from: address and width of dense x, numbers of rows, and the rows that they stand for.

    Dense x is multiplied by packed weights as the block runs (and no row is added). Looked-up rows are those of U with
    these numbers. Inputs too wide to be packed are multiplied here, into `sums`, whose rows are then added.
    """
    if is_lookup(x):
        return 0, 0, np.array(x.reshape(-1), np.int64), weights["U"]
    if weights["PU"].size:
        return x.ctypes.data, x.shape[-1], _NO_ROWS, weights["U"]
    project(x, weights["U"], sums)
    return 0, 0, np.arange(sums.shape[0] * sums.shape[1]), rows(sums)


def _terms(x: Array) -> tuple[int, int, Array]:
    """Return what dU is made of: address and width of dense x, or the numbers of rows."""
    if is_lookup(x):
        return 0, 0, np.array(x.reshape(-1), np.int64)
    return x.ctypes.data, x.shape[-1], _NO_ROWS
