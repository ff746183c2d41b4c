"""Heads: the losses softmax, mse, pinball and bernoulli, and the affine readout."""

from rnnframe.plugin import Loss, Readout, hookimpl
from rnnframe_heads.affine import Affine
from rnnframe_heads.losses import Bernoulli, MeanSquaredError, Pinball, Softmax

__all__ = ["Affine", "Bernoulli", "MeanSquaredError", "Pinball", "Softmax"]


@hookimpl
def rnnframe_losses() -> list[type[Loss]]:
    """The losses of this module."""
    return [Softmax, MeanSquaredError, Pinball, Bernoulli]


@hookimpl
def rnnframe_readouts() -> list[type[Readout]]:
    """The readout of this module."""
    return [Affine]
