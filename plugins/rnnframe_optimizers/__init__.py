"""The optimizers that come with rnnframe: sgd, rmsprop, adam, adamw, adagrad, lamb, muon."""

from collections.abc import Iterable

from rnnframe.plugin import Optimizer, hookimpl
from rnnframe_optimizers.adaptive import Adagrad, Adam, AdamW, RMSProp
from rnnframe_optimizers.lamb import LAMB
from rnnframe_optimizers.muon import Muon
from rnnframe_optimizers.sgd import SGD


@hookimpl
def rnnframe_optimizers() -> Iterable[type[Optimizer]]:
    """Provide the built-in optimizers."""
    return [SGD, RMSProp, Adam, AdamW, Adagrad, LAMB, Muon]
