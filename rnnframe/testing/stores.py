"""The conformance suite of state stores."""

from collections.abc import Callable
from typing import Any

from rnnframe.contracts.store import StateStore
from rnnframe.testing.store_budgets import StoreBudgetChecks
from rnnframe.testing.store_runs import StoreRunChecks
from rnnframe.testing.store_schedules import StoreScheduleChecks
from rnnframe.testing.store_suite import Window
from rnnframe.testing.suite import CheckReport, run


class StateStoreTests(StoreBudgetChecks, StoreRunChecks, StoreScheduleChecks):
    """All that a state store must hold to.

        class TestMyStore(rnnframe.testing.StateStoreTests):
            store = MyStore(every=3)

    store: the store or its spec. A truncated one says in `windows(steps)` which windows it means.
    """


def check_store(store: StateStore | str, windows: Callable[[int], list[Window]] | None = None) -> CheckReport:
    """Put a store through `StateStoreTests` without pytest; `windows` as there, for a truncated one."""
    body: dict[str, Any] = {"store": store}
    if windows is not None:
        body["windows"] = lambda _, steps: windows(steps)
    return run(type("Checked", (StateStoreTests,), body)())
