"""The store `checkpoint`: a policy, and a number of snapshots or a number of bytes."""

from math import isqrt
from typing import ClassVar, Literal, Self

import attrs
from attrs.validators import ge, gt, in_, optional

from rnnframe import Costs, Grid, OptionError, Schedule, StateStore
from rnnframe.sizes import ByteSize
from rnnframe_checkpoint.policies import revolve, uniform


@attrs.frozen(kw_only=True)
class Checkpoint(StateStore):
    """Keep `slots` states and recompute what lies between them on the way back.

    policy=uniform: slots · state + tape · T / (slots + 1); every step but those of the last segment is run twice.
    policy=revolve: slots · state + the tape of one chunk; the fewest recomputations that so many states allow.
    With a budget in place of slots, as many as make the least work within that many bytes.
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
        slots = self.slots or self._slots(chunks, costs)
        return uniform(chunks, slots) if self.policy == "uniform" else revolve(chunks, slots)

    def _slots(self, chunks: int, costs: Costs) -> int:
        if self.budget is None:
            return thriftiest(chunks, costs) if self.policy == "uniform" else max(1, isqrt(chunks))
        within = _fewest_uniform if self.policy == "uniform" else _most_revolve
        slots = within(chunks, costs, self.budget)
        if slots is None:
            least = thriftiest(chunks, costs) if self.policy == "uniform" else 1
            smallest = _uniform_bytes(chunks, least, costs) if self.policy == "uniform" else _revolve_bytes(1, costs)
            raise OptionError(
                f"store 'checkpoint': policy={self.policy} does not fit into {int(self.budget)} bytes at this chunk "
                f"length; the smallest budget that would do is {smallest} bytes"
            )
        return slots

    @classmethod
    def fit(cls, grid: Grid, costs: Costs, budget: int) -> Self | None:
        """Return uniform checkpoints where they fit, since each step is run but twice; else revolve's."""
        chunks = grid.chunks
        if chunks is None:
            return None
        slots = _fewest_uniform(chunks, costs, budget)
        if slots is not None:
            return cls(policy="uniform", slots=slots)
        slots = _most_revolve(chunks, costs, budget)
        return None if slots is None else cls(policy="revolve", slots=slots)


def thriftiest(chunks: int, costs: Costs) -> int:
    """Return the number of snapshots that uniform checkpoints need for the fewest bytes.

    Segments of k chunks hold (⌈n/k⌉ - 1)·state + k·tape bytes, least near k = sqrt(n·state/tape).
    """
    near = min(chunks, isqrt(chunks * costs.snapshot // costs.tape))
    lengths = range(max(1, near // 2), min(chunks, 2 * near + 2) + 1)
    return min((max(1, -(-chunks // k) - 1) for k in lengths), key=lambda slots: _uniform_bytes(chunks, slots, costs))


def _uniform_bytes(chunks: int, slots: int, costs: Costs) -> int:
    segments = min(chunks, slots + 1)
    return costs.fixed + (segments - 1) * costs.snapshot + -(-chunks // segments) * costs.tape


def _revolve_bytes(slots: int, costs: Costs) -> int:
    return costs.fixed + slots * costs.snapshot + costs.tape


def _fewest_uniform(chunks: int, costs: Costs, budget: int) -> int | None:
    """Return few snapshots within the budget: the last segment, which is not recomputed, is then long.

    But for rounding, the bytes fall with the number of snapshots down to that of `thriftiest`, so halving finds it.
    """
    low, high = 1, thriftiest(chunks, costs)
    if _uniform_bytes(chunks, high, costs) > budget:
        return None
    while low < high:
        middle = (low + high) // 2
        if _uniform_bytes(chunks, middle, costs) <= budget:
            high = middle
        else:
            low = middle + 1
    return high


def _most_revolve(chunks: int, costs: Costs, budget: int) -> int | None:
    """Return the most snapshots within the budget."""
    slots = (budget - costs.fixed - costs.tape) // costs.snapshot
    return min(slots, chunks) if slots >= 1 else None
