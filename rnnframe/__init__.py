"""rnnframe: exact back-propagation through time in the memory you have.

import rnnframe as rf
network = rf.Network(cells=["lstm:hidden=128"], head="softmax:classes=65", inputs=65)
engine = rf.Engine(network, store="checkpoint:policy=revolve,slots=8")
result = engine.gradients(x, y)

Plugins import `rnnframe.plugin`; what strategies are made of is in `rnnframe.schedules`, what is raised in
`rnnframe.errors`, the suites that check a plugin in `rnnframe.testing`.
"""

import importlib
from typing import TYPE_CHECKING, Any

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
from rnnframe.schedules import simulate
from rnnframe.training.groups import ParameterGroup
from rnnframe.training.trainer import Trainer

if TYPE_CHECKING:
    from rnnframe.runs.loading import load_model
    from rnnframe.training.options import TrainingOptions
    from rnnframe.training.session import Training
    from rnnframe.training.starting import options_from

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

_ON_FIRST_USE = {
    "Training": "rnnframe.training.session",
    "TrainingOptions": "rnnframe.training.options",
    "load_model": "rnnframe.runs.loading",
    "options_from": "rnnframe.training.starting",
}
"""Names that are imported when they are first asked for: `import rnnframe` stays quick."""


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_ON_FIRST_USE[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def cell(spec: str) -> Layer:
    """Return a layer, such as a recurrent cell, from a spec such as "lstm:hidden=128"."""
    return default_registry().cell(spec)


def head(spec: str) -> Head:
    """Return a head from a spec such as "softmax:classes=65"."""
    return default_registry().head(spec)


def learning_rate(spec: str) -> LearningRate:
    """Return a learning-rate schedule from a spec such as "cosine:warmup=100"."""
    return default_registry().learning_rate(spec)


def medium(spec: str) -> Medium:
    """Return a medium from a spec such as "disk:path=/scratch"."""
    return default_registry().medium(spec)


def observer(spec: str) -> Observer:
    """Return an observer of trainings from a spec such as "tensorboard:path=events"."""
    return default_registry().observer(spec)


def optimizer(spec: str) -> Optimizer:
    """Return an optimizer from a spec such as "adam:lr=2e-3"."""
    return default_registry().optimizer(spec)


def reducer(spec: str) -> Reducer:
    """Return a reducer of several processes from a spec such as "mpi:timeout=60"."""
    return default_registry().reducer(spec)


def store(spec: str) -> StateStore:
    """Return a state store from a spec such as "checkpoint:policy=revolve,slots=8"."""
    return default_registry().store(spec)


def task(spec: str) -> Task:
    """Return a task from a spec such as "forecast:column=price,horizon=12"."""
    return default_registry().task(spec)
