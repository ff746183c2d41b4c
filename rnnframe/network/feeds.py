"""Where the reverse sweep of a network begins: dL/dh of the top layer, from the head's loss or from one outside."""

from typing import Protocol

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays, Vector
from rnnframe.contracts.head import Head
from rnnframe.data.held import Links
from rnnframe.data.pieces import Piece
from rnnframe.data.sweep import Part, SweepClient
from rnnframe.network.scratch import Scratch
from rnnframe.network.ties import of_head
from rnnframe.registry.blame import BlameNote


class Feed(Protocol):
    """Where dL/dh of the top layer comes from, and who else receives outputs and dL/dx."""

    def seen(self, weights: Arrays, piece: Piece, h: Array, scratch: Scratch) -> None:
        """Receive the top layer's outputs on the way forward."""
        ...

    def reverse(self, weights: Arrays, piece: Piece, h: Array, dh: Array, gradients: Vector, scratch: Scratch) -> float:
        """Write dL/dh of a piece, add into the head's gradients, and return the sum of the losses."""
        ...

    def wants_inputs(self, piece: Piece) -> bool:
        """Tell whether dL/dx is asked for."""
        ...

    def take_inputs(self, piece: Piece, dx: Array) -> None:
        """Take dL/dx of a piece."""
        ...


@attrs.frozen(eq=False)
class LossFeed:
    """The head's own loss: the readout is computed here, and its outputs are discarded at once.

    `note` says whose loss or readout was at work when something is raised.
    """

    head: Head | None
    note: BlameNote

    def seen(self, weights: Arrays, piece: Piece, h: Array, scratch: Scratch) -> None:
        """Do nothing: outputs are computed when the piece is reversed."""

    def reverse(self, weights: Arrays, piece: Piece, h: Array, dh: Array, gradients: Vector, scratch: Scratch) -> float:
        """Write dL/dh of the steps and samples that count, and zeros for the others."""
        steps, samples = piece.counted
        if (steps, samples) != piece.size:
            dh[: len(h) - steps] = 0
            dh[:, samples:] = 0
        if piece.y is None or self.head is None:
            return 0.0
        working = scratch.part(-1, (len(h), samples))
        counted = slice(len(h) - steps, None), slice(0, samples)
        into = of_head(self.head, gradients)
        with self.note:
            return self.head.reverse(weights, h[counted], piece.y, piece.weights, dh[counted], into, working)

    def wants_inputs(self, piece: Piece) -> bool:
        """Return that it is not."""
        return False

    def take_inputs(self, piece: Piece, dx: Array) -> None:
        """Do nothing."""


@attrs.frozen(eq=False)
class StageFeed:
    """The stages above: they receive the outputs of all steps, and return their gradient.

    `loss` is where dL/dh comes from in the last stage.
    """

    links: Links
    loss: LossFeed

    def seen(self, weights: Arrays, piece: Piece, h: Array, scratch: Scratch) -> None:
        """Pass the outputs on."""
        if self.links.outputs is not None:
            self.links.outputs.write(_part(piece), h)

    def reverse(self, weights: Arrays, piece: Piece, h: Array, dh: Array, gradients: Vector, scratch: Scratch) -> float:
        """Write dL/dh of a piece; in the last stage, return the sum of the losses."""
        if self.links.gradient is None:
            return self.loss.reverse(weights, piece, h, dh, gradients, scratch)
        self.links.gradient.read(_part(piece), dh)
        return 0.0

    def wants_inputs(self, piece: Piece) -> bool:
        """Tell whether there is a stage below."""
        return self.links.below is not None

    def take_inputs(self, piece: Piece, dx: Array) -> None:
        """Pass dL/dx to the stage below."""
        if self.links.below is not None:
            self.links.below.add(_part(piece), dx)


def _part(piece: Piece) -> Part:
    return Part(piece.start, piece.start + piece.size[0], piece.samples)


@attrs.frozen(eq=False)
class OutsideFeed:
    """A loss of the caller, who receives outputs and returns their gradient.

    The outputs are those of the readout, before any activation; or of the top layer where there is no head.
    """

    head: Head | None
    client: SweepClient
    note: BlameNote

    def seen(self, weights: Arrays, piece: Piece, h: Array, scratch: Scratch) -> None:
        """Pass the outputs on the first time that the piece is run."""
        part = Part(piece.start, piece.start + len(h), piece.samples)
        if self.client.is_new(part):
            self.client.hand_out(part, self._outputs(weights, h, scratch))

    def _outputs(self, weights: Arrays, h: Array, scratch: Scratch) -> Array:
        if self.head is None:
            return h
        with self.note:
            return self.head.readout.forward(weights, h, scratch.part(-1, (h.shape[0], h.shape[1])))

    def reverse(self, weights: Arrays, piece: Piece, h: Array, dh: Array, gradients: Vector, scratch: Scratch) -> float:
        """Ask for the gradient of the outputs and take it through the readout."""
        if not piece.losses:
            dh[...] = 0
            return 0.0
        outputs = self._outputs(weights, h, scratch)
        given = self.client.pull(Part(piece.start, piece.start + len(h), piece.samples), outputs)
        if self.head is None:
            np.copyto(dh, given)
            return 0.0
        np.copyto(outputs, given)
        working = scratch.part(-1, (h.shape[0], h.shape[1]))
        with self.note:
            self.head.readout.backward(weights, h, outputs, dh, of_head(self.head, gradients), working)
        return 0.0

    def wants_inputs(self, piece: Piece) -> bool:
        """Tell whether the caller asks for dL/dx."""
        return self.client.wants_inputs

    def take_inputs(self, piece: Piece, dx: Array) -> None:
        """Pass dL/dx to the caller."""
        self.client.take_inputs(Part(piece.start, piece.start + len(dx), piece.samples), dx)
