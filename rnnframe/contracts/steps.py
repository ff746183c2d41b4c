"""What a stream runs at every time step: parts that work in arrays which stay where they are, one after the other.

Each part runs by itself (`run`), as it was written. Kernels can run several in one call (`Kernels.joined`).
"""

from typing import TypeAlias

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.contracts.layer import BlockPass, Layer
from rnnframe.contracts.loss import Loss
from rnnframe.contracts.readout import Readout


@attrs.frozen(eq=False)
class LayerStep:
    """A layer runs a block of one step, from row 0 of its states.

    Parameters
    ----------
    layer : Layer
        The layer.
    block : BlockPass
        The same at every step; x is written to in between.
    """

    layer: Layer
    block: BlockPass

    def run(self) -> None:
        """Run the block."""
        self.layer.forward(self.block)


@attrs.frozen(eq=False)
class ReadoutStep:
    """A readout computes outputs.

    Parameters
    ----------
    readout : Readout
        The readout.
    weights : Arrays
        Its parameters and derived arrays, by name.
    h : Array
        The outputs of the top layer [1, B, inputs].
    scratch : Arrays
        Its working arrays, by name.
    outputs : Array
        Where the outputs are written, [1, B, outputs].
    """

    readout: Readout
    weights: Arrays
    h: Array
    scratch: Arrays
    outputs: Array

    def run(self) -> None:
        """Write the outputs."""
        np.copyto(self.outputs, self.readout.forward(self.weights, self.h, self.scratch))


@attrs.frozen(eq=False)
class PredictionStep:
    """A loss makes predictions of outputs [1, B, outputs], in place."""

    loss: Loss
    outputs: Array

    def run(self) -> None:
        """Replace the outputs."""
        self.loss.prediction(self.outputs)


@attrs.frozen(eq=False)
class AdvanceStep:
    """The states after the step become those before the next one: pairs of arrays [B, width], (before, after)."""

    states: tuple[tuple[Array, Array], ...]

    def run(self) -> None:
        """Copy them."""
        for before, after in self.states:
            np.copyto(before, after)


StepPart: TypeAlias = LayerStep | ReadoutStep | PredictionStep | AdvanceStep
"""One part of a time step."""
