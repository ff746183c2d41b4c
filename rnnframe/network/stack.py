"""A stack of layers at work on one piece: a dense block up through the cells, and the gradient down again.

Nothing here knows of cuts, but for the states that are zero before a piece.
"""

from collections.abc import Sequence

import attrs

from rnnframe.arrays import Array, Arrays, Vector
from rnnframe.contracts.cell import TapeRetention
from rnnframe.contracts.head import Head
from rnnframe.data.pieces import Piece
from rnnframe.network.scratch import Scratch
from rnnframe.network.weights import Layer, Weights


@attrs.frozen(eq=False)
class Stack:
    """The layers from the input upwards, and the head. `arrays` are a piece's of a tape, layer by layer."""

    layers: tuple[Layer, ...]
    head: Head

    def forward(self, weights: Weights, piece: Piece, arrays: Sequence[Arrays], scratch: Scratch) -> None:
        """Run every cell from row 0 of its states."""
        x = piece.x
        ended_with = self._begin_anew(piece, arrays)
        for n, layer in enumerate(self.layers):
            with layer.note:
                layer.cell.forward(weights.layers[n], x, arrays[n], scratch.part(n, piece.size))
            x = arrays[n]["h"][1:]
        self._give_back(piece, arrays, ended_with)

    def rebuild(
        self, weights: Weights, piece: Piece, arrays: Sequence[Arrays], scratch: Scratch, retention: TapeRetention
    ) -> None:
        """Make the arrays again that are not kept; row 0 of every state is there."""
        x = piece.x
        ended_with = self._begin_anew(piece, arrays)
        for n, layer in enumerate(self.layers):
            with layer.note:
                layer.cell.rebuild(weights.layers[n], x, arrays[n], scratch.part(n, piece.size), retention)
            x = arrays[n]["h"][1:]
        self._give_back(piece, arrays, ended_with)

    def reverse(
        self,
        weights: Weights,
        piece: Piece,
        arrays: Sequence[Arrays],
        dstate: Vector,
        gradients: Vector,
        scratch: Scratch,
    ) -> float:
        """Take the piece back: readout, loss, then every layer from the top; return the sum of the losses.

        `dstate` is the gradient that reaches the state after the piece, of all samples of the batch; for those of the
        piece it becomes that of the state before it, which is zero where they begin anew.
        """
        below = [piece.x, *(layer["h"][1:] for layer in arrays)]
        dh = scratch.gradient("a", piece.size, self.layers[-1].cell.hidden)
        loss = self._reverse_head(weights, piece, below[-1], dh, gradients, scratch)
        ended_with = self._begin_anew(piece, arrays)
        for n in reversed(range(len(self.layers))):
            layer = self.layers[n]
            into = "ba"[(len(self.layers) - n) % 2 == 0]
            dx = scratch.gradient(into, piece.size, layer.inputs) if n else None
            carried = dstate.group(layer.prefix)
            if piece.first:
                carried = {name: value[piece.first :] for name, value in carried.items()}
            working = scratch.part(n, piece.size)
            into_these = gradients.group(layer.prefix)
            with layer.note:
                layer.cell.backward(weights.layers[n], below[n], arrays[n], dh, carried, into_these, working, dx)
            if dx is not None:
                dh = dx
        self._give_back(piece, arrays, ended_with)
        if piece.reset_samples is not None:
            for value in dstate.values():
                value[piece.first + piece.reset_samples] = 0
        return loss

    def _reverse_head(
        self, weights: Weights, piece: Piece, h: Array, dh: Array, gradients: Vector, scratch: Scratch
    ) -> float:
        """Write dL/dh of the steps and samples that count, and zeros for the others."""
        steps, samples = piece.counted
        working = scratch.part(-1, (len(h), samples))
        if (steps, samples) != piece.size:
            counted = slice(len(h) - steps, None), slice(0, samples)
            dh[: len(h) - steps] = 0
            dh[:, samples:] = 0
            h, dh = h[counted], dh[counted]
        if piece.y is None:
            return 0.0
        return self.head.reverse(weights.head, h, piece.y, dh, gradients.group("head"), working)

    def evaluate(self, weights: Weights, piece: Piece, h: Array, scratch: Scratch) -> float:
        """Return the sum of the losses of a piece whose top layer's h is given."""
        if piece.y is None:
            return 0.0
        steps, samples = piece.counted
        working = scratch.part(-1, (len(h), samples))
        return self.head.loss(weights.head, h[len(h) - steps :, :samples], piece.y, working)

    def _begin_anew(self, piece: Piece, arrays: Sequence[Arrays]) -> list[Array]:
        """Put zeros into row 0 of the states that begin anew, and return what the piece before it has left there.

        A row that is held for two pieces costs nothing in memory, and both see what is theirs.
        """
        if piece.reset_samples is None:
            return []
        rows = self._first_rows(arrays)
        ended_with = [row[piece.reset_samples] for row in rows]
        for row in rows:
            row[piece.reset_samples] = 0
        return ended_with

    def _give_back(self, piece: Piece, arrays: Sequence[Arrays], ended_with: list[Array]) -> None:
        """Put back what `_begin_anew` returned."""
        if ended_with:
            for row, values in zip(self._first_rows(arrays), ended_with, strict=True):
                row[piece.reset_samples] = values

    def _first_rows(self, arrays: Sequence[Arrays]) -> list[Array]:
        return [layer[name][0] for at, layer in zip(self.layers, arrays, strict=True) for name in at.cell.state()]
