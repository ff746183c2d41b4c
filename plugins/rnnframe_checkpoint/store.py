"""The store `checkpoint`: a policy, and a number of snapshots or a number of bytes."""

from collections.abc import Iterable
from functools import partial
from math import isqrt
from typing import ClassVar, Literal, Self, TypeAlias

import attrs
from attrs.validators import ge, gt, in_, optional

from rnnframe.plugin import (
    ByteSize,
    Costs,
    Grid,
    Medium,
    OptionError,
    Problem,
    Schedule,
    StateStore,
    StoredTapes,
    human_bytes,
)
from rnnframe_checkpoint.chunks import longest_within, worthwhile
from rnnframe_checkpoint.mixed import mixed, runs_of
from rnnframe_checkpoint.online import online
from rnnframe_checkpoint.policies import filled, revolve, tiered, uniform

Policy: TypeAlias = Literal["uniform", "revolve", "mixed", "online"]
ONLINE_SLOTS = 32  # up to 560 chunks are run no more than three times on average
ONLINE_MOST = 512  # beyond, more hardly save a run, and placing them takes long
TRANSFER = 0.1  # what saving and loading a state far away costs, in forward runs of a chunk


@attrs.frozen(kw_only=True)
class Checkpoint(StateStore):
    """Keep some states, and recompute the steps between them during the reverse.

    - policy=uniform: slots · state + tape · T / (slots + 1); every step but those of the last segment is run twice.
    - policy=revolve: slots · state + the tape of one chunk; the fewest recomputations with so many states.
    - policy=mixed: the bytes of uniform or revolve, for states and tapes: those that save more recomputation.
    - policy=online: the bytes of revolve and a few more recomputations; the length need not be known.

    Where no chunk length is given, chunks are shorter than usual where that saves much memory at little time.

    With a budget in place of slots, the store does the fewest recomputations within that many bytes, by default with
    policy=mixed.

    With a medium, the states are kept there and one whole segment is reversed at a time. No step is run more than twice
    if there is memory for a state and for the tape of one chunk.
    """

    name: ClassVar[str] = "checkpoint"
    policy: Policy | None = attrs.field(
        default=None,
        validator=optional(in_(("uniform", "revolve", "mixed", "online"))),
        metadata={
            "help": "equal segments run twice, binomial checkpoints nested to any depth, states and tapes mixed, "
            "or checkpoints for unknown lengths; none: mixed with a budget or a medium, else uniform"
        },
    )
    slots: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "room for so many states; none: as many as need the least memory, about sqrt(T); online: 32"},
    )
    budget: ByteSize | None = attrs.field(
        default=None,
        validator=optional(gt(ByteSize(0))),
        metadata={"help": "bytes for tapes, snapshots and working arrays, in place of slots"},
    )
    keep: StoredTapes | None = attrs.field(
        default=None,
        validator=optional(in_(("whole", "lean", "states", "bfloat16"))),
        metadata={
            "help": "what stays of a tape: the whole (default), what is slow to compute, the states (to rounding), or "
            "the whole rounded to bfloat16 (not exact)"
        },
    )
    medium: Medium | None = attrs.field(
        default=None, metadata={"help": "where the states go, such as disk:path=/scratch; none: RAM"}
    )

    @property
    def tape_retention(self) -> StoredTapes:
        """What `keep` says."""
        return self.keep or "whole"

    @budget.validator
    def _budget_or_slots(self, _: object, budget: int | None) -> None:
        if budget is not None and self.slots is not None:
            raise ValueError(f"give 'slots' or 'budget', not both: slots={self.slots}, budget={budget}")

    @medium.validator
    def _medium_is_mixed(self, _: object, medium: Medium | None) -> None:
        if medium is not None and self.policy not in (None, "mixed"):
            raise ValueError(f"a 'medium' needs policy=mixed, which is its default: policy={self.policy}")

    @property
    def unknown_length(self) -> bool:
        """Whether policy=online."""
        return self.policy == "online"

    def chunk_for(self, problem: Problem) -> int:
        """Return a shorter chunk than the usual one where that saves much memory, or a budget needs it."""
        if problem.steps is None or problem.chunk is not None:
            return problem.default_chunk
        return worthwhile(self, problem) if self.budget is None else longest_within(self, problem)

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Return the policy's schedule over the chunks of the grid."""
        chunks = grid.chunks
        if chunks is None:  # which the engine offers to no other policy
            return online(None, self._online_slots(costs))
        if self.medium is not None:
            return self._tiered(chunks, costs)
        default: Policy = "uniform" if self.budget is None else "mixed"
        return self._in_ram(self.policy or default, chunks, costs)

    def _in_ram(self, policy: Policy, chunks: int, costs: Costs) -> Schedule:
        match policy:
            case "uniform":
                if self.budget is None:
                    return uniform(chunks, self.slots or -(-chunks // thriftiest(chunks, costs)) - 1)
                return filled(chunks, self._segment(chunks, costs))
            case "revolve":
                if self.budget is None:
                    return revolve(chunks, self.slots or max(1, isqrt(chunks)))
                return revolve(chunks, min(chunks, self._room(costs)))
            case "online":
                return online(chunks, self._online_slots(costs))
            case "mixed":
                return mixed(0, chunks, self._room(costs) or room_of_uniform(chunks, costs), costs.alpha)

    def _tiered(self, chunks: int, costs: Costs) -> Schedule:
        if costs.far:  # RAM as well: tapes of whole segments, as long as there is room for beside the states
            length = self._segment(chunks, attrs.evolve(costs, snapshot=costs.far))
            room = (length - 1) * costs.alpha
        else:
            room = min(self._room(costs) or (SEGMENT - 1) * costs.alpha, (chunks - 1) * costs.alpha)
            length = best_period(chunks, room, costs.alpha)
        return tiered(chunks, length, partial(mixed, room=room, alpha=costs.alpha))

    def _segment(self, chunks: int, costs: Costs) -> int:
        """Return the length of equal segments."""
        if self.slots is not None:
            return -(-chunks // (self.slots + 1))
        thrifty = thriftiest(chunks, costs)
        if self.budget is None:
            return thrifty
        longest = longest_segment(chunks, costs, costs.share(self.budget))
        return longest or self._refuse(segment_bytes(chunks, thrifty, costs), costs)

    def _online_slots(self, costs: Costs) -> int:
        """Return what was asked for; of a budget no more than are worth their placing."""
        return self.slots or (min(ONLINE_MOST, self._room(costs)) if self.budget else ONLINE_SLOTS)

    def _room(self, costs: Costs) -> int:
        """Return for how many states there is room beside one tape; 0 where neither slots nor budget says so."""
        if self.budget is None:
            return self.slots or 0
        room = (costs.share(self.budget) - costs.fixed - costs.tape) // costs.unit
        return room if room > 0 else self._refuse(costs.fixed + costs.tape + costs.unit, costs)

    def _refuse(self, smallest: int, costs: Costs) -> int:
        assert self.budget is not None
        policy = f": policy={self.policy}" if self.policy else ""
        enough = smallest * costs.shards
        raise OptionError(
            f"store 'checkpoint'{policy} does not fit into {human_bytes(self.budget)} at this chunk length; "
            f"the smallest budget that is enough is {human_bytes(enough)} (budget={enough})"
        )

    @classmethod
    def fit(cls, problem: Problem, length: int, budget: int) -> Iterable[Self]:
        """Return mixed checkpoints, with whole tapes and with lean ones, where there is room for them."""
        if problem.steps is None:
            return
        for keep in (None, "lean"):
            store = cls(budget=ByteSize(budget), keep=keep)
            costs = problem.costs(store, length)
            if costs.fixed + costs.tape + costs.snapshot <= costs.share(budget):
                yield store


SEGMENT = 8  # chunks whose tapes are kept with a medium outside of RAM where nothing is said


def segment_bytes(chunks: int, length: int, costs: Costs) -> int:
    """Return the bytes held with segments of `length` chunks: a state for each but the last, the tapes of one."""
    segments = -(-chunks // length)
    return costs.fixed + (segments - 1) * costs.snapshot + length * costs.tape


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


def room_of_uniform(chunks: int, costs: Costs) -> int:
    """Return for how many states there is room, beside one tape, in the bytes that uniform needs at least."""
    held = segment_bytes(chunks, thriftiest(chunks, costs), costs) - costs.fixed - costs.tape
    return max(1, held // costs.unit)


def best_period(chunks: int, room: int, alpha: int) -> int:
    """Return the period with the least work a chunk, its state's way to the medium and back included.

    Herrmann & Pallez (2020): argmin_m (w + r + C(m)) / m. A longer period than the tapes of the room reverse with no
    third run pays only where there is hardly room for a tape, so that few periods need a look.
    """
    runs = runs_of(alpha, room, min(chunks, 3 * (room // alpha + 1)))
    whole = room // alpha + 1
    periods = {min(chunks, whole * n) for n in range(1, 4)}
    return min(sorted(periods), key=lambda period: (TRANSFER + runs.fewest(period, room)) / period)
