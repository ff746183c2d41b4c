"""Full history: every tape is kept. The most memory, no recomputation, exact."""

from collections.abc import Iterable
from typing import ClassVar, Literal

import attrs
from attrs.validators import in_, optional

from rnnframe.plugin import Costs, Forward, Grid, Reverse, Schedule, StateStore, StoredTapes, hookimpl


@attrs.frozen(kw_only=True)
class FullHistory(StateStore):
    """Keep the tape of every step.

    Memory: tape · T. Forward steps: T. A source of unknown length is kept as far as it goes. Of lean tapes (an LSTM's
    gates alone, 2/3 of the bytes) the rest is made again with no matrix product, to the same bits. Tapes in bfloat16
    have half of the bytes, but for the outputs of the top layer, and gradients that are off by rounding.
    """

    name: ClassVar[str] = "full-history"
    unknown_length: ClassVar[bool] = True

    keep: Literal["whole", "lean", "bfloat16"] | None = attrs.field(
        default=None,
        validator=optional(in_(("whole", "lean", "bfloat16"))),
        metadata={
            "help": "what stays of a tape: the whole (the default), what is slow to compute, or the whole rounded to "
            "bfloat16 (not exact)"
        },
    )

    @property
    def tape_retention(self) -> StoredTapes:
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
