"""A run in two passes, with a pause between them: a caller computes losses there that the loop cannot ask for."""

from collections.abc import Generator
from typing import Any

from rnnframe.contracts.model import ChunkModel, Values
from rnnframe.data.source import Source
from rnnframe.engine.memory import Memory
from rnnframe.engine.plan import Plan, RunPlan
from rnnframe.engine.ranks import ALONE, Share
from rnnframe.engine.run import Run
from rnnframe.engine.threads import ShardThreads
from rnnframe.engine.weight_versions import WeightVersions
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
        share = Share(ALONE, None, [slice(None)])
        self._run = Run(model, source, share, RunPlan((plan,)), [self.memory], WeightVersions(), None)
        self.totals = self._run.totals.shards[0]
        self._threads = ShardThreads()
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
        return self._go(state, until_reverse(self._schedule, self._waiting))

    def forward_alone(self, state: Any) -> Values:
        """Run from `state` to the end where no way back follows: nothing is kept, whatever the store."""
        return self._go(state, from_there([Forward(0, self.plan.grid.chunks, keep=False)], no_more()))

    def back(self, state_gradient: Any = None) -> None:
        """Run back from dL/d(final state), None for zeros; the gradients are then in `memory`."""
        self._run.arrive(state_gradient)
        self._run.go(self._threads, [from_there(self._waiting, self._schedule)])
        self.model.weights.complete(self.memory.gradients)

    def whole(self, state: Any) -> Values:
        """Make both passes of any store, with the losses of the model, and return the final state."""
        final = self._go(state, self._schedule)
        self.model.weights.complete(self.memory.gradients)
        return final

    def losses(self, state: Any) -> Values:
        """Have the model reverse each chunk as soon as it was run, for the losses alone; return the final state.

        For a model that makes no gradients then: what its reverse adds up is that of the chunks each for itself.
        """
        return self._go(state, chunk_by_chunk(self.plan.grid.chunks))

    def _go(self, state: Any, schedule: Schedule) -> Values:
        """Execute a schedule from `state`, and return the state at its end."""
        self._run.begin(state)
        self.model.derive()
        self._run.go(self._threads, [schedule])
        final: Values = self._run.state
        return final


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


def chunk_by_chunk(chunks: int | None) -> Schedule:
    """Run and reverse one chunk after the other, so many or until the source ends."""
    chunk = 0
    while chunks is None or chunk < chunks:
        reached = yield Forward(chunk, chunk + 1, keep=True)
        if reached == chunk:
            return
        chunk += 1
        yield Reverse(chunk, chunk - 1)
