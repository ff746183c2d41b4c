"""`Head`: a readout and a loss. It works in the reverse sweep: outputs are computed there and discarded at once."""

from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.contracts.loss import Loss
from rnnframe.contracts.readout import Readout


@attrs.frozen(kw_only=True)
class Head:
    """The last part of a network: o = readout(h), and the loss of o.

    Its spec is that of the loss, with the readout as one more option: "softmax:classes=65,readout=affine".

    Parameters
    ----------
    loss : Loss
        From outputs and targets to a number.
    readout : Readout
        From the outputs of the top layer to those of the loss.
    """

    loss: Loss
    readout: Readout

    @property
    def name(self) -> str:
        """The name of the loss."""
        return self.loss.name

    @property
    def width(self) -> int:
        """The number of outputs."""
        return self.loss.width

    def sum_of_losses(self, weights: Arrays, h: Array, y: Array, factors: Array | None, scratch: Arrays) -> float:
        """Return the weighted sum of the losses of a block.

        Parameters
        ----------
        weights : Arrays
            The parameters and derived arrays of the readout, by name.
        h : Array
            The outputs of the top layer [L, B, inputs].
        y : Array
            Targets [L, B, target_width], or class numbers [L, B].
        factors : Array or None
            How much each loss counts, [L, B]; None where each counts once.
        scratch : Arrays
            Working arrays of the readout, by name.

        Returns
        -------
        float
            The sum.
        """
        return self._loss(self.readout.forward(weights, h, scratch), y, factors)

    def reverse(
        self,
        weights: Arrays,
        h: Array,
        y: Array,
        factors: Array | None,
        dh: Array,
        gradients: Arrays,
        scratch: Arrays,
    ) -> float:
        """Return the weighted sum of the losses of a block, and compute its gradients.

        Parameters
        ----------
        weights, h, y, factors
            As `sum_of_losses` takes them.
        dh : Array
            dL/dh [L, B, inputs] is written here.
        gradients : Arrays
            Those of the readout's parameters, which are added to.
        scratch : Arrays
            Working arrays of the readout, by name.

        Returns
        -------
        float
            The sum.
        """
        o = self.readout.forward(weights, h, scratch)
        loss = self._loss(o, y, factors)
        self.readout.backward(weights, h, o, dh, gradients, scratch)
        return loss

    def losses(self, weights: Arrays, h: Array, y: Array, scratch: Arrays) -> Array:
        """Return the loss of each step and sample [L, B] of a block of h [L, B, inputs], before any weight."""
        o = self.readout.forward(weights, h, scratch)
        rows = o.shape[0] * o.shape[1]
        found = self.loss.losses(o.reshape(rows, -1), y.reshape(rows) if y.ndim == 2 else y.reshape(rows, -1))
        return found.reshape(o.shape[:2])

    def _loss(self, o: Array, y: Array, factors: Array | None) -> float:
        count = o.shape[0] * o.shape[1]
        flat: Any = np.reshape
        targets = flat(y, (count,) if y.ndim == 2 else (count, y.shape[2]))
        return self.loss.loss_and_gradient(
            flat(o, (count, o.shape[2])), targets, None if factors is None else flat(factors, count)
        )
