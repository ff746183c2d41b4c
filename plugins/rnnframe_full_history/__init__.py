"""Full history: every tape is kept. The most memory, no recomputation, exact."""

from collections.abc import Iterable
from typing import ClassVar, Literal

import attrs
from attrs.validators import in_, optional

from rnnframe.plugin import Costs, Forward, Grid, Reverse, Schedule, StateStore, TapeRetention, hookimpl


@attrs.frozen(kw_only=True)
class FullHistory(StateStore):
    """Keep the tape of every step.

    Memory: tape · T. Forward steps: T. A source of unknown length is kept as far as it goes. Of lean tapes (an LSTM's
    gates alone, 2/3 of the bytes) the rest is made again with no matrix product, to the same bits.
    """

    name: ClassVar[str] = "full-history"
    unknown_length: ClassVar[bool] = True

    keep: Literal["whole", "lean"] | None = attrs.field(
        default=None,
        validator=optional(in_(("whole", "lean"))),
        metadata={"help": "what stays of a tape: the whole (the default), or what is slow to compute"},
    )

    @property
    def tape_retention(self) -> TapeRetention:
        """What `keep` says."""
        return self.keep or "whole"

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Forward to the end, back to the start."""
        reached = yield Forward(0, grid.chunks, keep=True)
        if reached:
            yield Reverse(reached, 0)


@hookimpl
def rnnframe_state_stores() -> Iterable[type[StateStore]]:
    """Provide full-history."""
    return [FullHistory]
