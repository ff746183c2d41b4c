"""The hooks of rnnframe. A plugin implements any of them with `hookimpl` in a module that it names in the entry-point
group `rnnframe` of its distribution:

    [project.entry-points.rnnframe]
    my-cells = "my_package.plugin"

Hooks are called when an application or an engine is set up, never while it runs.
"""

# Declarations: plugins have the bodies.
# mypy: disable-error-code="empty-body"

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

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

if TYPE_CHECKING:
    import click

hookspec = pluggy.HookspecMarker("rnnframe")
hookimpl = pluggy.HookimplMarker("rnnframe")
"""Marks a function as the implementation of the hook of its name."""


@hookspec
def rnnframe_cells() -> Iterable[type[Layer]]:
    """Return layer classes: recurrent cells, and layers without a state."""


@hookspec
def rnnframe_optimizers() -> Iterable[type[Optimizer]]:
    """Return optimizer classes."""


@hookspec
def rnnframe_state_stores() -> Iterable[type[StateStore]]:
    """Return state-store classes: strategies of what is remembered of the past."""


@hookspec
def rnnframe_media() -> Iterable[type[Medium]]:
    """Return medium classes: where snapshots live that a store saves far away."""


@hookspec
def rnnframe_tasks() -> Iterable[type[Task]]:
    """Return task classes: what a network is trained for, with its data."""


@hookspec
def rnnframe_losses() -> Iterable[type[Loss]]:
    """Return loss classes: from outputs and targets to a number and its gradient."""


@hookspec
def rnnframe_readouts() -> Iterable[type[Readout]]:
    """Return readout classes: from the outputs of the top layer to those of a loss."""


@hookspec
def rnnframe_learning_rates() -> Iterable[type[LearningRate]]:
    """Return classes of learning-rate schedules."""


@hookspec
def rnnframe_kernels() -> Iterable[type[Kernels]]:
    """Return kernel classes: other ways to compute what cells compute."""


@hookspec
def rnnframe_observers() -> Iterable[type[Observer]]:
    """Return observer classes: who receives the events of a training."""


@hookspec
def rnnframe_reducers() -> Iterable[type[Reducer]]:
    """Return reducer classes: how several processes train one network together."""


@hookspec
def rnnframe_commands() -> "Iterable[click.Command]":
    """Return click commands, which become subcommands of `rnnframe`."""
