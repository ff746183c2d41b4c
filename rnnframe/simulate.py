"""Run a schedule without a network: prove it valid and count what it will hold and do.

The simulator is the judge of every store. It follows the schedule action by action, with chunk numbers in place of
arrays, and raises `ScheduleError` at the first action that could not be executed exactly.
"""

from collections import deque

import attrs

from rnnframe.errors import ScheduleError
from rnnframe.schedule import Action, Drop, Forget, Forward, Grid, Load, Reverse, Save, Schedule, Update

SETTLED_AFTER = 64  # actions; an endless schedule is followed until its peaks have not risen for longer than that
GIVE_UP_AFTER = 200_000  # actions


@attrs.frozen(kw_only=True)
class Simulation:
    """What a schedule holds at most and what it does in all.

    `tapes` counts chunk tapes at once, the passing one of a `Forward` without `keep` included; `snapshots` saved
    states; `versions` old weights kept for tapes made with them. `bounded` is false where an endless schedule keeps
    ever more, so that no peak can be given.
    """

    tapes: int
    snapshots: int
    versions: int
    forward_chunks: int
    forward_steps: int
    reverse_chunks: int
    reverse_steps: int
    updates: int
    actions: int
    bounded: bool = True


@attrs.define
class _Judge:
    """The state of a simulated run. Tapes hold (chunk, version of the weights that made it)."""

    grid: Grid
    stored_weights: bool
    position: int = 0  # the chunk that the current state precedes
    tapes: deque[tuple[int, int]] = attrs.field(factory=deque)
    slots: dict[int, int] = attrs.field(factory=dict)
    version: int = 0
    counted: list[tuple[int, int]] = attrs.field(factory=list)  # chunks whose losses are in, as disjoint ranges
    peaks: dict[str, int] = attrs.field(factory=lambda: {"tapes": 0, "snapshots": 0, "versions": 0})
    totals: dict[str, int] = attrs.field(
        factory=lambda: dict.fromkeys(
            ("forward_chunks", "forward_steps", "reverse_chunks", "reverse_steps", "updates", "actions"), 0
        )
    )
    last_rise: int = 0

    def take(self, action: Action) -> int | None:
        """Apply one action and return the executor's answer to it."""
        self.totals["actions"] += 1
        match action:
            case Forward():
                return self._forward(action)
            case Reverse():
                self._reverse(action)
            case Forget(before):
                while self.tapes and self.tapes[0][0] < before:
                    self.tapes.popleft()
            case Save(slot):
                if slot in self.slots:
                    raise self.fault(action, f"slot {slot} still holds the state before chunk {self.slots[slot]}")
                self.slots[slot] = self.position
                self._peak("snapshots", len(self.slots))
            case Load(slot):
                if slot not in self.slots:
                    raise self.fault(action, f"slot {slot} holds nothing")
                self.position = self.slots[slot]
            case Drop(slot):
                if self.slots.pop(slot, None) is None:
                    raise self.fault(action, f"slot {slot} holds nothing")
            case Update():
                self.totals["updates"] += 1
                if self.stored_weights:
                    self.version += 1
                    self._peak("versions", len({version for _, version in self.tapes}))
            case _:
                raise ScheduleError(f"a schedule yields actions (Forward, Reverse, ...), not {action!r}")
        return None

    def _forward(self, action: Forward) -> int:
        if action.start != self.position:
            raise self.fault(action, f"the current state precedes chunk {self.position}")
        stop = self.grid.chunks if action.stop is None else action.stop
        if stop is None:
            raise _UnboundedError(keep=action.keep)
        if stop < action.start or (self.grid.chunks is not None and stop > self.grid.chunks):
            raise self.fault(action, f"the sequence has {self.grid.chunks} chunks")
        if stop == action.start:
            return stop
        if action.keep:
            if self.tapes and self.tapes[-1][0] >= action.start:
                raise self.fault(action, f"the ring already holds the tape of chunk {self.tapes[-1][0]}")
            self.tapes.extend((chunk, self.version) for chunk in range(action.start, stop))
        self._peak("tapes", len(self.tapes) + (not action.keep))
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
            if not self.tapes or kept < 0 or self.tapes[kept if action.keep else -1][0] != chunk:
                raise self.fault(action, f"the tape of chunk {chunk} is not the next in the ring")
            if not action.keep:
                self.tapes.pop()
        self._count_losses(action)
        self.totals["reverse_chunks"] += action.stop - action.start
        self.totals["reverse_steps"] += self.grid.steps_between(action.start, action.stop)

    def _count_losses(self, action: Reverse) -> None:
        """Add the chunks whose losses this sweep injects; adjoining ranges become one, so there are few of them."""
        start, stop = max(action.losses_from, action.start), action.stop
        if start >= stop:
            return
        apart = []
        for first, last in self.counted:
            if first < stop and start < last:
                raise self.fault(action, f"the losses of chunks [{max(first, start)}, {min(last, stop)}) count twice")
            if last == start:
                start = first
            elif first == stop:
                stop = last
            else:
                apart.append((first, last))
        self.counted = sorted([*apart, (start, stop)])

    def _peak(self, what: str, now: int) -> None:
        if now > self.peaks[what]:
            self.peaks[what] = now
            self.last_rise = self.totals["actions"]

    def finish(self) -> None:
        """Check that nothing is left over and nothing was left out."""
        if self.tapes or self.slots:
            raise ScheduleError(
                f"the schedule ends with {len(self.tapes)} tapes in the ring and slots {sorted(self.slots)} in use"
            )
        chunks = self.grid.chunks
        if chunks and self.counted != [(0, chunks)]:
            raise ScheduleError(f"the schedule counts the losses of chunks {self.counted}, not of all {chunks}")

    def result(self, *, bounded: bool) -> Simulation:
        return Simulation(**self.peaks, **self.totals, bounded=bounded)

    def fault(self, action: Action, reason: str) -> ScheduleError:
        return ScheduleError(f"action {self.totals['actions']} of the schedule, {action}: {reason}")


@attrs.define
class _UnboundedError(Exception):
    keep: bool


def simulate(schedule: Schedule, grid: Grid, *, stored_weights: bool = False) -> Simulation:
    """Follow `schedule` over `grid` to its end and return its peaks and totals.

    Raises `ScheduleError` where an action cannot be executed, a loss is counted twice or never, or anything is left
    over. A schedule over a grid without end is followed until its peaks have settled.
    """
    judge = _Judge(grid, stored_weights)
    endless = grid.steps is None
    try:
        action = next(schedule, None)
        while action is not None:
            answer = judge.take(action)
            settled = judge.totals["actions"] > 2 * judge.last_rise + SETTLED_AFTER
            if endless and (settled or judge.totals["actions"] > GIVE_UP_AFTER):
                return judge.result(bounded=settled)
            action = _following(schedule, answer)
    except _UnboundedError as forward:
        return judge.result(bounded=not forward.keep)
    finally:
        schedule.close()
    judge.finish()
    return judge.result(bounded=True)


def _following(schedule: Schedule, answer: int | None) -> Action | None:
    try:
        return schedule.send(answer)
    except StopIteration:
        return None
