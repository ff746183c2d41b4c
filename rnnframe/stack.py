"""A stack of layers at work on one piece: a dense block up through the cells, and the gradient down again.

Nothing here knows of cuts, but for the states that are zero before a piece.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs

from rnnframe.arrays import Array, Arrays, Vector
from rnnframe.buffers import Layer, Scratch, Weights
from rnnframe.contracts import Tapes
from rnnframe.heads import Head
from rnnframe.pieces import Piece
from rnnframe.registry import Naming


@attrs.frozen(eq=False)
class Stack:
    """The layers from the input upwards, and the head. `arrays` are a piece's of a tape, layer by layer."""

    layers: tuple[Layer, ...]
    head: Head

    def forward(self, weights: Weights, piece: Piece, arrays: Sequence[Arrays], scratch: Scratch) -> None:
        """Run every cell from row 0 of its states."""
        x = piece.x
        with self._begun_anew(piece, arrays):
            for n, layer in enumerate(self.layers):
                with Naming(f"in {layer.prefix}", "cell", type(layer.cell)):
                    layer.cell.forward(weights.layers[n], x, arrays[n], scratch.part(n, piece.size))
                x = arrays[n]["h"][1:]

    def rebuild(self, weights: Weights, piece: Piece, arrays: Sequence[Arrays], scratch: Scratch, tapes: Tapes) -> None:
        """Make the arrays again that are not kept; row 0 of every state is there."""
        x = piece.x
        with self._begun_anew(piece, arrays):
            for n, layer in enumerate(self.layers):
                with Naming(f"in {layer.prefix}", "cell", type(layer.cell)):
                    layer.cell.rebuild(weights.layers[n], x, arrays[n], scratch.part(n, piece.size), tapes)
                x = arrays[n]["h"][1:]

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
        with self._begun_anew(piece, arrays):
            for n in reversed(range(len(self.layers))):
                layer = self.layers[n]
                into = "ba"[(len(self.layers) - n) % 2 == 0]
                dx = scratch.gradient(into, piece.size, layer.inputs) if n else None
                with Naming(f"in {layer.prefix}", "cell", type(layer.cell)):
                    layer.cell.backward(
                        weights.layers[n],
                        below[n],
                        arrays[n],
                        dh,
                        {name: value[piece.first :] for name, value in dstate.group(layer.prefix).items()},
                        gradients.group(layer.prefix),
                        scratch.part(n, piece.size),
                        dx,
                    )
                if dx is not None:
                    dh = dx
        if piece.fresh is not None:
            for value in dstate.values():
                value[piece.first + piece.fresh] = 0
        return loss

    def _reverse_head(
        self, weights: Weights, piece: Piece, h: Array, dh: Array, gradients: Vector, scratch: Scratch
    ) -> float:
        """Write dL/dh of the steps and samples that count, and zeros for the others."""
        steps, samples = piece.counted
        counted = slice(len(h) - steps, None), slice(0, samples)
        dh[: len(h) - steps] = 0
        dh[:, samples:] = 0
        if piece.y is None:
            return 0.0
        working = scratch.part(-1, (len(h), samples))
        return self.head.reverse(weights.head, h[counted], piece.y, dh[counted], gradients.group("head"), working)

    def evaluate(self, weights: Weights, piece: Piece, h: Array, scratch: Scratch) -> float:
        """Return the sum of the losses of a piece whose top layer's h is given."""
        if piece.y is None:
            return 0.0
        steps, samples = piece.counted
        working = scratch.part(-1, (len(h), samples))
        return self.head.loss(weights.head, h[len(h) - steps :, :samples], piece.y, working)

    @contextmanager
    def _begun_anew(self, piece: Piece, arrays: Sequence[Arrays]) -> Iterator[None]:
        """Hold zeros in row 0 of the states that begin anew, where the piece before it has left what it ended with.

        A row that is held for two pieces costs nothing in memory, and both see what is theirs.
        """
        if piece.fresh is None:
            yield
            return
        rows = [layer[name][0] for at, layer in zip(self.layers, arrays, strict=True) for name in at.cell.state()]
        ended_with = [row[piece.fresh] for row in rows]
        for row in rows:
            row[piece.fresh] = 0
        try:
            yield
        finally:
            for row, values in zip(rows, ended_with, strict=True):
                row[piece.fresh] = values
