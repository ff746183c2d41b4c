"""Heads: the losses softmax, mse and bernoulli, and the affine readout."""

from rnnframe.plugin import Loss, Readout, hookimpl
from rnnframe_heads.affine import Affine
from rnnframe_heads.losses import Bernoulli, MeanSquaredError, Softmax

__all__ = ["Affine", "Bernoulli", "MeanSquaredError", "Softmax"]


@hookimpl
def rnnframe_losses() -> list[type[Loss]]:
    """The losses of this module."""
    return [Softmax, MeanSquaredError, Bernoulli]


@hookimpl
def rnnframe_readouts() -> list[type[Readout]]:
    """The readout of this module."""
    return [Affine]
