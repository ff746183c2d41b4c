"""The kinds of things that plugins provide: one table for the registry, the command line, the suites and the docs."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from rnnframe.contracts.kernels import Kernels
from rnnframe.contracts.layer import Layer
from rnnframe.contracts.learning_rate import LearningRate
from rnnframe.contracts.loss import Loss
from rnnframe.contracts.medium import Medium
from rnnframe.contracts.observer import Observer
from rnnframe.contracts.optimizer import Optimizer
from rnnframe.contracts.readout import Readout
from rnnframe.contracts.reducer import Reducer
from rnnframe.contracts.store import StateStore
from rnnframe.contracts.task import Task


@attrs.frozen(kw_only=True)
class Kind:
    """A kind of thing: the hook that collects it, the class it must derive from, and its plural for people."""

    hook: str
    base: type[Any]
    plural: str


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "cell": Kind(hook="rnnframe_cells", base=Layer, plural="cells"),
        "optimizer": Kind(hook="rnnframe_optimizers", base=Optimizer, plural="optimizers"),
        "store": Kind(hook="rnnframe_state_stores", base=StateStore, plural="stores"),
        "medium": Kind(hook="rnnframe_media", base=Medium, plural="media"),
        "task": Kind(hook="rnnframe_tasks", base=Task, plural="tasks"),
        "loss": Kind(hook="rnnframe_losses", base=Loss, plural="losses"),
        "readout": Kind(hook="rnnframe_readouts", base=Readout, plural="readouts"),
        "learning rate": Kind(hook="rnnframe_learning_rates", base=LearningRate, plural="learning rates"),
        "kernels": Kind(hook="rnnframe_kernels", base=Kernels, plural="kernels"),
        "observer": Kind(hook="rnnframe_observers", base=Observer, plural="observers"),
        "reducer": Kind(hook="rnnframe_reducers", base=Reducer, plural="reducers"),
    }
)


def kind_of(cls: type[Any]) -> str:
    """Return the kind of a class that a plugin provides; raises `KeyError` for one of no kind."""
    for kind, rule in KINDS.items():
        if issubclass(cls, rule.base):
            return kind
    raise KeyError(f"{cls!r} derives from none of {', '.join(rule.base.__name__ for rule in KINDS.values())}")
