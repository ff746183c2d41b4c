"""The store `checkpoint`: a policy and a number of snapshots."""

from math import isqrt
from typing import ClassVar, Literal

import attrs
from attrs.validators import ge, in_, optional

from rnnframe import Costs, Grid, Schedule, StateStore
from rnnframe_checkpoint.policies import revolve, uniform


@attrs.frozen(kw_only=True)
class Checkpoint(StateStore):
    """Keep `slots` states and recompute what lies between them on the way back.

    policy=uniform: slots · state + tape · T / (slots + 1); every step but those of the last segment is run twice.
    policy=revolve: slots · state + the tape of one chunk; the fewest recomputations that so many states allow.
    """

    name: ClassVar[str] = "checkpoint"
    policy: Literal["uniform", "revolve"] = attrs.field(
        default="uniform",
        validator=in_(("uniform", "revolve")),
        metadata={"help": "equal segments run twice, or binomial checkpoints nested to any depth"},
    )
    slots: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "states kept at once; none: as many as need the least memory, about sqrt(T)"},
    )

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Return the policy's schedule over the chunks of the grid."""
        chunks = grid.chunks
        assert chunks is not None  # the engine does not offer unknown lengths to this store
        if self.policy == "uniform":
            return uniform(chunks, self.slots or thriftiest(chunks, costs))
        return revolve(chunks, self.slots or max(1, isqrt(chunks)))


def thriftiest(chunks: int, costs: Costs) -> int:
    """Return the number of snapshots s with the least s·state + tape·n/(s + 1): about sqrt(n·tape/state)."""
    best = isqrt(chunks * costs.tape // costs.snapshot)
    return max(1, min(best, chunks - 1))
