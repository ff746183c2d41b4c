"""The twins of the GRU's two forms."""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention, project, rows
from rnnframe_cells.gru import GRU
from rnnframe_compiled import gru_after, gru_before
from rnnframe_compiled.groups import Gradients, taker
from rnnframe_compiled.packing import pack, pack_columns, vectors_for
from rnnframe_compiled.twins import RecurrentTwin, inputs_of

_packed, _tape, _scratch = map(taker, (gru_after.Packed, gru_after.Tape, gru_after.Scratch))
_gradients = taker(gru_after.Gradients)
_packed_apart, _transposed = map(taker, (gru_before.Packed, gru_before.Transposed))
_tape_before, _scratch_before = map(taker, (gru_before.Tape, gru_before.Scratch))
_gradients_before = taker(Gradients)


@attrs.frozen(kw_only=True)
class CompiledGRU(RecurrentTwin):
    """Gated recurrent unit with reset=after; formulas in `rnnframe_compiled.gru_after`."""

    name: ClassVar[str] = "gru"
    step_arrays = ("PU", "PW", "Pb"), ("gates", "q", "h"), ("work",)
    cell: GRU

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned; the gradients of the sums of r, z, q and n; left operands."""
        H = self.hidden
        return {"work": self.work(2 * H, inputs), "d": 4 * H, **self.left_sizes(3 * H, inputs)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and the biases, a panel for every vector of hidden units with its gates side by side; Wᵀ in panels."""
        H, V = self.hidden, self.lanes
        panels = vectors_for(H, self.dtype)
        return {
            "PU": (panels, self.steps(self.packed_inputs(inputs)), 3 * V),
            "PW": (panels, self.steps(H), 3 * V),
            "Pb": (panels, 1, 4 * V),
            "PWT": self.packed(3 * H, H),
            **self.reverse_sizes(3 * H, inputs),
        }

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, unit = self.hidden, self.unit
        if weights["PU"].size:
            pack(unit, weights["U"], 0, H, 3, H, weights["PU"])
        pack(unit, weights["W"], 0, H, 3, H, weights["PW"])
        biases = np.concatenate([weights["b"], weights["bn"]])
        pack(self.dtype.type(1), biases[None], 0, H, 4, H, weights["Pb"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transpose of W, and of U where terms are paired."""
        self.pack_reverse(weights, "W", 0, 3 * self.hidden, weights["PWT"])
        self.pack_input_gradient(weights, 3 * self.hidden)

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, tape, scratch = block.weights, block.tape, block.scratch
        inputs, left = self.inputs(block.x, weights, tape["gates"]), self.left(scratch)
        gru_after.forward(self.unit, inputs, _packed(weights), _tape(tape), scratch["work"], left)

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Make h again, or the gates and q from h."""
        weights, x, tape, scratch = block.weights, block.x, block.tape, block.scratch
        unit, gates, q, h, H = self.dtype.type(1), tape["gates"], tape["q"], tape["h"], self.hidden
        if retention == "lean":
            gru_after.rebuild(unit, gates, h)
            return
        if self.precision is not None:  # the same products again, and so h again
            self.forward(block)
            return
        project(x, weights["U"], gates)
        gates += weights["b"]
        product = scratch["d"].reshape(-1)[: gates.size].reshape(gates.shape)
        np.matmul(rows(h[:-1]), weights["W"], out=rows(product))
        gates[..., : 2 * H] += product[..., : 2 * H]
        np.add(product[..., 2 * H :], weights["bn"], out=q)
        gru_after.activate(unit, gates, q)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch = block.weights, block.scratch
        d, H = scratch["d"], self.hidden
        gru_after.backward(
            self.unit,
            inputs_of(block.x, weights["U"]),
            weights["PWT"],
            _tape(block.tape),
            dh,
            dstate["h"],
            _scratch({**scratch, "left": self.left(scratch)}),
            _gradients(gradients),
        )
        if dx is not None:
            gru_after.put_in_front(self.unit, d)
            self.write_input_gradient(block, d, 3 * H, dx)


@attrs.frozen(kw_only=True)
class CompiledResetBefore(RecurrentTwin):
    """Gated recurrent unit with reset=before; formulas in `rnnframe_compiled.gru_before`."""

    name: ClassVar[str] = "gru"
    step_arrays = ("PUrz", "PU", "PWrz", "PWn", "b"), ("gates", "h"), ("reset",)
    cell: GRU

    def scratch(self, inputs: int) -> Sizes:
        """The working array first, where it is aligned, the gradients of the sums, r h, and left operands."""
        H = self.hidden
        return {"work": self.work(2 * H, inputs), "d": 3 * H, "reset": H, **self.left_sizes(3 * H, inputs)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and Wᵀ in panels, of r and z and of n apart."""
        H, packed = self.hidden, self.packed
        return {
            "PUrz": packed(self.packed_inputs(inputs), 2 * H),
            "PU": packed(self.packed_inputs(inputs), H),
            "PWrz": packed(H, 2 * H),
            "PWn": packed(H, H),
            "PWTrz": packed(2 * H, H),
            "PWTn": packed(H, H),
            **self.reverse_sizes(3 * H, inputs),
        }

    def derive(self, weights: Arrays) -> None:
        """Pack."""
        H, U, W, unit = self.hidden, weights["U"], weights["W"], self.unit
        if weights["PU"].size:
            pack_columns(unit, U, 0, 2 * H, weights["PUrz"])
            pack_columns(unit, U, 2 * H, H, weights["PU"])
        pack_columns(unit, W, 0, 2 * H, weights["PWrz"])
        pack_columns(unit, W, 2 * H, H, weights["PWn"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transposes of the parts of W, and that of U where terms are paired."""
        H = self.hidden
        self.pack_reverse(weights, "W", 0, 2 * H, weights["PWTrz"])
        self.pack_reverse(weights, "W", 2 * H, H, weights["PWTn"])
        self.pack_input_gradient(weights, 3 * H)

    def forward(self, block: BlockPass) -> None:
        """Run the block."""
        weights, scratch = block.weights, block.scratch
        inputs, packed = self.inputs(block.x, weights, scratch["d"]), _packed_apart(weights)
        tape, left = _tape_before(block.tape), self.left(scratch)
        gru_before.forward(self.unit, inputs, packed, tape, scratch["reset"], left)

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Make h again, or as the cell does from h."""
        weights, tape, scratch = block.weights, block.tape, block.scratch
        if retention == "lean":
            gru_after.rebuild(self.dtype.type(1), tape["gates"], tape["h"])
        elif self.precision is not None:  # the same products again, and so h again
            self.forward(block)
        else:
            names = {"dz": scratch["d"], "extra": scratch["reset"]}
            H, W = self.hidden, weights["W"]
            split = {**weights, "Wrz": W[:, : 2 * H], "Wn": W[:, 2 * H :]}
            self.cell.rebuild(attrs.evolve(block, weights=split, scratch=names), retention)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block."""
        weights, scratch = block.weights, block.scratch
        gru_before.backward(
            self.unit,
            inputs_of(block.x, weights["U"]),
            _transposed(weights),
            _tape_before(block.tape),
            dh,
            dstate["h"],
            _scratch_before({**scratch, "left": self.left(scratch)}),
            _gradients_before(gradients),
        )
        self.write_input_gradient(block, scratch["d"], 3 * self.hidden, dx)
