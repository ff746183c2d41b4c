"""The buffers of one run of the loop: the ring of tapes, the snapshots, and what both directions work in.

All of them are made before the loop begins, as many as the simulated schedule holds at its peak, and are used again
by the next run. Only a schedule without a bound (full history of a source without end) makes more on the way.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, TypeVar

from rnnframe.arrays import Array
from rnnframe.contracts.medium import SnapshotLayout, Snapshots
from rnnframe.contracts.model import ChunkModel, ChunkTape, Values
from rnnframe.contracts.retention import StoredTapes
from rnnframe.contracts.store import StateStore
from rnnframe.data.staging import Staging
from rnnframe.engine.checked_snapshots import CheckedSnapshots
from rnnframe.engine.plan import STATES, Plan
from rnnframe.engine.ring import Ring
from rnnframe.engine.snapshots import SnapshotSlots
from rnnframe.registry.blame import BlameNote, Describe
from rnnframe.registry.registry import Registry

Model = ChunkModel[Any, Any, Any]
M = TypeVar("M")


class Arena:
    """Memory that snapshots and tapes share: snapshots from its left end, tapes from its right end.

    What the one kind does not need at a time is the other's. Without a bound, or where the model declines shared
    memory, each is made by itself.
    """

    def __init__(self, model: Model, plan: Plan, other: "Arena | None" = None) -> None:
        self._model, self._plan = model, plan
        self.reuses = model.new_arena(0) is not None
        """Whether the model has its buffers used again; one that declines shared memory makes its own each time."""
        self.flat: Array | None = None
        if other is not None:
            self.flat = other.flat
        elif plan.simulation.bounded:
            self.flat = model.new_arena(plan.costs.arena(plan.simulation))
        self.tapes = model.new_tapes(plan.chunk, plan.batch, plan.store.tape_retention)

    def tape(self, place: int) -> ChunkTape:
        """Make the tape that is `place` places from the right end."""
        plan, room = self._plan, self.flat
        if room is not None:
            size = plan.costs.tape // room.itemsize
            room = room[len(room) - (place + 1) * size : len(room) - place * size]
        tape: ChunkTape = self.tapes.make(room)
        return tape

    def snapshot(self, place: int) -> Values:
        """Make the state that is `place` places from the left end."""
        room = self.flat
        if room is not None:
            size = self._plan.costs.snapshot // room.itemsize
            room = room[place * size : (place + 1) * size]
        state: Values = self._model.new_state(self._plan.batch, room)
        return state


class Memory:
    """Everything that one run of the loop writes to, except the parameters.

    Nothing here refers back to it, so that all is freed with the last reference.

    Parameters
    ----------
    model : ChunkModel
        Makes the buffers.
    plan : Plan
        How many, and how large.
    describe : function (kind, class) -> str
        Names the plugin that a medium is from, in errors.
    first : Memory or None
        That of the first stage of a model, whose tapes, snapshots and gradients this one has room and sums in, too.
    state_bytes : int or None
        Of a state of a stage, where the plan has those of the largest one.
    """

    def __init__(
        self,
        model: Model,
        plan: Plan,
        describe: Describe,
        first: "Memory | None" = None,
        state_bytes: int | None = None,
    ) -> None:
        self.plan, self._key, self._first = plan, model.buffers_key, first
        batch, longest = plan.batch, plan.chunk
        self._arena: Arena = Arena(model, plan, None if first is None else first._arena)
        self._state_bytes = plan.costs.snapshot if state_bytes is None else state_bytes
        self.ring = Ring(self._arena.tape, self._arena.tapes.passing, reuses=self._arena.reuses)
        kind = type(plan.store.medium)

        def note(slot: int) -> BlameNote:
            return BlameNote(f"slot {slot}", "medium", kind, describe)

        self.states = SnapshotSlots(self._arena.snapshot, _open_medium(model, plan), note, reuses=self._arena.reuses)
        self.state = model.new_state(batch)
        self.final = model.new_state(batch)
        self.dstate = model.new_state(batch)
        self.scratch = model.new_scratch(longest, batch)
        self.gradients: Any = model.new_gradients() if first is None else first.gradients
        self.staging = Staging()
        self.arriving: Values | None = None
        """The gradient that reaches the state after the last step from outside."""

    def serves(self, model: Model, plan: Plan) -> bool:
        """Whether these buffers are large enough for another plan, and not of another kind."""
        mine, other = self.plan, plan.simulation
        return (
            model.buffers_key == self._key
            and plan.batch == mine.batch
            and plan.store.tape_retention == mine.store.tape_retention
            and plan.store.medium == mine.store.medium
            and plan.chunk <= mine.chunk
            and mine.costs.arena(other) <= mine.costs.arena(mine.simulation)
            and other.far_snapshots <= mine.simulation.far_snapshots
            and other.bounded == mine.simulation.bounded
        )

    def reset(self) -> None:
        """Begin a run from a known state, whatever ended the last one: no tape, no snapshot, no gradient of a state."""
        self.ring.clear()
        self.states.clear()
        self.staging.start()
        self.arriving = None
        self.dstate.zero()

    def start_dstate(self, *, at_end: bool) -> None:
        """Begin a way back that does not go on from the last one, at the end of the sequence or before it."""
        if at_end and self.arriving is not None:
            self.dstate.copy_from(self.arriving)
        else:
            self.dstate.zero()

    @property
    def peak_bytes(self) -> int:
        """Bytes of all tapes, snapshots, states and working arrays that are held."""
        costs, flat = self.plan.costs, self._arena.flat
        states = STATES * self._state_bytes
        arena = self.ring.buffers * costs.tape + self.states.buffers * costs.snapshot if flat is None else flat.nbytes
        if self._first is not None:
            arena = 0
        working: int = self.scratch.nbytes + self._arena.tapes.nbytes
        return arena + self.ring.extra_bytes + self.states.far_bytes + states + working


def _open_medium(model: Model, plan: Plan) -> Snapshots | None:
    medium = plan.store.medium
    if medium is None or not plan.simulation.far_snapshots:
        return None
    slots = plan.simulation.far_snapshots if plan.simulation.bounded else None
    new_state = partial(model.new_state, plan.batch)
    nbytes = new_state().nbytes
    if not nbytes:
        return None
    opened = medium.open(SnapshotLayout(slots=slots, state_bytes=nbytes, new_state=new_state))
    return CheckedSnapshots(medium.name, opened) if medium.exact else opened


def stage_memories(parts: Sequence[Model], plans: Sequence[Plan], describe: Describe) -> list[list[Memory]]:
    """Return the buffers of every shard for each stage of a model, or for the only one.

    Models that have something to make ready before such a run do it first.
    """
    for part in parts:
        for batch in {plan.batch for plan in plans}:
            prepared(part, batch, plans[0].store.tape_retention)
    if len(parts) == 1:
        return [[Memory(parts[0], plan, describe) for plan in plans]]
    made: list[list[Memory]] = []
    for part in parts:
        firsts = made[0] if made else [None] * len(plans)
        sizes = [part.chunk_bytes(plan.chunk, plan.batch, plan.store.tape_retention).state for plan in plans]
        shards = zip(plans, firsts, sizes, strict=True)
        made.append([Memory(part, plan, describe, first, size) for plan, first, size in shards])
    return made


def prepared(model: M, samples: int | None, retention: StoredTapes) -> M:
    """Return a model that is made ready for gradients of so many samples (None: many), where that takes something."""
    prepare = getattr(model, "prepare_run", None)
    if prepare is not None:
        prepare(samples, retention)
    return model


def prepared_for(model: M, store: StateStore, registry: Registry) -> M:
    """Return a model that is made ready for gradients of many samples with a store; its errors name its plugin."""
    with registry.blame("store", type(store)):
        retention = store.tape_retention
    return prepared(model, None, retention)
