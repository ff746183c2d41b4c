"""The judge of schedules: applies actions one by one, with chunk numbers in place of arrays, and refuses wrong ones."""

from collections import deque
from collections.abc import Sequence

import attrs

from rnnframe.errors import ScheduleError
from rnnframe.schedules.actions import Action, Drop, Forget, Forward, Load, Reverse, Save, Update
from rnnframe.schedules.grid import Grid
from rnnframe.schedules.slots import SlotAllocator

TOTALS = (
    "forward_chunks",
    "forward_steps",
    "reverse_chunks",
    "reverse_steps",
    "updates",
    "actions",
    "far_saves",
    "far_loads",
)
"""What is counted over a whole schedule."""


@attrs.define
class UnboundedError(Exception):
    """A `Forward` without end was met; `keep` tells whether it keeps tapes, more and more of them."""

    keep: bool


@attrs.frozen
class _Tape:
    """A tape in the ring: its chunk, the version of its weights, and its buffer."""

    chunk: int
    version: int
    place: int


@attrs.frozen
class _Slot:
    """A snapshot: the chunk after its state, and its buffer; None if it is in the medium."""

    chunk: int
    place: int | None


@attrs.define
class Judge:
    """The state of a simulated run."""

    grid: Grid
    stored_weights: bool
    position: int = 0  # the chunk that the current state precedes
    tapes: deque[_Tape] = attrs.field(factory=deque)
    slots: dict[int, _Slot] = attrs.field(factory=dict)
    tape_places: SlotAllocator = attrs.field(factory=SlotAllocator)
    slot_places: SlotAllocator = attrs.field(factory=SlotAllocator)
    far: int = 0
    version: int = 0
    counted: list[tuple[int, int]] = attrs.field(factory=list)  # chunks whose losses are in, as disjoint ranges
    peaks: dict[str, int] = attrs.field(factory=lambda: {"far_snapshots": 0, "versions": 0})
    most_tapes: dict[int, int] = attrs.field(factory=dict)  # by the number of snapshots beside them
    totals: dict[str, int] = attrs.field(factory=lambda: dict.fromkeys(TOTALS, 0))
    last_rise: int = 0
    beside: Sequence[int] = ()  # bytes of each chunk that its tape has no room for
    most_beside: dict[int, int] = attrs.field(factory=dict)  # the most of them, by the tape's buffer

    @property
    def losses(self) -> int:
        """The number of chunks whose losses are in."""
        return sum(stop - start for start, stop in self.counted)

    def take(self, action: Action) -> int | None:
        """Apply one action and return the answer to it."""
        self.totals["actions"] += 1
        match action:
            case Forward():
                return self._forward(action)
            case Reverse():
                self._reverse(action)
            case Forget(before):
                while self.tapes and self.tapes[0].chunk < before:
                    self.tape_places.give(self.tapes.popleft().place)
            case Save(slot, far=far):
                if slot in self.slots:
                    raise self.fault(action, f"slot {slot} still holds the state before chunk {self.slots[slot].chunk}")
                self._save(slot, far)
            case Load(None):
                if not self.tapes:
                    raise self.fault(action, "there is no tape in the ring")
                self.position = self.tapes[-1].chunk + 1
            case Load(slot):
                if slot not in self.slots:
                    raise self.fault(action, f"slot {slot} holds nothing")
                self.position = self.slots[slot].chunk
                self.totals["far_loads"] += self.slots[slot].place is None
            case Drop(slot):
                if slot not in self.slots:
                    raise self.fault(action, f"slot {slot} holds nothing")
                self._drop(slot)
            case Update():
                self.totals["updates"] += 1
                if self.stored_weights:
                    self.version += 1
                    self._peak("versions", len({tape.version for tape in self.tapes}))
            case _:
                raise ScheduleError(f"a schedule yields actions (Forward, Reverse, ...), not {action!r}")
        return None

    def _forward(self, action: Forward) -> int:
        if action.start != self.position:
            raise self.fault(action, f"the current state precedes chunk {self.position}")
        stop = self.grid.chunks if action.stop is None else action.stop
        if stop is None:
            raise UnboundedError(keep=action.keep)
        if stop < action.start or (self.grid.chunks is not None and stop > self.grid.chunks):
            raise self.fault(action, f"the sequence has {self.grid.chunks} chunks")
        if stop == action.start:
            return stop
        if action.keep:
            if self.tapes and self.tapes[-1].chunk >= action.start:
                raise self.fault(action, f"the ring already holds the tape of chunk {self.tapes[-1].chunk}")
            for chunk in range(action.start, stop):
                self.tapes.append(_Tape(chunk, self.version, self.tape_places.take()))
                self._count_beside(self.tapes[-1].place, chunk, chunk + 1)
            self._count_buffers(self.tape_places.extent)
        else:
            self._count_buffers(max(self.tape_places.extent, self.tape_places.next() + 1))
            self._count_beside(self.tape_places.next(), action.start, stop)
        self.position = stop
        self.totals["forward_chunks"] += stop - action.start
        self.totals["forward_steps"] += self.grid.steps_between(action.start, stop)
        return stop

    def _reverse(self, action: Reverse) -> None:
        if not action.start < action.stop:
            raise self.fault(action, "the range is empty")
        kept = len(self.tapes)
        for chunk in range(action.stop - 1, action.start - 1, -1):
            if action.keep:
                kept -= 1
            if not self.tapes or kept < 0 or self.tapes[kept if action.keep else -1].chunk != chunk:
                raise self.fault(action, f"the tape of chunk {chunk} is not the next in the ring")
            if not action.keep:
                self.tape_places.give(self.tapes.pop().place)
        self._count_losses(action)
        self.totals["reverse_chunks"] += action.stop - action.start
        self.totals["reverse_steps"] += self.grid.steps_between(action.start, action.stop)

    def _save(self, slot: int, far: bool) -> None:
        if far:
            self.slots[slot] = _Slot(self.position, None)
            self.far += 1
            self.totals["far_saves"] += 1
            self._peak("far_snapshots", self.far)
        else:
            self.slots[slot] = _Slot(self.position, self.slot_places.take())
            self._count_buffers(self.tape_places.extent)

    def _drop(self, slot: int) -> None:
        place = self.slots.pop(slot).place
        if place is None:
            self.far -= 1
        else:
            self.slot_places.give(place)

    def _count_losses(self, action: Reverse) -> None:
        """Add the chunks whose losses this sweep counts; adjoining ranges are joined, so there are few of them."""
        start, stop = max(action.losses_from, action.start), action.stop
        if start >= stop:
            return
        separate = []
        for first, last in self.counted:
            if first < stop and start < last:
                raise self.fault(action, f"the losses of chunks [{max(first, start)}, {min(last, stop)}) count twice")
            if last == start:
                start = first
            elif first == stop:
                stop = last
            else:
                separate.append((first, last))
        self.counted = sorted([*separate, (start, stop)])

    def _peak(self, what: str, now: int) -> None:
        if now > self.peaks[what]:
            self.peaks[what] = now
            self.last_rise = self.totals["actions"]

    def _count_buffers(self, tapes: int) -> None:
        """Record the number of tapes beside the current number of snapshots."""
        snapshots = self.slot_places.extent
        if tapes > self.most_tapes.get(snapshots, -1):
            self.most_tapes[snapshots] = tapes
            self.last_rise = self.totals["actions"]

    def _count_beside(self, place: int, start: int, stop: int) -> None:
        """Record what the chunks [start, stop) take beside the buffer of a tape, which keeps it."""
        most = max(self.beside[start:stop], default=0)
        if most > self.most_beside.get(place, 0):
            self.most_beside[place] = most

    def finish(self) -> None:
        """Check that nothing is left over and that every loss was counted."""
        if self.tapes or self.slots:
            raise ScheduleError(
                f"the schedule ends with {len(self.tapes)} tapes in the ring and slots {sorted(self.slots)} in use"
            )
        chunks = self.grid.chunks
        if chunks and self.counted != [(0, chunks)]:
            raise ScheduleError(f"the schedule counts the losses of chunks {self.counted}, not of all {chunks}")

    def peak_pairs(self) -> tuple[tuple[int, int], ...]:
        """Return the pairs of tapes and snapshots held at once that no other pair exceeds in both."""
        peaks: list[tuple[int, int]] = []
        for snapshots, tapes in sorted(self.most_tapes.items(), reverse=True):
            if not peaks or tapes > peaks[-1][0]:
                peaks.append((tapes, snapshots))
        return tuple(peaks)

    def fault(self, action: Action, reason: str) -> ScheduleError:
        """Return the error of an action that cannot be executed."""
        return ScheduleError(f"action {self.totals['actions']} of the schedule, {action}: {reason}")
