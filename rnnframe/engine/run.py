"""One run of the loop: every shard's schedule executed on buffers of its own, and their sums."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias

import attrs

from rnnframe.contracts.model import ChunkModel
from rnnframe.data.draws import Draw
from rnnframe.data.source import Reader, Source
from rnnframe.engine.loop import execute
from rnnframe.engine.memory import Memory
from rnnframe.engine.plan import RunPlan
from rnnframe.engine.ranks import Share
from rnnframe.engine.report import Outcome, Report, Result, SweepResult
from rnnframe.engine.team import Signals
from rnnframe.engine.threads import GivenThreads, ShardThreads
from rnnframe.engine.totals import RunTotals
from rnnframe.engine.weight_versions import WeightVersions
from rnnframe.schedules import Schedule

UpdateFn: TypeAlias = Callable[[Any, float], None]
"""Receives the mean gradient and the mean loss at an update, and changes the parameters."""


@attrs.frozen
class Unreduced:
    """Asks a run for the gradients of the parts that this process runs, which are not added up, and sent nowhere.

    Parameters
    ----------
    take : function (share, gradients, outcome)
        Is called once, at the end: with the parts, the gradients of the sum of the losses of each of them, which are
        buffers of the engine, and the outcome of the whole batch.
    """

    take: Callable[[Share, Sequence[Any], Outcome], None]


Taker: TypeAlias = UpdateFn | Unreduced
"""Who is given the gradients of a run."""


@attrs.define(eq=False)
class Run:
    """A source that is run once over the shards of a plan.

    Parameters
    ----------
    model : ChunkModel
        What is run.
    source : Source
        The data.
    share : Share
        The parts of the batch, and which of them this process runs as its shards.
    plan : RunPlan
        The plans of these shards.
    memories : sequence of Memory
        The buffers of each shard.
    versions : WeightVersions
        Old weights.
    on_update : function (gradients, loss), Unreduced or None
        Is called where the schedule has an update and a loss has come in since the last one, and at the end; None
        leaves the mean gradient in the buffer of the first shard.
    draw : Draw or None
        What random masks follow from.
    """

    model: ChunkModel[Any, Any, Any]
    source: Source
    share: Share
    plan: RunPlan
    memories: Sequence[Memory]
    versions: WeightVersions
    on_update: Taker | None
    draw: Draw | None = None
    totals: RunTotals = attrs.field(init=False)

    @totals.default
    def _new_totals(self) -> RunTotals:
        return RunTotals([memory.gradients for memory in self.memories], self.share)

    def execute(self, threads: ShardThreads, state: Any | None, state_gradient: Any | None = None) -> Outcome:
        """Run all shards from `state` and back from dL/d(final state), zeros where they are None.

        Return what came out.
        """
        self.reset(state)
        self.arrive(state_gradient)
        self.versions.most = 0
        self.go(threads, [plan.schedule() for plan in self.plan.shards], partial(self.model.derive, self.draw))
        return self.end()

    def begin(self, state: Any | None) -> None:
        """Have all shards begin from `state`, and their sums at zero."""
        self.reset(state)
        self.totals.begin()

    def reset(self, state: Any | None) -> None:
        """Have all shards begin from `state`; their sums stay as they are."""
        for part, memory in zip(self.share.own, self.memories, strict=True):
            memory.reset()
            self.model.fill_state(memory.state, state, self.source.batch, part)

    def start_again(self) -> None:
        """Have all shards begin afresh a second time, with the gradients that were summed up so far."""
        for part, memory in zip(self.share.own, self.memories, strict=True):
            self.model.fill_state(memory.state, None, self.source.batch, part)

    def arrive(self, state_gradient: Any | None) -> None:
        """Take dL/d(final state), for the way back."""
        for part, memory in zip(self.share.own, self.memories, strict=True):
            if state_gradient is not None:
                memory.arriving = self.model.new_state(memory.plan.batch)
                self.model.fill_state(memory.arriving, state_gradient, self.source.batch, part)

    def go(
        self,
        threads: ShardThreads | GivenThreads,
        schedules: Sequence[Schedule],
        prepare: Callable[[], None] | None = None,
    ) -> None:
        """Execute a schedule in every shard.

        With `prepare`, which makes what all of them need, every shard first makes its sums zero.
        """

        def run_shard(n: int, signals: Signals) -> None:
            memory = self.memories[n]
            if prepare is not None:
                memory.gradients.zero()
            grid, columns = self.plan.shards[n].grid, self.share.own[n]
            reader = Reader(self.source, grid, columns, memory.staging, signals.check, self.draw, signals.ready)
            execute(schedules[n], reader, self.model, memory, self.totals.shards[n], signals.barrier)

        threads.run(run_shard, len(self.memories), self._update_between, prepare)

    def end(self) -> Outcome:
        """Make the last update or the last sums, and return what came out."""
        if isinstance(self.on_update, Unreduced):
            return self._hand_out(self.on_update)
        if not self._update() and self.on_update is None:
            self.totals.collect()
            self._reduce()
        return self._outcome

    def _hand_out(self, parts: Unreduced) -> Outcome:
        """Pass on the gradients of each part, and return what came out."""
        self.totals.collect()
        self.totals.take_losses()
        gradients, outcome = [memory.gradients for memory in self.memories], self._outcome
        for each in gradients:
            self.model.weights.complete(each)
        parts.take(self.share, gradients, outcome)
        return outcome

    @property
    def _outcome(self) -> Outcome:
        return Outcome(loss=self.totals.mean_loss, count=self.totals.count, state=self.state, report=self.report)

    @property
    def state(self) -> Any:
        """The state of the whole batch after the last step; in a group that of this rank's columns, others zero."""
        return self._joined([memory.final for memory in self.memories], complete=self.share.dealt)

    def result(self, outcome: Outcome) -> Result:
        """Return the outcome with copies of the gradients, of the whole batch on every rank."""
        return Result(
            loss=outcome.loss,
            count=outcome.count,
            state=outcome.state if self.share.dealt else self.share.complete(outcome.state),
            report=outcome.report,
            gradients=self.memories[0].gradients.copy(),
            state_gradient=self.state_gradient(1 / (outcome.count or 1)),
        )

    def sweep_result(self, outcome: Outcome) -> SweepResult:
        """Return the same of a sweep: the gradients are sums."""
        return SweepResult(
            state=outcome.state if self.share.dealt else self.share.complete(outcome.state),
            gradients=self.memories[0].gradients.copy(),
            state_gradient=self.state_gradient(),
            report=outcome.report,
        )

    def state_gradient(self, factor: float = 1.0) -> Any:
        """Return dL/d(state before the first step) of the whole batch, multiplied by `factor`."""
        return self._joined([memory.dstate for memory in self.memories], factor, complete=True)

    def _joined(self, states: Sequence[Any], factor: float = 1.0, *, complete: bool) -> Any:
        whole = self.share.join(self.model, states, self.source.batch, factor)
        return self.share.complete(whole) if complete else whole

    def _update(self) -> bool:
        """Pass on the sums since the last update; return whether there was an update."""
        if self.on_update is None or isinstance(self.on_update, Unreduced) or not self.totals.collect():
            return False
        gradients, loss = self._reduce()
        if self.plan.stores_weights:
            self.versions.keep(self.model.weights, [memory.ring for memory in self.memories])
        self.on_update(gradients, loss)
        self.totals.updates += 1
        return True

    def _reduce(self) -> tuple[Any, float]:
        """Return the mean gradient and the mean loss of what has been summed up."""
        gradients, loss = self.totals.reduce()
        self.model.weights.complete(gradients)
        return gradients, loss

    def _update_between(self) -> None:
        """Do what an `Update` of the schedule asks for, for all shards at once."""
        if self._update():
            self.totals.begin()
        self.model.derive(self.draw)

    @property
    def report(self) -> Report:
        """What the run held and did."""
        first, plan, memories = self.totals.shards[0], self.plan.shards[0], self.memories
        return Report(
            store=self.plan.store,
            exact=self.plan.exact,
            steps=first.steps,
            batch=self.source.batch,
            kernels=self.model.kernels,
            precision=getattr(self.model, "precision", None),
            chunk=plan.chunk,
            chunks=first.chunks,
            shards=len(self.share.columns),
            forward_steps=first.forward_steps,
            reverse_steps=first.reverse_steps,
            updates=self.totals.updates,
            predicted_bytes=self.plan.predicted_bytes,
            peak_bytes=sum(memory.peak_bytes for memory in memories) + self.versions.peak_bytes,
            data_bytes=self.source.data_bytes + sum(memory.staging.peak_bytes for memory in memories),
        )
