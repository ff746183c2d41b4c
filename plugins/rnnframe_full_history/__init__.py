"""Full history: every tape is kept. The most memory, no recomputation, exact."""

from collections.abc import Iterable
from typing import ClassVar

import attrs

from rnnframe import Costs, Forward, Grid, Reverse, Schedule, StateStore, hookimpl


@attrs.frozen(kw_only=True)
class FullHistory(StateStore):
    """Keep the tape of every step.

    Memory: tape · T. Forward steps: T. A source of unknown length is kept as far as it goes.
    """

    name: ClassVar[str] = "full-history"
    unknown_length: ClassVar[bool] = True

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Forward to the end, back to the start."""
        reached = yield Forward(0, grid.chunks, keep=True)
        if reached:
            yield Reverse(reached, 0)


@hookimpl
def rnnframe_state_stores() -> Iterable[type[StateStore]]:
    """Provide full-history."""
    return [FullHistory]
