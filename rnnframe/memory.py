"""The buffers of one run of the loop: the ring of chunk tapes, the snapshots, and what both directions work in.

All of them are made before the loop begins, as many as the simulated schedule holds at its peak, and are used again
by the next run. Only a schedule without a bound (full history of a source without end) makes more on the way.
"""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs

from rnnframe.arrays import Array, Vector
from rnnframe.buffers import Weights
from rnnframe.copies import Copies
from rnnframe.media import SnapshotLayout, Snapshots
from rnnframe.network import Network
from rnnframe.pieces import Block
from rnnframe.places import Places
from rnnframe.plan import Plan
from rnnframe.registry import Naming
from rnnframe.tapes import Tape


@attrs.define
class Entry:
    """A chunk in the ring: what waits of its block, its tape and where that is, the weights that made it."""

    chunk: int
    block: Block
    place: int
    tape: Tape
    weights: Weights


class Ring:
    """The tapes of the chunks that wait to be reversed, ordered by chunk, in buffers that `make(place)` makes.

    Tapes are made at the right; they are released at the right (exact strategies) or at the left (windows).
    """

    def __init__(self, make: Callable[[int], Tape]) -> None:
        self._make = make
        self._tapes: list[Tape] = []
        self._places = Places()
        self._entries: deque[Entry] = deque()

    @property
    def buffers(self) -> int:
        """The number of tapes that were ever made."""
        return len(self._tapes)

    @property
    def nbytes_beyond(self) -> int:
        """Bytes that tapes took beside their buffers."""
        return sum(tape.nbytes_beyond for tape in self._tapes)

    def spare(self) -> Tape:
        """Return a tape that is free for the moment: what is written there is overwritten by the next chunk."""
        return self._tape(self._places.next())

    def push(self, chunk: int, block: Block, weights: Weights) -> Tape:
        """Take a tape for `chunk` at the right end of the ring."""
        place = self._places.take()
        self._entries.append(Entry(chunk, block, place, self._tape(place), weights))
        return self._entries[-1].tape

    def from_right(self, place: int) -> Entry:
        """Return the entry `place` places from the right end, where the newest is at 0."""
        return self._entries[-1 - place]

    def pop(self) -> None:
        """Release the newest tape."""
        self._places.give(self._entries.pop().place)

    def forget(self, before: int) -> list[int]:
        """Release the tapes of all chunks before `before`, and return these chunks."""
        forgotten = []
        while self._entries and self._entries[0].chunk < before:
            entry = self._entries.popleft()
            self._places.give(entry.place)
            forgotten.append(entry.chunk)
        return forgotten

    def clear(self) -> None:
        """Release every tape, as before a run that follows a failed one."""
        while self._entries:
            self.pop()

    def entries_made_with(self, weights: Weights) -> list[Entry]:
        """Return the entries whose tape was made with exactly these weights."""
        return [entry for entry in self._entries if entry.weights is weights]

    def _tape(self, place: int) -> Tape:
        while len(self._tapes) <= place:
            self._tapes.append(self._make(len(self._tapes)))
        return self._tapes[place]


class States:
    """The snapshots of a run: those in RAM in buffers that `make(place)` makes, the others in a medium."""

    def __init__(self, make: Callable[[int], Array], medium: Snapshots | None, kind: type[Any]) -> None:
        self._make, self._medium, self._kind = make, medium, kind
        self._states: list[Array] = []  # the flat vectors: a view by name is not needed
        self._places = Places()
        self._near: dict[int, int] = {}  # slot -> place

    @property
    def far_bytes(self) -> int:
        """Bytes of RAM that the medium holds."""
        return 0 if self._medium is None else self._medium.nbytes

    def save(self, slot: int, state: Vector, far: bool) -> None:
        """Copy the state."""
        if far:
            assert self._medium is not None  # the plan has seen to that
            with Naming(f"slot {slot}", "medium", self._kind):
                self._medium.save(slot, state)
            return
        place = self._places.take()
        while len(self._states) <= place:
            self._states.append(self._make(len(self._states)))
        self._states[place][: state.flat.size] = state.flat
        self._near[slot] = place

    def load(self, slot: int, state: Vector) -> None:
        """Copy what `slot` holds into the state."""
        if slot in self._near:
            state.flat[:] = self._states[self._near[slot]][: state.flat.size]
        elif self._medium is not None:
            with Naming(f"slot {slot}", "medium", self._kind):
                self._medium.load(slot, state)

    def drop(self, slot: int) -> None:
        """Free the slot."""
        if slot in self._near:
            self._places.give(self._near.pop(slot))
        elif self._medium is not None:
            with Naming(f"slot {slot}", "medium", self._kind):
                self._medium.drop(slot)

    def clear(self) -> None:
        """Free every slot."""
        for slot in list(self._near):
            self.drop(slot)
        if self._medium is not None:
            self._medium.clear()


class Room:
    """Memory that snapshots and tapes share: snapshots from its left end, tapes from its right end.

    What the one kind does not need at a time is the other's. Without a bound each is made by itself.
    """

    def __init__(self, network: Network, plan: Plan) -> None:
        self._network, self._plan = network, plan
        self.flat = network.new_room(plan.costs.arena(plan.simulation)) if plan.simulation.bounded else None
        self.working = network.new_working(plan.chunk, plan.batch, plan.store.tapes)

    def tape(self, place: int) -> Tape:
        """Make the tape that is `place` places from the right end."""
        plan, room = self._plan, self.flat
        if room is not None:
            size = plan.costs.tape // room.itemsize
            room = room[len(room) - (place + 1) * size : len(room) - place * size]
        return self._network.new_tape(plan.chunk, plan.batch, plan.store.tapes, room, self.working)

    def snapshot(self, place: int) -> Array:
        """Make room for the values of a state, `place` places from the left end."""
        size = self._plan.costs.snapshot // self._network.dtype.itemsize
        if self.flat is None:
            return self._network.new_room(self._plan.costs.snapshot)
        return self.flat[place * size : (place + 1) * size]


class Memory:
    """Everything that one run of the loop writes to, but for the parameters.

    Nothing here refers back to it, so that all is freed as soon as it is let go of.
    """

    def __init__(self, network: Network, plan: Plan) -> None:
        self.plan = plan
        batch, longest = plan.batch, plan.chunk
        self._room = Room(network, plan)
        self.ring = Ring(self._room.tape)
        self.states = States(self._room.snapshot, _open_medium(network, plan), type(plan.store.medium))
        self.state = network.new_state(batch)
        self.final = network.new_state(batch)
        self.dstate = network.new_state(batch)
        self.scratch = network.new_scratch(longest, batch)
        self.gradients = network.new_gradients()
        self.copies = Copies()

    def serves(self, plan: Plan) -> bool:
        """Whether these buffers are large enough for another plan, and not of another kind."""
        mine, other = self.plan, plan.simulation
        return (
            plan.batch == mine.batch
            and plan.store.tapes == mine.store.tapes
            and plan.store.medium == mine.store.medium
            and plan.chunk <= mine.chunk
            and mine.costs.arena(other) <= mine.costs.arena(mine.simulation)
            and other.far_snapshots <= mine.simulation.far_snapshots
            and other.bounded == mine.simulation.bounded
        )

    def reset(self) -> None:
        """Begin a run: no tape, no snapshot, no gradient."""
        self.ring.clear()
        self.states.clear()
        self.dstate.flat.fill(0)
        self.gradients.flat.fill(0)

    @property
    def peak_bytes(self) -> int:
        """Bytes of all tapes, snapshots, states and working arrays that are held."""
        states = 3 * self.plan.costs.snapshot  # state, final and dstate
        flat = self._room.flat
        room = self.ring.buffers * self.plan.costs.tape if flat is None else flat.nbytes
        room += self.ring.nbytes_beyond
        return room + self.states.far_bytes + states + self.scratch.nbytes + self._room.working.nbytes


def _open_medium(network: Network, plan: Plan) -> Snapshots | None:
    medium = plan.store.medium
    if medium is None or not plan.simulation.far_snapshots:
        return None
    slots = plan.simulation.far_snapshots if plan.simulation.bounded else None
    new_state = partial(network.new_state, plan.batch)
    return medium.open(SnapshotLayout(slots=slots, state_bytes=new_state().nbytes, new_state=new_state))


class OldWeights:
    """Versions of the weights that live exactly as long as a tape in a ring was made with them."""

    def __init__(self, network: Network) -> None:
        self._make = network.new_weights
        self._versions: list[Weights] = []
        self.most = 0

    def keep(self, current: Weights, rings: list[Ring]) -> None:
        """Give the tapes made with the `current` weights a copy of them, as these are about to change."""
        entries = [entry for ring in rings for entry in ring.entries_made_with(current)]
        if not entries:
            return
        used = [version for version in self._versions if any(ring.entries_made_with(version) for ring in rings)]
        free = [version for version in self._versions if version not in used]
        if not free:
            free.append(self._make())
            self._versions += free
        free[0].copy_from(current)
        for entry in entries:
            entry.weights = free[0]
        self.most = max(self.most, len(used) + 1)

    @property
    def peak_bytes(self) -> int:
        """Bytes of the versions that were alive at once in the last run."""
        return self.most * self._versions[0].nbytes if self.most else 0
