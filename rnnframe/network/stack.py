"""A stack of layers at work on one piece: a dense block up through the layers, and the gradient down again.

Nothing here knows of cuts, but for the states that begin again before a piece.
"""

from collections.abc import Collection, Mapping, Sequence

import attrs

from rnnframe.arrays import Array, Arrays, Vector
from rnnframe.contracts.head import Head
from rnnframe.contracts.layer import BlockPass
from rnnframe.contracts.retention import TapeRetention
from rnnframe.data.draws import Draw
from rnnframe.data.pieces import Piece
from rnnframe.network.feeds import Feed
from rnnframe.network.placed import PlacedLayer, lowest_reversed
from rnnframe.network.repetition import RepetitionCheck
from rnnframe.network.scratch import Scratch
from rnnframe.network.starts import add_start_gradients, starts_of
from rnnframe.network.weights import LayerWeights


@attrs.frozen(eq=False)
class Stack:
    """The layers from the input upwards, the head, and where the reverse sweep begins.

    In its methods, `arrays` are those of one piece of a tape, layer by layer.

    Parameters
    ----------
    layers : tuple of PlacedLayer
        From the input upwards.
    head : Head or None
        The head as it is computed.
    feed : Feed
        Where dL/dh of the top layer comes from.
    repetition : RepetitionCheck
        Runs the first chunks of some layers twice.
    """

    layers: tuple[PlacedLayer, ...]
    head: Head | None
    feed: Feed
    repetition: RepetitionCheck
    lowest: int = attrs.field(init=False)
    """Where the reverse ends, unless dL/dx is asked for."""

    @lowest.default
    def _lowest(self) -> int:
        return lowest_reversed(self.layers)

    def forward(
        self, weights: LayerWeights, piece: Piece, arrays: Sequence[Arrays], scratch: Scratch, draw: Draw | None
    ) -> None:
        """Run every layer from row 0 of its states."""
        ended_with = self._reset(weights, piece, arrays)
        for block, at in self._passes(weights, piece, arrays, scratch, draw):
            with at.note:
                at.layer.forward(block)
                self.repetition.run(at, block)
        self._give_back(piece, arrays, ended_with)
        self.feed.seen(weights.head, piece, self.outputs(arrays), scratch)

    def rebuild(
        self,
        weights: LayerWeights,
        piece: Piece,
        arrays: Sequence[Arrays],
        scratch: Scratch,
        draw: Draw | None,
        retention: TapeRetention,
        rebuilt: Collection[str],
    ) -> None:
        """Make the arrays again that are not retained, of the layers with these prefixes; row 0 of states is there."""
        ended_with = self._reset(weights, piece, arrays)
        for block, at in self._passes(weights, piece, arrays, scratch, draw):
            if at.prefix in rebuilt:
                with at.note:
                    at.layer.rebuild(block, retention)
        self._give_back(piece, arrays, ended_with)

    def reverse(
        self,
        weights: LayerWeights,
        piece: Piece,
        arrays: Sequence[Arrays],
        dstate: Vector,
        gradients: Vector,
        scratch: Scratch,
        draw: Draw | None,
    ) -> float:
        """Reverse the piece: the feed's dL/dh, then every layer from the top; return the sum of the losses.

        `dstate` is the gradient that reaches the state after the piece, of all samples of the batch; for those of the
        piece it becomes that of the state before it, which is zero where they are reset.
        """
        top = len(self.layers) - 1
        dh = scratch.gradient("a", piece.size, self.layers[top].width)
        loss = self.feed.reverse(weights.head, piece, self.outputs(arrays), dh, gradients, scratch)
        ended_with = self._reset(weights, piece, arrays)
        wants_inputs = self.feed.wants_inputs(piece)
        passes = [*enumerate(self._passes(weights, piece, arrays, scratch, draw))]
        for place, (block, at) in reversed(passes if wants_inputs else passes[self.lowest :]):
            wanted = place > self.lowest or wants_inputs
            dx = scratch.input_gradient("ba"[(top - place) % 2], piece.size, at) if wanted else None
            carried = _running(dstate.group(at.prefix), piece)
            with at.note:
                at.layer.backward(block, dh, carried, gradients.group(at.prefix), dx)
            if dx is not None:
                dh = dx
        if wants_inputs:
            self.feed.take_inputs(piece, dh)
        self._give_back(piece, arrays, ended_with)
        if piece.reset_samples is not None:
            begun = piece.first + piece.reset_samples
            add_start_gradients(self.layers, dstate, gradients, begun)
            for value in dstate.values():
                value[begun] = 0
        return loss

    def outputs(self, arrays: Sequence[Arrays]) -> Array:
        """Return the top layer's outputs [l, n, width] of a piece."""
        output: Array = self.layers[-1].output(arrays[-1])
        return output

    def _passes(
        self, weights: LayerWeights, piece: Piece, arrays: Sequence[Arrays], scratch: Scratch, draw: Draw | None
    ) -> list[tuple[BlockPass, PlacedLayer]]:
        """Return what each layer receives, from the inputs upwards."""
        x, reverse, passes = piece.x, piece.reverse, []
        for place, (at, of_layer, tape) in enumerate(zip(self.layers, weights.layers, arrays, strict=True)):
            working = scratch.part(place, piece.size)
            block = BlockPass(of_layer, x, tape, working, at.inputs, at.number, piece.start, piece.samples, draw)
            passes.append((block if reverse is None else attrs.evolve(block, reverse=reverse), at))
            x, reverse = at.output(tape), None
        return passes

    def _reset(self, weights: LayerWeights, piece: Piece, arrays: Sequence[Arrays]) -> list[Array]:
        """Put starts into row 0 of the states that are reset, and return what the piece before it has left there.

        A row that is held for two pieces costs nothing in memory, and each sees its own values.
        """
        if piece.reset_samples is None:
            return []
        rows = self._first_rows(arrays)
        ended_with = [row[piece.reset_samples] for row in rows]
        for row, start in zip(rows, starts_of(self.layers, weights.layers), strict=True):
            row[piece.reset_samples] = start
        return ended_with

    def _give_back(self, piece: Piece, arrays: Sequence[Arrays], ended_with: list[Array]) -> None:
        """Put back what `_reset` returned."""
        if ended_with:
            for row, values in zip(self._first_rows(arrays), ended_with, strict=True):
                row[piece.reset_samples] = values

    def _first_rows(self, arrays: Sequence[Arrays]) -> list[Array]:
        return [tape[name][0] for at, tape in zip(self.layers, arrays, strict=True) for name in at.state]


def _running(dstate: Mapping[str, Array], piece: Piece) -> Mapping[str, Array]:
    """Return the part of dL/dstate that belongs to the samples of the piece."""
    return {name: value[piece.first :] for name, value in dstate.items()} if piece.first else dstate
