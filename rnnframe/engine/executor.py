"""Running a source over the shards of a batch, on buffers and threads that are kept from run to run."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from rnnframe.contracts.reducer import Group
from rnnframe.contracts.store import StateStore
from rnnframe.data.both_ways import BothWays
from rnnframe.data.columns import split_batch
from rnnframe.data.draws import Draw
from rnnframe.data.source import Source
from rnnframe.data.turn import Turn
from rnnframe.engine.blas import one_thread
from rnnframe.engine.memory import Memory, Model, stage_memories
from rnnframe.engine.plan import Plan, RunPlan
from rnnframe.engine.planner import Planner
from rnnframe.engine.ranks import ALONE, Share, parts_of_each
from rnnframe.engine.report import Outcome
from rnnframe.engine.run import Run, Taker
from rnnframe.engine.staged_run import StagedRun
from rnnframe.engine.stages import HeldRoom, parts_of
from rnnframe.engine.threads import ShardThreads, usual_shards
from rnnframe.engine.weight_versions import WeightVersions
from rnnframe.errors import OptionError
from rnnframe.registry.registry import Registry


class Executor:
    """What an engine keeps between its runs: plans, buffers, threads, and old versions of the weights.

    Buffers of a run that did not end, by an error or an interrupt at any moment, are not used again. In a group of
    processes each runs its share of the parts.
    """

    def __init__(
        self, store: StateStore, chunk: int | None, shards: int | None, registry: Registry, group: Group = ALONE
    ) -> None:
        self._store, self._chunk, self._shards, self._registry = store, chunk, shards, registry
        self._group, self._each = group, None
        if group.size > 1:
            self._shards = shards or group.size
            self._each = parts_of_each(self._shards, group)
        self._begin()

    def _begin(self) -> None:
        self._planner = Planner(self._store, self._chunk, self._registry)
        self._threads = ShardThreads()
        self._turn = Turn("engine")
        self._forget()

    def _forget(self) -> None:
        self._memories: list[list[Memory]] = []
        self._held = HeldRoom()
        self._versions = WeightVersions()
        self._whole = True  # whether every run that used them has ended

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle neither buffers nor threads: a copy makes its own when it first runs."""
        return {name: getattr(self, name) for name in ("_store", "_chunk", "_shards", "_registry", "_group", "_each")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def turn(self) -> AbstractContextManager[Any]:
        """Return what is held during a run and while its results are copied; raises `BusyError` during another one."""
        return self._turn.take()

    def plan(self, model: Model, steps: int | None, batch: int) -> RunPlan:
        """Return the plans of all shards of a batch whose samples end together."""
        return self._planner.plan(model, steps, self._split(model, batch))

    def complete_state(self, state: Any) -> Any:
        """Return a state of the whole batch, of which each rank has its own columns; all ranks call it."""
        batch = len(next(iter(state.values())))
        return Share(self._group, self._each, split_batch(batch, self._shards or 1)).complete(state)

    def _split(self, model: Model, batch: int) -> list[slice]:
        """Return the columns of each shard."""
        return split_batch(batch, self._shards or usual_shards(batch, model.recurrent_work))

    @np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite is an error of its own
    def execute(
        self,
        model: Model,
        source: Source,
        draw: Draw,
        state: Any | None,
        on_update: Taker | None,
        state_gradient: Any | None = None,
    ) -> tuple[Outcome, Run | StagedRun]:
        """Run a source once; return what came out, and the run, whose buffers hold the gradients until the next."""
        self._threads.settle()
        if not self._whole:
            self._forget()
        self._whole = False
        if self._group.size > 1 and source.steps is None:
            raise OptionError("a stream is read once, by one process; give arrays where ranks share a batch")
        parts = self._split(model, source.batch)
        share = Share(self._group, self._each, source.deal(len(parts)))
        if self._group.size == 1:
            plan = self._planner.plan_source(model, source, share.columns)
        else:  # a rank knows no resets of the others' samples, and all ranks follow one plan
            ends = [source.ends(part) for part in share.columns]
            plan = RunPlan(self._planner.plan(model, source.steps, parts, ends).shards[share.parts])
            state = self.complete_state(state) if state is not None and share.dealt else state
        memories = self._memories_for(model, plan.shards)
        run: Run | StagedRun
        if len(memories) == 1:
            run = Run(model, source, share, plan, memories[0], self._versions, on_update, draw)
        else:
            assert isinstance(source, BothWays)  # as a model with stages opens it
            run = StagedRun(model, source, share, plan, memories, self._held, on_update, draw)
        with nullcontext() if self._group.size == 1 else one_thread():  # the same products as of shards in threads
            outcome = run.execute(self._threads, state, state_gradient)
        self._whole = True
        return outcome, run

    def _memories_for(self, model: Model, plans: tuple[Plan, ...]) -> list[list[Memory]]:
        """Return buffers for each stage and shard: those of the last run where they are large enough."""
        parts = parts_of(model)
        if not self._serve(parts, plans):
            self._memories = []  # first free the old ones
            self._memories = stage_memories(parts, plans, self._registry.describe)
        return self._memories

    def _serve(self, parts: Sequence[Model], plans: tuple[Plan, ...]) -> bool:
        kept = self._memories
        return (len(kept), len(kept[0]) if kept else 0) == (len(parts), len(plans)) and all(
            old.serves(part, plan)
            for part, shards in zip(parts, kept, strict=True)
            for old, plan in zip(shards, plans, strict=True)
        )
