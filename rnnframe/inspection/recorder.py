"""What a schedule did, as events: runs of steps, bars of what was held, and every change of what is held."""

from collections import deque
from collections.abc import Iterator
from typing import Literal, TypeAlias

import attrs

from rnnframe.schedules.actions import Drop, Forget, Forward, Load, Reverse, Save, Schedule, Update
from rnnframe.schedules.grid import Grid


@attrs.frozen
class Run:
    """A sweep over consecutive steps.

    Parameters
    ----------
    kind
        "forward" keeps no tape, "taping" keeps the tape of every chunk, and "reverse" runs down (`last` < `first`).
    begun, ended
        The work done before and after the sweep, in forward steps.
    first, last
        The steps at which it begins and ends.
    """

    kind: Literal["forward", "taping", "reverse"]
    begun: float
    ended: float
    first: int
    last: int


@attrs.frozen
class Bar:
    """A tape or a snapshot, from when it was made to when it was released.

    Parameters
    ----------
    kind
        A "tape"; a "snapshot" in RAM; or a "far" snapshot, in the store's medium.
    made, released
        The work done at these moments, in forward steps. A tape is made when its chunk begins to run.
    start, stop
        The steps [start, stop) of a tape; the step of the state of a snapshot is `start`.
    """

    kind: Literal["tape", "snapshot", "far"]
    made: float
    released: float
    start: int
    stop: int


@attrs.frozen
class Held:
    """The number of buffers in use from one moment on.

    Parameters
    ----------
    at
        The work done at that moment, in forward steps.
    tapes
        Tapes of chunks, including a temporary one.
    snapshots, far
        Snapshots in RAM and in the store's medium.
    versions
        Old versions of the weights.
    """

    at: float
    tapes: int
    snapshots: int
    far: int
    versions: int


Event: TypeAlias = Run | Bar | Held


@attrs.define
class Recorder:
    """Follows a schedule that the simulator has accepted."""

    grid: Grid
    reverse_work: float
    stored_weights: bool
    work: float = 0.0
    position: int = 0  # the chunk that the current state precedes
    tapes: deque[tuple[int, float, int]] = attrs.field(factory=deque)  # chunk, when made, version of the weights
    slots: dict[int, tuple[int, float, bool]] = attrs.field(factory=dict)  # chunk, when made, whether it is far
    far: int = 0
    version: int = 0
    versions: int = 0
    said: tuple[int, int, int, int] | None = None

    def follow(self, schedule: Schedule) -> Iterator[Event]:
        """Yield the events of a schedule as they happen."""
        try:
            action = next(schedule, None)
            while action is not None:
                reached: int | None = None
                match action:
                    case Forward(start, stop, keep=keep):
                        reached = self.grid.chunks if stop is None else stop
                        assert reached is not None  # the grid has an end
                        yield from self._forward(start, reached) if not keep else self._taping(start, reached)
                        self.position = reached
                    case Reverse(stop, start, keep=keep):
                        yield from self._reverse(stop, start, keep)
                    case Forget(before):
                        while self.tapes and self.tapes[0][0] < before:
                            yield self._tape_bar(*self.tapes.popleft())
                    case Save(slot, far=far):
                        self.slots[slot] = self.position, self.work, far
                        self.far += far
                    case Load(slot):
                        self.position = self.tapes[-1][0] + 1 if slot is None else self.slots[slot][0]
                    case Drop(slot):
                        yield self._drop(slot)
                    case Update():
                        self.version += self.stored_weights
                yield from self._held()
                try:
                    action = schedule.send(reached)
                except StopIteration:
                    action = None
        finally:
            schedule.close()

    def _forward(self, start: int, stop: int) -> Iterator[Event]:
        if start == stop:
            return
        yield from self._held(passing=1)
        yield self._run("forward", start, stop)

    def _taping(self, start: int, stop: int) -> Iterator[Event]:
        before = self.work
        for chunk in range(start, stop):
            self.work = before + self.grid.steps_between(start, chunk)
            self.tapes.append((chunk, self.work, self.version))
            yield from self._held()
        self.work = before
        if start < stop:
            yield self._run("taping", start, stop)

    def _reverse(self, stop: int, start: int, keep: bool) -> Iterator[Event]:
        before = self.work
        if not keep:
            for chunk in range(stop - 1, start - 1, -1):
                self.work = before + self.reverse_work * self.grid.steps_between(chunk, stop)
                yield self._tape_bar(*self.tapes.pop())
                yield from self._held()
        self.work = before
        yield self._run("reverse", stop, start)

    def _run(self, kind: Literal["forward", "taping", "reverse"], start: int, stop: int) -> Run:
        """Add the work of a run; chunks are given as the steps at which they begin."""
        begun, first, last = self.work, self.grid.span(start)[0], self.grid.span(stop)[0]
        self.work += last - first if last > first else self.reverse_work * (first - last)
        return Run(kind, begun, self.work, first, last)

    def _tape_bar(self, chunk: int, made: float, _: int) -> Bar:
        return Bar("tape", made, self.work, *self.grid.span(chunk))

    def _drop(self, slot: int) -> Bar:
        chunk, made, far = self.slots.pop(slot)
        self.far -= far
        step = self.grid.span(chunk)[0]
        return Bar("far" if far else "snapshot", made, self.work, step, step)

    def _held(self, passing: int = 0) -> Iterator[Held]:
        """Yield what is held now, if it differs from the last record."""
        if self.stored_weights:
            self.versions = len({version for _, _, version in self.tapes} - {self.version})
        now = len(self.tapes) + passing, len(self.slots) - self.far, self.far, self.versions
        if now != self.said:
            self.said = now
            yield Held(self.work, *now)
