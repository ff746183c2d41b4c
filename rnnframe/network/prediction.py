"""What inference runs of a network: forward alone, to evaluate and to predict."""

import copy
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Self

import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.kernels import AUTO, Kernels
from rnnframe.contracts.retention import StoredTapes, of_layers
from rnnframe.data.batch import Batch
from rnnframe.data.draws import Draw, MaskPlace, MaskWriter, write_mask
from rnnframe.data.opening import open_inputs
from rnnframe.data.pieces import Block, Piece
from rnnframe.data.source import Source
from rnnframe.errors import OptionError
from rnnframe.network.placed import lowest_reversed
from rnnframe.network.scratch import Scratch
from rnnframe.network.shared_arrays import rounding_by
from rnnframe.network.staged_model import StagedLayerModel
from rnnframe.network.stream import Stream
from rnnframe.network.stream_parts import StepBuffers
from rnnframe.network.tape_shapes import check_rounding
from rnnframe.network.tapes import Tape
from rnnframe.network.weights import Weights
from rnnframe.registry.kernels import check_precision
from rnnframe.registry.registry import Registry
from rnnframe.registry.specs import with_inner_layers


class PredictingLayerModel(StagedLayerModel):
    """A stack of layers and a head that is run forward."""

    precision: str | None
    """What operands of matrix products are rounded to; None where they are of the dtype."""

    def on(self, kernels: Sequence[Kernels]) -> Self:
        """Return this network with the same parameters, computed by kernels."""
        raise NotImplementedError  # a network knows what it is made of, and makes another one

    def prepare_run(self, samples: int | None, retention: StoredTapes) -> None:
        """Have the kernels make ready what gradients of so many samples (None: many) need of them, with such a tape.

        They are not asked for all of it when the network is made: compiling it takes a while, and few runs need it.
        Raises `OptionError` where the network has no such tapes.
        """
        check_rounding(retention, self.dtype)
        if retention == "bfloat16":
            rounding_by(self.kernels_used).prepare()
        lowest = lowest_reversed(self.layers)
        for number, at in enumerate(self.layers):
            for layer in with_inner_layers([at.layer]):
                above = number > lowest or layer is not at.layer or self._form.inputs
                for kernels in self.kernels_used:
                    with self.registry.blame("kernels", type(kernels)):
                        kernels.prepare_run(
                            layer,
                            self.dtype,
                            samples=samples,
                            retention=of_layers(retention),
                            input_gradient=above,
                        )

    @property
    def mask_writer(self) -> MaskWriter:
        """What writes random masks: the first kernels in use, or numpy. It does not refer to the network."""
        return partial(_write_mask, self.kernels_used[0], self.registry) if self.kernels_used else write_mask

    def in_precision(self, precision: str | None) -> Self:
        """Return this network with the same parameters, and matrix products of another precision.

        Raises `OptionError` for one that it cannot have.
        """
        other = copy.copy(self)
        other.precision = check_precision(precision, self.dtype)
        return other

    def with_parameters(self, parameters: Vector) -> Self:
        """Return this network with other parameters of the same names and shapes, which are not copied."""
        other = copy.copy(self)
        other._place(self.layers, self._stack.head, parameters)
        other.derive()
        return other

    def stream(self, batch: int = 1, kernels: str | Kernels = AUTO) -> Stream:
        """Return what runs this network step by step, with the parameters as they are now.

        Parameters
        ----------
        batch
            Samples side by side.
        kernels
            What computes the layers, as `Engine` takes it.

        Returns
        -------
        Stream
            With a state of zeros. It is for one thread: make one for each.

        Raises
        ------
        OptionError
            For a batch that is no number of samples, kernels that cannot be used here, and a layer of two directions.
        """
        for at in self.layers:
            if at.layer.both_ways:
                raise OptionError(
                    f"{at.prefix}, {at.layer.name}, needs the end of a sequence before its first step; "
                    "predict whole sequences, or take layers of one direction for a stream"
                )
        return Stream(self, batch, kernels)

    def step_buffers(self, batch: int) -> StepBuffers:
        """Return what a stream works in, with a copy of the weights and all that is derived for going forward."""
        weights, tape = self.weights.copy(), self.new_tapes(1, batch, "whole").make()
        weights.derive_forward()
        return StepBuffers(self.layers, self._stack.head, weights, tape, self.new_scratch(1, batch), batch)

    @property
    def outputs_width(self) -> int:
        """Values that are predicted for a step of a sample: those of the top layer where there is no head."""
        return self.layers[-1].width if self.head is None else self.head.width

    def open_inputs(self, batch: Batch) -> Source:
        """Return a source of inputs alone."""
        return open_inputs(batch, self.data_format)

    def derive_forward(self, draw: Draw | None = None) -> None:
        """Compute again those derived arrays that the forward pass reads."""
        self.weights.derive_forward(draw)

    def outputs(self, block: Block, tape: Tape) -> Iterator[tuple[Piece, Array]]:
        """Yield each piece of the chunk that left the tape with the top layer's outputs [l, n, width]."""
        for piece, arrays in zip(block.pieces, tape.pieces, strict=True):
            yield piece, self._stack.outputs(arrays)

    def evaluate(self, weights: Weights, piece: Piece, h: Array, scratch: Scratch) -> float:
        """Return the sum of the losses of a piece with the top layer's outputs."""
        head = self._stack.head
        if piece.y is None or head is None:
            return 0.0
        steps, samples = piece.counted
        working = scratch.part(-1, (len(h), samples))
        counted = h[len(h) - steps :, :samples]
        with self._head_note:
            return head.sum_of_losses(weights.head, counted, piece.y, piece.weights, working)

    def losses(self, weights: Weights, piece: Piece, h: Array, scratch: Scratch) -> Array:
        """Return the losses [l, n] of the last l steps and first n samples of a piece that have one, unweighted."""
        head, (steps, samples) = self._stack.head, piece.counted
        if piece.y is None or head is None:
            return np.zeros((0, 0))
        working = scratch.part(-1, (len(h), samples))
        with self._head_note:
            return head.losses(weights.head, h[len(h) - steps :, :samples], piece.y, working)

    def readout(self, weights: Weights, h: Array, scratch: Scratch) -> Array:
        """Return what a prediction is made of, [l, n, outputs], in a working array."""
        head = self._stack.head
        if head is None:
            return h
        with self._head_note:
            return head.readout.forward(weights.head, h, scratch.part(-1, (h.shape[0], h.shape[1])))

    def predict(self, weights: Weights, h: Array, scratch: Scratch) -> Array:
        """Return what is predicted [l, n, outputs] for a block of the top layer's outputs, in a working array."""
        outputs = self.readout(weights, h, scratch)
        if self._stack.head is not None:
            with self._head_note:
                self._stack.head.loss.prediction(outputs)
        return outputs


def _write_mask(kernels: Kernels, registry: Registry, out: Array, place: MaskPlace) -> None:
    with registry.blame("kernels", type(kernels)):
        kernels.write_mask(out, place)
