"""Heads: softmax with cross entropy, mean squared error, independent binary outputs."""

from rnnframe.plugin import Head, hookimpl
from rnnframe_heads.heads import Bernoulli, MeanSquaredError, Softmax


@hookimpl
def rnnframe_heads() -> list[type[Head]]:
    """The heads of this module."""
    return [Softmax, MeanSquaredError, Bernoulli]
