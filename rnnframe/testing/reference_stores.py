"""Two stores that need no plugin, as references: one keeps every tape, one keeps a state and recomputes every tape."""

from typing import ClassVar

import attrs

from rnnframe.contracts.costs import Costs
from rnnframe.contracts.medium import Medium
from rnnframe.contracts.store import StateStore
from rnnframe.schedules.actions import Drop, Forward, Load, Reverse, Save, Schedule
from rnnframe.schedules.grid import Grid


@attrs.frozen(kw_only=True)
class KeepAll(StateStore):
    """Keep every tape; `cut` is the grid of the store that is compared with this one."""

    name: ClassVar[str] = "keep-all"
    unknown_length: ClassVar[bool] = True
    cut: Grid | None = None

    def grid(self, steps: int | None, chunk: int) -> Grid:
        """Cut where the other store cuts."""
        return self.cut or super().grid(steps, chunk)

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Forward to the end, back to the start."""
        reached = yield Forward(0, grid.chunks, keep=True)
        if reached:
            yield Reverse(reached, 0)


@attrs.frozen(kw_only=True)
class Recompute(StateStore):
    """Keep the state before every chunk, in the `medium` if there is one, and compute every tape again."""

    name: ClassVar[str] = "recompute"
    medium: Medium | None = None

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Save all states on the way to the end; on the way back load one, run its chunk again and reverse it."""
        assert grid.chunks is not None
        for n in range(grid.chunks):
            yield Save(n, far=self.medium is not None)
            yield Forward(n, n + 1, keep=False)
        for n in reversed(range(grid.chunks)):
            yield Load(n)
            yield Drop(n)
            yield Forward(n, n + 1, keep=True)
            yield Reverse(n + 1, n)
