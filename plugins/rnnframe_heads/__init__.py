"""Heads: the losses softmax, mse, pinball and bernoulli, and the readouts affine and tied."""

from rnnframe.plugin import Loss, Readout, hookimpl
from rnnframe_heads.affine import Affine
from rnnframe_heads.losses import Bernoulli, MeanSquaredError, Pinball, Softmax
from rnnframe_heads.tied import Tied

__all__ = ["Affine", "Bernoulli", "MeanSquaredError", "Pinball", "Softmax", "Tied"]


@hookimpl
def rnnframe_losses() -> list[type[Loss]]:
    """The losses of this module."""
    return [Softmax, MeanSquaredError, Pinball, Bernoulli]


@hookimpl
def rnnframe_readouts() -> list[type[Readout]]:
    """The readouts of this module."""
    return [Affine, Tied]
