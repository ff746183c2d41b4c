"""A schedule as a film: its moments, chunk by chunk, with what is made and released and the line of code behind it.

The simulator's judge applies every action, so a film holds what the simulator counts. No network, no drawing.
"""

import inspect
from collections.abc import Iterator
from types import CodeType, GeneratorType
from typing import Literal, TypeAlias, cast

import attrs

from rnnframe.engine.plan import Plan
from rnnframe.errors import OptionError
from rnnframe.schedules.actions import Action, Drop, Forget, Forward, Load, Reverse, Save, Schedule
from rnnframe.schedules.judge import Judge

MOST_MOMENTS = 4000
"""Beyond, nobody looks, and a page grows past what a browser draws at once."""

MomentKind: TypeAlias = Literal["forward", "tape", "reverse", "save", "load", "drop", "forget", "update"]


@attrs.frozen
class Buffer:
    """A tape or a snapshot.

    Parameters
    ----------
    kind
        A "tape", a "snapshot" in RAM, or a "far" snapshot, in the store's medium.
    number
        The chunk of a tape; the slot of a snapshot.
    chunk
        The chunk of a tape; the chunk that the state of a snapshot precedes.
    place
        The buffer that holds it, counted from 0; None in a medium.
    """

    kind: Literal["tape", "snapshot", "far"]
    number: int
    chunk: int
    place: int | None


@attrs.frozen(kw_only=True)
class Moment:
    """The smallest thing that a schedule does: one chunk forward or back, or an action that runs nothing.

    Parameters
    ----------
    kind
        "forward" runs a chunk and keeps no tape, "tape" keeps it; "reverse" reverses a chunk; the others are actions.
    action
        The number of the action, from 1.
    chunk
        The chunk that is run or reversed; else the one that the current state precedes.
    counts
        Whether the losses of a reversed chunk count here.
    made, released
        Buffers.
    passing
        The buffer in which a chunk runs that keeps no tape.
    line
        Which line of which source was executed: numbers into `Film.sources` and its lines; None where it is unknown.
    """

    kind: MomentKind
    action: int
    chunk: int
    counts: bool = True
    made: tuple[Buffer, ...] = ()
    released: tuple[Buffer, ...] = ()
    passing: int | None = None
    line: tuple[int, int] | None = None


@attrs.frozen
class SourceText:
    """The code of a generator: its name and its lines, without the indentation that all share."""

    name: str
    lines: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Film:
    """All moments of a plan, and the code of the generators that yielded them."""

    plan: Plan
    sources: tuple[SourceText, ...]
    moments: tuple[Moment, ...]


def film_of(plan: Plan) -> Film:
    """Return the film of a plan.

    Raises
    ------
    OptionError
        For a plan of unknown length, and for one with more than `MOST_MOMENTS` moments.
    """
    if plan.grid.steps is None:
        raise OptionError("a schedule of unknown length cannot be played; give a number of steps")
    camera = _Camera(Judge(plan.grid, plan.store.stores_weights))
    moments: list[Moment] = []
    for moment in camera.follow(plan.schedule()):
        moments.append(moment)
        if len(moments) > MOST_MOMENTS:
            raise OptionError(
                f"the schedule has more than {MOST_MOMENTS:,} moments ({plan.grid.chunks:,} chunks), too many to "
                "watch; play fewer steps, or longer chunks"
            )
    return Film(plan=plan, sources=tuple(camera.sources), moments=tuple(moments))


@attrs.define
class _Camera:
    """Lets a judge apply the actions of a schedule, and tells what changed."""

    judge: Judge
    sources: list[SourceText] = attrs.field(factory=list)
    seen: dict[CodeType, tuple[int, int]] = attrs.field(factory=dict)  # code -> number of the source, its first line

    def follow(self, schedule: Schedule) -> Iterator[Moment]:
        """Yield the moments in order."""
        try:
            action = next(schedule, None)
            while action is not None:
                line = self._line(schedule)
                before = _held(self.judge)
                passing = self.judge.tape_places.next()
                answer = self.judge.take(action)
                after = _held(self.judge)
                made = [buffer for key, buffer in after.items() if before.get(key) != buffer]
                released = [buffer for key, buffer in before.items() if after.get(key) != buffer]
                for moment in self._moments(action, answer, made, released, passing):
                    yield attrs.evolve(moment, line=line)
                try:
                    action = schedule.send(answer)
                except StopIteration:
                    action = None
        finally:
            schedule.close()

    def _moments(
        self, action: Action, answer: int | None, made: list[Buffer], released: list[Buffer], passing: int
    ) -> Iterator[Moment]:
        number = self.judge.totals["actions"]
        match action:
            case Forward(start, keep=True):
                tapes = {buffer.chunk: buffer for buffer in made}
                for chunk in range(start, answer or start):
                    yield Moment(kind="tape", action=number, chunk=chunk, made=(tapes[chunk],))
            case Forward(start):
                for chunk in range(start, answer or start):
                    yield Moment(kind="forward", action=number, chunk=chunk, passing=passing)
            case Reverse(stop, start, losses_from=first):
                tapes = {buffer.chunk: buffer for buffer in released}
                for chunk in range(stop - 1, start - 1, -1):
                    gone = (tapes[chunk],) if chunk in tapes else ()
                    yield Moment(kind="reverse", action=number, chunk=chunk, counts=chunk >= first, released=gone)
            case _:
                yield Moment(
                    kind=_kind(action),
                    action=number,
                    chunk=self.judge.position,
                    made=tuple(made),
                    released=tuple(released),
                )

    def _line(self, schedule: Schedule) -> tuple[int, int] | None:
        """Return where the innermost generator stands, which yielded the last action."""
        inner = cast("GeneratorType[Action, int | None, None]", schedule)
        while isinstance(inner.gi_yieldfrom, GeneratorType):
            inner = inner.gi_yieldfrom
        if inner.gi_code not in self.seen:
            try:
                lines, first = inspect.getsourcelines(inner.gi_code)
            except (OSError, TypeError):  # typed in, or made by other means
                return None
            self.seen[inner.gi_code] = len(self.sources), first
            text = inspect.cleandoc("\n" + "".join(lines))
            self.sources.append(SourceText(inner.gi_code.co_qualname, tuple(text.splitlines())))
        source, first = self.seen[inner.gi_code]
        return None if inner.gi_frame is None else (source, inner.gi_frame.f_lineno - first)


def _held(judge: Judge) -> dict[tuple[str, int], Buffer]:
    """Return what is held now, by kind and number."""
    tapes = {("tape", tape.chunk): Buffer("tape", tape.chunk, tape.chunk, tape.place) for tape in judge.tapes}
    slots = {
        ("slot", number): Buffer("far" if slot.place is None else "snapshot", number, slot.chunk, slot.place)
        for number, slot in judge.slots.items()
    }
    return {**tapes, **slots}


def _kind(action: Action) -> MomentKind:
    match action:
        case Save():
            return "save"
        case Load():
            return "load"
        case Drop():
            return "drop"
        case Forget():
            return "forget"
        case _:
            return "update"
