"""The optimizers that come with rnnframe: sgd, rmsprop, adam, adamw, adagrad."""

from collections.abc import Iterable

from rnnframe.plugin import Optimizer, hookimpl
from rnnframe_optimizers.adaptive import Adagrad, Adam, AdamW, RMSProp
from rnnframe_optimizers.sgd import SGD


@hookimpl
def rnnframe_optimizers() -> Iterable[type[Optimizer]]:
    """Provide the built-in optimizers."""
    return [SGD, RMSProp, Adam, AdamW, Adagrad]
