"""A run in two passes, with a pause between them: a caller computes losses there that the loop cannot ask for."""

from collections.abc import Generator
from typing import Any

from rnnframe.contracts.model import ChunkModel, Values
from rnnframe.data.source import Reader, Source
from rnnframe.engine.loop import execute
from rnnframe.engine.memory import Memory
from rnnframe.engine.plan import Plan
from rnnframe.engine.totals import ShardTotals
from rnnframe.errors import UsageError
from rnnframe.registry.registry import default_registry
from rnnframe.schedules import Action, Forward, Reverse, Schedule


class TwoPassRun:
    """One run of a model on one shard: forward through the sequence, and back when the caller is ready.

    `Engine` makes both passes in one call. Here the caller goes on in between, as a library of automatic
    differentiation does. Both passes are executed by the one loop; the schedule is cut before its first Reverse.

    Parameters
    ----------
    model : ChunkModel
        What is run.
    plan : Plan
        A plan of `Engine.plan` for this model and source.
    source : Source
        What is read.
    """

    def __init__(self, model: ChunkModel[Any, Any, Any], plan: Plan, source: Source) -> None:
        registry = model.registry or default_registry()
        self.model, self.plan, self.source = model, plan, source
        self.memory = Memory(model, plan, registry.describe)
        self.totals = ShardTotals()
        self._schedule = plan.schedule()
        self._waiting: list[Action] = []

    def forward(self, state: Any) -> Values:
        """Run from `state` to the end of the sequence, and return the state there.

        Raises
        ------
        UsageError
            For a store that truncates, which reverses on the way.
        """
        if not self.plan.store.exact:
            raise UsageError(
                f"store {self.plan.store.name!r} truncates: it needs every loss on the way; give the loss to the run"
            )
        self._start(state)
        self._execute(until_reverse(self._schedule, self._waiting))
        return self._final()

    def forward_alone(self, state: Any) -> Values:
        """Run from `state` to the end where no way back follows: nothing is kept, whatever the store."""
        self._start(state)
        self._execute(from_there([Forward(0, self.plan.grid.chunks, keep=False)], no_more()))
        return self._final()

    def back(self, state_gradient: Any = None) -> None:
        """Run back from dL/d(final state), None for zeros; the gradients are then in `memory`."""
        self.memory.arriving = self._filled(state_gradient)
        self._execute(from_there(self._waiting, self._schedule))
        self.model.weights.complete(self.memory.gradients)

    def whole(self, state: Any) -> Values:
        """Make both passes of any store, with the losses of the model, and return the final state."""
        self._start(state)
        self._execute(self._schedule)
        self.model.weights.complete(self.memory.gradients)
        return self._final()

    def _start(self, state: Any) -> None:
        self.memory.reset()
        self.memory.state.copy_from(self._filled(state))
        self.model.derive()

    def _filled(self, given: Any) -> Values:
        values: Values = self.model.new_state(self.plan.batch)
        self.model.fill_state(values, given, self.plan.batch, slice(None))
        return values

    def _final(self) -> Values:
        joined: Values = self.model.join_states([self.memory.final], [slice(None)])
        return joined

    def _execute(self, schedule: Schedule) -> None:
        reader = Reader(self.source, self.plan.grid, slice(None), self.memory.staging, _nothing)
        execute(schedule, reader, self.model, self.memory, self.totals, _nothing)


def _nothing() -> None:
    """There are no other shards to wait for, and no updates."""


def until_reverse(schedule: Schedule, waiting: list[Action]) -> Generator[Action, int | None, None]:
    """Yield the actions before the first Reverse, which is left in `waiting`."""
    answer: int | None = None
    while True:
        try:
            action = schedule.send(answer)
        except StopIteration:
            return
        if isinstance(action, Reverse):
            waiting.append(action)
            return
        answer = yield action


def from_there(waiting: list[Action], schedule: Schedule) -> Generator[Action, int | None, None]:
    """Yield what waits, then all that follows."""
    while waiting:
        yield waiting.pop(0)
    yield from schedule


def no_more() -> Schedule:
    """Yield nothing."""
    yield from ()
