"""The buffers of one run of the loop: the ring of chunk tapes, the snapshots, and what both directions work in.

All of them are made before the loop begins, as many as the simulated schedule holds at its peak, and are used again
by the next run. Only a schedule without a bound (full history of a source without end) makes more on the way.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import attrs

from rnnframe.arrays import Vector
from rnnframe.buffers import Tape, Weights
from rnnframe.network import Network
from rnnframe.plan import Plan
from rnnframe.sources import Block


@attrs.define
class Entry:
    """A chunk in the ring: its number, its tape, the weights that made it, and its data where they wait with it."""

    chunk: int
    block: Block | None
    tape: Tape
    weights: Weights


class Ring:
    """The tapes of the chunks that wait to be reversed, ordered by chunk.

    Tapes are made at the right; they are released at the right (exact strategies) or at the left (windows).
    """

    def __init__(self, make: Callable[[], Tape], capacity: int) -> None:
        self._make = make
        self._free = [make() for _ in range(capacity)]
        self._entries: deque[Entry] = deque()
        self.capacity = capacity

    def spare(self) -> Tape:
        """Return a tape that is free for the moment: what is written there is overwritten by the next chunk."""
        if not self._free:
            self._free.append(self._make())
            self.capacity += 1
        return self._free[-1]

    def push(self, chunk: int, block: Block | None, weights: Weights) -> Tape:
        """Take a tape for `chunk` at the right end of the ring."""
        tape = self.spare()
        self._free.pop()
        self._entries.append(Entry(chunk, block, tape, weights))
        return tape

    def from_right(self, place: int) -> Entry:
        """Return the entry `place` places from the right end, where the newest is at 0."""
        return self._entries[-1 - place]

    def pop(self) -> None:
        """Release the newest tape."""
        self._free.append(self._entries.pop().tape)

    def forget(self, before: int) -> None:
        """Release the tapes of all chunks before `before`."""
        while self._entries and self._entries[0].chunk < before:
            self._free.append(self._entries.popleft().tape)

    def clear(self) -> None:
        """Release every tape, as before a run that follows a failed one."""
        while self._entries:
            self.pop()

    def entries_made_with(self, weights: Weights) -> list[Entry]:
        """Return the entries whose tape was made with exactly these weights."""
        return [entry for entry in self._entries if entry.weights is weights]


@attrs.frozen(kw_only=True)
class SnapshotLayout:
    """What a medium must hold: at most `slots` states (None: no bound known), each as made by `new_state`."""

    slots: int | None
    new_state: Callable[[], Vector]


class Medium(Protocol):
    """Where snapshots live. Slots are numbers of the schedule's choice; `nbytes` is what they hold in RAM."""

    @property
    def nbytes(self) -> int:
        """Bytes of RAM held."""
        ...

    def save(self, slot: int, state: Vector) -> None:
        """Keep a copy of the state."""
        ...

    def load(self, slot: int, state: Vector) -> None:
        """Overwrite `state` with the copy in `slot`."""
        ...

    def drop(self, slot: int) -> None:
        """Free the slot."""
        ...

    def clear(self) -> None:
        """Free every slot."""
        ...


class Ram:
    """Snapshots in memory, in buffers that are made once."""

    def __init__(self, layout: SnapshotLayout) -> None:
        self._make = layout.new_state
        self._free = [layout.new_state() for _ in range(layout.slots or 0)]
        self._held: dict[int, Vector] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of all buffers, used or not."""
        return sum(state.nbytes for state in (*self._free, *self._held.values()))

    def save(self, slot: int, state: Vector) -> None:
        """Copy the state into a free buffer."""
        buffer = self._free.pop() if self._free else self._make()
        buffer.copy_from(state)
        self._held[slot] = buffer

    def load(self, slot: int, state: Vector) -> None:
        """Copy the buffer of `slot` into the state."""
        state.copy_from(self._held[slot])

    def drop(self, slot: int) -> None:
        """Give the slot's buffer back."""
        self._free.append(self._held.pop(slot))

    def clear(self) -> None:
        """Give all buffers back."""
        for slot in list(self._held):
            self.drop(slot)


class Memory:
    """Everything that one run of the loop writes to, but for the parameters."""

    def __init__(self, network: Network, plan: Plan) -> None:
        self.plan = plan
        batch, longest, simulation = plan.batch, plan.grid.longest, plan.simulation
        self.ring = Ring(lambda: network.new_tape(longest, batch), simulation.tapes if simulation.bounded else 0)
        slots = simulation.snapshots if simulation.bounded else None
        self.medium = plan.store.medium(SnapshotLayout(slots=slots, new_state=lambda: network.new_state(batch)))
        self.state = network.new_state(batch)
        self.final = network.new_state(batch)
        self.dstate = network.new_state(batch)
        self.scratch = network.new_scratch(longest, batch)
        self.gradients = network.new_gradients()

    def serves(self, plan: Plan) -> bool:
        """Whether these buffers are large enough for another plan, and not of another kind."""
        mine, other = self.plan.simulation, plan.simulation
        return (
            plan.batch == self.plan.batch
            and plan.grid.longest <= self.plan.grid.longest
            and other.tapes <= mine.tapes
            and other.snapshots <= mine.snapshots
            and other.bounded == mine.bounded
        )

    def reset(self) -> None:
        """Begin a run: no tape, no snapshot, no gradient."""
        self.ring.clear()
        self.medium.clear()
        self.dstate.flat.fill(0)
        self.gradients.flat.fill(0)

    @property
    def peak_bytes(self) -> int:
        """Bytes of all tapes, snapshots, states and working arrays that are held."""
        states = self.state.nbytes + self.final.nbytes + self.dstate.nbytes
        return self.ring.capacity * self.plan.costs.tape + self.medium.nbytes + states + self.scratch.nbytes


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
