"""Keep every hidden state and rebuild the gates: one large product a chunk, since all h_(t-1) are known."""

from collections.abc import Iterable
from typing import ClassVar

import attrs

from rnnframe.plugin import Costs, Forward, Grid, Reverse, Schedule, StateStore, TapeRetention, hookimpl


@attrs.frozen(kw_only=True)
class SnapshotSlots(StateStore):
    """Keep the states of every step, and nothing else of the tapes.

    Memory: h · T (for an LSTM 1/6 of full history, for elman all of it). Forward steps: T; the products of a forward
    step are run once more, but for a whole chunk at once. Exact to rounding: a large product adds in another order than
    the small ones, so that gradients are those of full history to some 1e-6 in float32 and not to the last bit.
    """

    name: ClassVar[str] = "states"
    unknown_length: ClassVar[bool] = True

    @property
    def tape_retention(self) -> TapeRetention:
        """Always the states alone."""
        return "states"

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Forward to the end, back to the start."""
        reached = yield Forward(0, grid.chunks, keep=True)
        if reached:
            yield Reverse(reached, 0)


@hookimpl
def rnnframe_state_stores() -> Iterable[type[StateStore]]:
    """Provide states."""
    return [SnapshotSlots]
