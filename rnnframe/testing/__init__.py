"""What a plugin's author checks a cell, store, medium, optimizer, head or task with; needs no test framework.

    class TestMyCell(rnnframe.testing.CellTests):  # for pytest
        cell = MyCell(hidden=5)

    print(rnnframe.testing.check_cell(MyCell(hidden=5)))  # or without

`rnnframe check` does the latter at the command line.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rnnframe.contracts.cell import Cell
from rnnframe.contracts.head import Head
from rnnframe.contracts.medium import Medium
from rnnframe.contracts.optimizer import Optimizer
from rnnframe.contracts.store import StateStore
from rnnframe.contracts.task import Task
from rnnframe.testing.cells import CellTests, check_cell
from rnnframe.testing.gradients import check_gradients, numeric_gradients, numeric_state_gradient
from rnnframe.testing.heads import HeadTests, check_head
from rnnframe.testing.media import MediumTests, check_medium
from rnnframe.testing.optimizers import OptimizerTests, check_optimizer
from rnnframe.testing.stores import StateStoreTests, check_store
from rnnframe.testing.suite import CheckOutcome, CheckReport, Suite, run
from rnnframe.testing.tasks import TaskTests, check_task

SUITES: Mapping[str, type[Suite]] = MappingProxyType(
    {
        "cell": CellTests,
        "store": StateStoreTests,
        "medium": MediumTests,
        "optimizer": OptimizerTests,
        "head": HeadTests,
        "task": TaskTests,
    }
)
"""Kind of plugin -> its suite."""
BASES: Mapping[str, type[Any]] = MappingProxyType(
    {"cell": Cell, "store": StateStore, "medium": Medium, "optimizer": Optimizer, "head": Head, "task": Task}
)
"""Kind of plugin -> the contract that its classes derive from."""

__all__ = [
    "BASES",
    "SUITES",
    "CellTests",
    "CheckOutcome",
    "CheckReport",
    "HeadTests",
    "MediumTests",
    "OptimizerTests",
    "StateStoreTests",
    "Suite",
    "TaskTests",
    "check_cell",
    "check_gradients",
    "check_head",
    "check_medium",
    "check_optimizer",
    "check_store",
    "check_task",
    "numeric_gradients",
    "numeric_state_gradient",
    "run",
]
