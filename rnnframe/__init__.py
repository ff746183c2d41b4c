"""rnnframe: exact back-propagation through time in the memory you have.

import rnnframe as rf
network = rf.Network(cells=["lstm:hidden=128"], head="softmax:classes=65", inputs=65)
engine = rf.Engine(network, store="checkpoint:policy=revolve,slots=8")
result = engine.gradients(x, y)
"""

from rnnframe.arrays import Vector
from rnnframe.contracts import Cell, Costs, Optimizer, Problem, StateStore
from rnnframe.engine import Engine
from rnnframe.errors import (
    DataError,
    NonFiniteError,
    OptionError,
    PluginError,
    RnnframeError,
    RunError,
    ScheduleError,
    UnknownNameError,
    UsageError,
)
from rnnframe.heads import Head
from rnnframe.hookspecs import hookimpl
from rnnframe.inference import Evaluation, Inference
from rnnframe.kernels import Kernels
from rnnframe.learning_rates import LearningRate
from rnnframe.media import Medium, SnapshotLayout, Snapshots
from rnnframe.network import Network
from rnnframe.plan import Plan, RunPlan
from rnnframe.prefetch import Prefetch
from rnnframe.registry import Registry, default_registry
from rnnframe.report import Outcome, Report, Result
from rnnframe.schedule import Drop, Forget, Forward, Grid, Load, Reverse, Save, Schedule, Update
from rnnframe.simulate import Simulation, simulate
from rnnframe.step_cell import StepCell
from rnnframe.tasks import Batch, Dataset, Examples, Predicted, Setting, Task
from rnnframe.trainer import StepResult, Trainer

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "Cell",
    "Costs",
    "DataError",
    "Dataset",
    "Drop",
    "Engine",
    "Evaluation",
    "Examples",
    "Forget",
    "Forward",
    "Grid",
    "Head",
    "Inference",
    "Kernels",
    "LearningRate",
    "Load",
    "Medium",
    "Network",
    "NonFiniteError",
    "Optimizer",
    "OptionError",
    "Outcome",
    "Plan",
    "PluginError",
    "Predicted",
    "Prefetch",
    "Problem",
    "Registry",
    "Report",
    "Result",
    "Reverse",
    "RnnframeError",
    "RunError",
    "RunPlan",
    "Save",
    "Schedule",
    "ScheduleError",
    "Setting",
    "Simulation",
    "SnapshotLayout",
    "Snapshots",
    "StateStore",
    "StepCell",
    "StepResult",
    "Task",
    "Trainer",
    "UnknownNameError",
    "Update",
    "UsageError",
    "Vector",
    "cell",
    "default_registry",
    "hookimpl",
    "medium",
    "optimizer",
    "simulate",
    "store",
    "task",
]


def cell(spec: str) -> Cell:
    """Return a cell from a spec such as "lstm:hidden=128"."""
    return default_registry().cell(spec)


def optimizer(spec: str) -> Optimizer:
    """Return an optimizer from a spec such as "adam:lr=2e-3"."""
    return default_registry().optimizer(spec)


def medium(spec: str) -> Medium:
    """Return a medium from a spec such as "disk:path=/scratch"."""
    return default_registry().medium(spec)


def store(spec: str) -> StateStore:
    """Return a state store from a spec such as "checkpoint:policy=revolve,slots=8"."""
    return default_registry().store(spec)


def task(spec: str) -> Task:
    """Return a task from a spec such as "forecast:column=price,horizon=12"."""
    return default_registry().task(spec)
