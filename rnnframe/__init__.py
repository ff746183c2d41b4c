"""rnnframe: exact back-propagation through time in the memory you have.

import rnnframe as rf
network = rf.Network(cells=["lstm:hidden=128"], head="softmax:classes=65", inputs=65)
engine = rf.Engine(network, store="checkpoint:policy=revolve,slots=8")
result = engine.gradients(x, y)

Plugins import `rnnframe.plugin`; what strategies are made of is in `rnnframe.schedules`, what is raised in
`rnnframe.errors`, the suites that check a plugin in `rnnframe.testing`.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # which is true for those who check types; `typing` takes longer to import than all of this
if TYPE_CHECKING:
    from typing import Any

    from rnnframe.arrays import Vector
    from rnnframe.contracts.head import Head
    from rnnframe.contracts.layer import Layer
    from rnnframe.contracts.learning_rate import LearningRate
    from rnnframe.contracts.medium import Medium
    from rnnframe.contracts.observer import Observer
    from rnnframe.contracts.optimizer import Optimizer
    from rnnframe.contracts.reducer import Reducer
    from rnnframe.contracts.store import StateStore
    from rnnframe.contracts.task import Task
    from rnnframe.data.batch import Batch
    from rnnframe.data.prefetch import Prefetch
    from rnnframe.engine.engine import Engine
    from rnnframe.engine.inference import Inference
    from rnnframe.engine.report import Report, Result
    from rnnframe.engine.two_pass_sweep import TwoPassEngine, TwoPassSweep
    from rnnframe.engine.two_passes import TwoPassRun
    from rnnframe.errors import RnnframeError
    from rnnframe.network.network import Network
    from rnnframe.network.stream import Stream
    from rnnframe.registry.registry import Registry, default_registry
    from rnnframe.runs.loading import load_model
    from rnnframe.schedules import simulate
    from rnnframe.training.groups import ParameterGroup
    from rnnframe.training.options import TrainingOptions
    from rnnframe.training.session import Training
    from rnnframe.training.starting import options_from
    from rnnframe.training.trainer import Trainer

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Engine",
    "Inference",
    "Network",
    "ParameterGroup",
    "Prefetch",
    "Registry",
    "Report",
    "Result",
    "RnnframeError",
    "Stream",
    "Trainer",
    "Training",
    "TrainingOptions",
    "TwoPassEngine",
    "TwoPassRun",
    "TwoPassSweep",
    "Vector",
    "cell",
    "default_registry",
    "head",
    "learning_rate",
    "load_model",
    "medium",
    "observer",
    "optimizer",
    "options_from",
    "reducer",
    "simulate",
    "store",
    "task",
]

_HOME = {
    "Batch": "rnnframe.data.batch",
    "Engine": "rnnframe.engine.engine",
    "Inference": "rnnframe.engine.inference",
    "Network": "rnnframe.network.network",
    "ParameterGroup": "rnnframe.training.groups",
    "Prefetch": "rnnframe.data.prefetch",
    "Registry": "rnnframe.registry.registry",
    "Report": "rnnframe.engine.report",
    "Result": "rnnframe.engine.report",
    "RnnframeError": "rnnframe.errors",
    "Stream": "rnnframe.network.stream",
    "Trainer": "rnnframe.training.trainer",
    "Training": "rnnframe.training.session",
    "TrainingOptions": "rnnframe.training.options",
    "TwoPassEngine": "rnnframe.engine.two_pass_sweep",
    "TwoPassRun": "rnnframe.engine.two_passes",
    "TwoPassSweep": "rnnframe.engine.two_pass_sweep",
    "Vector": "rnnframe.arrays",
    "default_registry": "rnnframe.registry.registry",
    "load_model": "rnnframe.runs.loading",
    "options_from": "rnnframe.training.starting",
    "simulate": "rnnframe.schedules",
}
"""Each name -> the module that it is imported from when it is first asked for.

Nothing is imported before: `import rnnframe` takes a millisecond, and the command can catch an interrupt from its
first instruction on.
"""

_DOORS = ("errors", "plugin", "schedules", "testing")
"""The public modules, which need no import of their own."""


def __getattr__(name: str) -> Any:
    if name in _DOORS:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_DOORS})


def cell(spec: str) -> Layer:
    """Return a layer, such as a recurrent cell, from a spec such as "lstm:hidden=128"."""
    return _registry().cell(spec)


def head(spec: str) -> Head:
    """Return a head from a spec such as "softmax:classes=65"."""
    return _registry().head(spec)


def learning_rate(spec: str) -> LearningRate:
    """Return a learning-rate schedule from a spec such as "cosine:warmup=100"."""
    return _registry().learning_rate(spec)


def medium(spec: str) -> Medium:
    """Return a medium from a spec such as "disk:path=/scratch"."""
    return _registry().medium(spec)


def observer(spec: str) -> Observer:
    """Return an observer of trainings from a spec such as "tensorboard:path=events"."""
    return _registry().observer(spec)


def optimizer(spec: str) -> Optimizer:
    """Return an optimizer from a spec such as "adam:lr=2e-3"."""
    return _registry().optimizer(spec)


def reducer(spec: str) -> Reducer:
    """Return a reducer of several processes from a spec such as "mpi:timeout=60"."""
    return _registry().reducer(spec)


def store(spec: str) -> StateStore:
    """Return a state store from a spec such as "checkpoint:policy=revolve,slots=8"."""
    return _registry().store(spec)


def task(spec: str) -> Task:
    """Return a task from a spec such as "forecast:column=price,horizon=12"."""
    return _registry().task(spec)


def _registry() -> Registry:
    from rnnframe.registry.registry import default_registry

    return default_registry()
