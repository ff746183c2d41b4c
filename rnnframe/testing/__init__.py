"""What a plugin's author checks a cell, store, medium, optimizer, head, task or kernels with; needs no test framework.

    class TestMyCell(rnnframe.testing.CellTests):  # for pytest
        cell = MyCell(hidden=5)

    print(rnnframe.testing.check_cell(MyCell(hidden=5)))  # or without

`rnnframe check` does the latter at the command line.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from rnnframe.registry.kinds import KINDS
from rnnframe.testing.cells import CellTests, check_cell
from rnnframe.testing.gradients import check_gradients, numeric_gradients, numeric_state_gradient
from rnnframe.testing.heads import HeadTests, LossTests, ReadoutTests, check_head
from rnnframe.testing.kernels import KernelsTests, check_kernels
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
        "loss": LossTests,
        "readout": ReadoutTests,
        "task": TaskTests,
        "kernels": KernelsTests,
    }
)
"""Kind of plugin -> its suite."""
BASES: Mapping[str, type[Any]] = MappingProxyType({kind: KINDS[kind].base for kind in SUITES})
"""Kind of plugin -> the contract that its classes derive from."""

__all__ = [
    "BASES",
    "SUITES",
    "CellTests",
    "CheckOutcome",
    "CheckReport",
    "HeadTests",
    "KernelsTests",
    "LossTests",
    "MediumTests",
    "OptimizerTests",
    "ReadoutTests",
    "StateStoreTests",
    "Suite",
    "TaskTests",
    "check_cell",
    "check_gradients",
    "check_head",
    "check_kernels",
    "check_medium",
    "check_optimizer",
    "check_store",
    "check_task",
    "numeric_gradients",
    "numeric_state_gradient",
    "run",
]
