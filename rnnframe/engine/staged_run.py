"""A run over the stages of a model: up through all of them, and down again, each by the one loop.

On the way up every stage but the last is run forward alone, and leaves its outputs of all steps. Then the last one is
run and reversed as its store plans it, with the loss, and leaves the gradient of what it has read; then the one below
is run again and reversed with that as dL/dh, and so on to the first. Every stage follows the same schedule.
"""

from collections.abc import Sequence
from typing import Any, cast

import attrs

from rnnframe.data.both_ways import BothWays
from rnnframe.data.columns import count_of
from rnnframe.data.draws import Draw
from rnnframe.data.held import HeldSteps, Links
from rnnframe.data.own_columns import places_of
from rnnframe.engine.memory import Memory, Model
from rnnframe.engine.plan import RunPlan
from rnnframe.engine.ranks import Share
from rnnframe.engine.report import Outcome, Report, Result
from rnnframe.engine.run import Run, Taker
from rnnframe.engine.stages import HeldRoom, parts_of
from rnnframe.engine.threads import ShardThreads
from rnnframe.engine.two_passes import from_there, no_more
from rnnframe.engine.weight_versions import WeightVersions
from rnnframe.schedules import Forward


@attrs.define(eq=False)
class StagedRun:
    """A source that is run once through the stages of a model, over the shards of a plan.

    Parameters
    ----------
    model : ChunkModel
        What is run; it has stages.
    source : BothWays
        The data.
    share : Share
        The parts of the batch, and which of them this process runs as its shards.
    plan : RunPlan
        The plans of these shards, which every stage follows.
    memories : sequence of sequence of Memory
        For each stage the buffers of each shard.
    room : HeldRoom
        Memory for the arrays between the stages.
    on_update : function (gradients, loss), Unreduced or None
        As `Run` takes it.
    draw : Draw or None
        What random masks follow from.
    """

    model: Model
    source: BothWays
    share: Share
    plan: RunPlan
    memories: Sequence[Sequence[Memory]]
    room: HeldRoom
    on_update: Taker | None
    draw: Draw | None = None
    _runs: list[Run] = attrs.field(init=False)
    _links: list[Links] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Open the data of every stage: what the caller gave, and what the stage below will leave."""
        stages, source = parts_of(self.model), self.source
        last = len(stages) - 1
        places = None if self.share.group.size == 1 else places_of(self.share.own, source.batch)
        self.room.make_ready(self.model, source.length, sum(map(count_of, self.share.own)))
        held = [
            HeldSteps(self.room.array(n, of.outputs_width), source.sample_ends, of.both_ways, places)
            for n, of in enumerate(stages[:-1])
        ]
        gradients = [attrs.evolve(of, values=self.room.array(n + 1, of.values.shape[2])) for n, of in enumerate(held)]
        self._links, self._runs = [], []
        for n, stage in enumerate(stages):
            x = source.given.x if n == 0 else held[n - 1].x
            batch = source.batch_of(x, targets=n == last)
            opened = stage.open(batch) if n == last else stage.open_inputs(batch)
            links = Links(
                outputs=None if n == last else held[n],
                gradient=None if n == last else gradients[n],
                below=None if n == 0 else gradients[n - 1],
            )
            self._links.append(links)
            on_update = self.on_update if n == last else None
            memories = self.memories[n]
            run = Run(stage, opened, self.share, self.plan, memories, WeightVersions(), on_update, self.draw)
            self._runs.append(run)

    def execute(self, threads: ShardThreads, state: Any | None, state_gradient: Any | None = None) -> Outcome:
        """Run all stages of all shards, and return what came out; raises `DataError` where a state is given."""
        self.model.fill_state(self.model.new_state(self.source.batch), state, self.source.batch, slice(None))
        self.model.derive(self.draw)
        for run in self._runs:
            run.begin(None)
        for run, links in zip(self._runs[:-1], self._links, strict=False):
            run.model = cast(Any, run.model).linked(Links(outputs=links.outputs))
            run.go(threads, [from_there([Forward(0, of.grid.chunks, keep=False)], no_more()) for of in run.plan.shards])
        for run, links in zip(reversed(self._runs), reversed(self._links), strict=True):
            run.model = cast(Any, run.model).linked(attrs.evolve(links, outputs=None))
            if links.below is not None:
                links.below.values.fill(0)
            run.start_again()
            run.go(threads, [of.schedule() for of in run.plan.shards])
        outcome = self._runs[-1].end()
        return attrs.evolve(outcome, state=self._joined([run.state for run in self._runs]), report=self.report)

    def result(self, outcome: Outcome) -> Result:
        """Return the outcome with copies of the gradients, of the whole batch on every rank."""
        factor = 1 / (outcome.count or 1)
        gradient = self._joined([run.state_gradient(factor) for run in self._runs])
        return attrs.evolve(self._runs[-1].result(outcome), state_gradient=gradient)

    def _joined(self, states: Sequence[Any]) -> Any:
        """Return a state of the whole model from those of its stages."""
        whole = self.model.new_state(self.source.batch)
        for state in states:
            for name, values in state.items():
                whole[name][...] = values
        return whole

    @property
    def report(self) -> Report:
        """What the run held and did: steps are counted as the first stage ran them, which runs as often as any."""
        reports = [run.report for run in self._runs]
        return attrs.evolve(
            reports[0],
            kernels=self.model.kernels,
            updates=reports[-1].updates,
            peak_bytes=sum(each.peak_bytes for each in reports) + self.room.nbytes,
            data_bytes=sum(each.data_bytes for each in reports),
        )
