"""The store `checkpoint`: a policy, and a number of snapshots or a number of bytes."""

from math import isqrt
from typing import ClassVar, Literal, Self

import attrs
from attrs.validators import ge, gt, in_, optional

from rnnframe import Costs, Grid, OptionError, Schedule, StateStore
from rnnframe.sizes import ByteSize
from rnnframe_checkpoint.policies import filled, revolve, uniform


@attrs.frozen(kw_only=True)
class Checkpoint(StateStore):
    """Keep `slots` states and recompute what lies between them on the way back.

    policy=uniform: slots · state + tape · T / (slots + 1); every step but those of the last segment is run twice.
    policy=revolve: slots · state + the tape of one chunk; the fewest recomputations that so many states allow.
    With a budget in place of slots, the longest segments (uniform) or most states (revolve) within that many bytes.
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
    budget: ByteSize | None = attrs.field(
        default=None,
        validator=optional(gt(ByteSize(0))),
        metadata={"help": "bytes for tapes, snapshots and working arrays, in place of slots"},
    )

    @budget.validator
    def _budget_or_slots(self, _: object, budget: int | None) -> None:
        if budget is not None and self.slots is not None:
            raise ValueError(f"give 'slots' or 'budget', not both: slots={self.slots}, budget={budget}")

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Return the policy's schedule over the chunks of the grid."""
        chunks = grid.chunks
        assert chunks is not None  # the engine does not offer unknown lengths to this store
        if self.budget is not None:
            return self._within(chunks, costs, self.budget)
        if self.policy == "uniform":
            return uniform(chunks, self.slots or -(-chunks // thriftiest(chunks, costs)) - 1)
        return revolve(chunks, self.slots or max(1, isqrt(chunks)))

    def _within(self, chunks: int, costs: Costs, budget: int) -> Schedule:
        if self.policy == "uniform":
            length = longest_segment(chunks, costs, costs.share(budget))
            if length:
                return filled(chunks, length)
            smallest = segment_bytes(chunks, thriftiest(chunks, costs), costs)
        else:
            slots = most_slots(chunks, costs, costs.share(budget))
            if slots:
                return revolve(chunks, slots)
            smallest = costs.fixed + costs.snapshot + costs.tape
        raise OptionError(
            f"store 'checkpoint': policy={self.policy} does not fit into {int(budget)} bytes at this chunk length; "
            f"the smallest budget that would do is {smallest * costs.shards} bytes"
        )

    @classmethod
    def fit(cls, grid: Grid, costs: Costs, budget: int) -> Self | None:
        """Return uniform checkpoints where they fit, since no step is run more than twice; else revolve's."""
        chunks = grid.chunks
        if chunks is None:
            return None
        if longest_segment(chunks, costs, costs.share(budget)):
            return cls(policy="uniform", budget=ByteSize(budget))
        slots = most_slots(chunks, costs, costs.share(budget))
        return cls(policy="revolve", slots=slots) if slots else None


def segment_bytes(chunks: int, length: int, costs: Costs) -> int:
    """Return the bytes held with segments of `length` chunks: a state for each but the last, the tapes of one."""
    return costs.fixed + (-(-chunks // length) - 1) * costs.snapshot + length * costs.tape


def thriftiest(chunks: int, costs: Costs) -> int:
    """Return the length of segments that holds the fewest bytes: near sqrt(n·state/tape) chunks."""
    near = min(chunks, isqrt(chunks * costs.snapshot // costs.tape))
    lengths = range(max(1, near // 2), min(chunks, 2 * near + 2) + 1)
    return min(lengths, key=lambda length: segment_bytes(chunks, length, costs))


def longest_segment(chunks: int, costs: Costs, budget: int) -> int:
    """Return the longest segments within the budget, 0 if there are none: the last one is not recomputed.

    Beyond the thriftiest length the bytes rise, but for rounding by a state, so halving finds it.
    """
    low = thriftiest(chunks, costs)
    if segment_bytes(chunks, low, costs) > budget:
        return 0
    high = chunks
    while low < high:
        middle = (low + high + 1) // 2
        if segment_bytes(chunks, middle, costs) <= budget:
            low = middle
        else:
            high = middle - 1
    return low


def most_slots(chunks: int, costs: Costs, budget: int) -> int:
    """Return the most snapshots within the budget beside the tape of one chunk, 0 if there is room for none."""
    return max(0, min(chunks, (budget - costs.fixed - costs.tape) // costs.snapshot))
