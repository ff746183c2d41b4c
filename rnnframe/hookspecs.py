"""The hooks of rnnframe. A plugin implements any of them with `@rnnframe.hookimpl` in a module that it names in the
entry-point group `rnnframe` of its distribution:

    [project.entry-points.rnnframe]
    my-cells = "my_package.plugin"

Hooks are called when an application or an engine is set up, never while it runs.
"""

# Declarations: plugins have the bodies.
# mypy: disable-error-code="empty-body"

from collections.abc import Iterable

import pluggy

from rnnframe.contracts import Cell, Optimizer, StateStore
from rnnframe.kernels import Kernels
from rnnframe.media import Medium
from rnnframe.tasks import Task

hookspec = pluggy.HookspecMarker("rnnframe")
hookimpl = pluggy.HookimplMarker("rnnframe")
"""Marks a function as the implementation of the hook of its name."""


@hookspec
def rnnframe_cells() -> Iterable[type[Cell]]:
    """Return recurrent cell classes."""


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
def rnnframe_kernels() -> Iterable[type[Kernels]]:
    """Return kernel classes: other ways to compute what cells compute."""
