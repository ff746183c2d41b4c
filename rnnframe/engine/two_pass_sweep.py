"""Sweeps in two passes: `Engine.sweep` with a pause, for a loss that needs all outputs at once."""

from functools import partial
from typing import Any, cast

import numpy as np

from rnnframe.contracts.model import ChunkModel
from rnnframe.contracts.store import StateStore
from rnnframe.data.batch import Batch
from rnnframe.data.columns import split_batch
from rnnframe.data.draws import Draw
from rnnframe.data.sweep import OutputsFn, PullFn, SweepClient
from rnnframe.engine.engine import Engine
from rnnframe.engine.memory import Memory
from rnnframe.engine.plan import RunPlan
from rnnframe.engine.planner import Planner
from rnnframe.engine.ranks import ALONE, Share
from rnnframe.engine.report import SweepResult
from rnnframe.engine.run import Run
from rnnframe.engine.threads import GivenThreads, ShardThreads, Together, usual_shards
from rnnframe.engine.two_passes import from_there, no_more, until_reverse
from rnnframe.engine.weight_versions import WeightVersions
from rnnframe.errors import UsageError
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.schedules import Action, Forward, Schedule

KEPT = 2
"""Sets of buffers that wait for the next sweep."""


class TwoPassEngine:
    """Makes sweeps whose ways forward and back are two calls; several can be under way, each on its own buffers.

    It is for one thread at a time. The parameters of the network must be those of the way forward when a sweep goes
    back: `TwoPassSweep.is_latest` tells whether they can have been changed for another sweep.

    Parameters
    ----------
    network, store, chunk, shards, kernels, seed
        As `rnnframe.Engine` takes them; the store must be exact.
    together : function (functions) or None
        Calls each of some functions in a thread of its own, and returns when all have ended: the threads of a library
        that has some at work on the same cores. By default the shards have threads of the engine's.

    Raises
    ------
    UsageError
        For a store that truncates, which goes back on the way.
    """

    def __init__(
        self,
        network: ChunkModel[Any, Any, Any],
        store: str | StateStore = "full-history",
        *,
        chunk: int | None = None,
        shards: int | None = None,
        kernels: Any = "auto",
        seed: int = 0,
        together: Together | None = None,
    ) -> None:
        engine = Engine(network, store, chunk, shards, None, kernels, seed)
        if not engine.store.exact:
            raise UsageError(
                f"store {engine.store.name!r} truncates, and goes back on the way; take an exact store, such as "
                "full-history, checkpoint or auto"
            )
        self.network, self.running, self.store = engine.network, engine.running, engine.store
        self.registry: Registry = engine.running.registry or default_registry()
        self.seed, self.draws, self.shards = seed, 0, shards
        self.latest: object | None = None
        """Whose parameters the network was last made ready with."""
        self._planner = Planner(engine.store, chunk, self.registry)
        self._together = together
        self._waiting: list[tuple[list[Memory], ShardThreads | GivenThreads]] = []

    def sweep(
        self,
        x: Any,
        outputs: OutputsFn,
        *,
        state: Any | None = None,
        lengths: Any | None = None,
        goes_back: bool = True,
        input_gradient: bool = False,
        threads: int | None = None,
    ) -> "TwoPassSweep":
        """Run forward through a sequence, and return the sweep, which can go back.

        Parameters
        ----------
        x, outputs, state, lengths
            As `Engine.sweep` takes them.
        goes_back
            Whether the way back follows: without it nothing is kept.
        input_gradient
            Whether dL/dx will be asked for.
        threads
            The most threads, where the engine was not given a number of shards.

        Returns
        -------
        TwoPassSweep
            With the state after the last step.

        Raises
        ------
        DataError
            For what does not fit.
        """
        client = SweepClient(outputs, _no_gradient, _nothing if input_gradient else None)
        model = cast(Any, self.running).swept_by(client)
        source = model.open_inputs(Batch(x, None, lengths))
        batch = source.batch
        most = usual_shards(batch, model.recurrent_work) if threads is None else threads
        parts = split_batch(batch, self.shards or min(most, usual_shards(batch, model.recurrent_work)))
        share = Share(ALONE, None, source.deal(len(parts)))
        plan = self._planner.plan_source(model, source, share.columns)
        memories, shard_threads = self._room(model, plan)
        draw = Draw.of(model, self.seed, self.draws)
        self.draws += 1
        run = Run(model, source, share, plan, memories, WeightVersions(), None, draw)
        sweep = TwoPassSweep(self, client, run, shard_threads)
        sweep.forward(state, goes_back=goes_back)
        return sweep

    def _room(self, model: Any, plan: RunPlan) -> tuple[list[Memory], ShardThreads | GivenThreads]:
        """Return buffers and threads: those of an ended sweep where they are large enough."""
        for kept in self._waiting:
            memories = kept[0]
            if len(memories) == len(plan.shards) and all(
                old.serves(model, part) for old, part in zip(memories, plan.shards, strict=True)
            ):
                self._waiting.remove(kept)
                return kept
        threads = ShardThreads() if self._together is None else GivenThreads(self._together)
        return [Memory(model, part, self.registry.describe) for part in plan.shards], threads

    def take_back(self, memories: list[Memory], threads: ShardThreads | GivenThreads) -> None:
        """Keep the buffers of a sweep that has ended for the next one."""
        self._waiting = [(memories, threads), *self._waiting][:KEPT]


class TwoPassSweep:
    """One sweep of a `TwoPassEngine`, which makes it."""

    def __init__(
        self, engine: TwoPassEngine, client: SweepClient, run: Run, threads: ShardThreads | GivenThreads
    ) -> None:
        self._engine, self._client, self._run, self._threads = engine, client, run, threads
        self._schedules: list[Schedule] = []
        self._token = object()  # stands for the sweep where that is not to be held
        self.state: Any = None
        """The state after the last step, name -> [B, width]."""

    @property
    def is_latest(self) -> bool:
        """Whether no other sweep of the engine has begun, or gone back, since this one began."""
        return self._engine.latest is self._token

    @np.errstate(over="ignore", invalid="ignore")
    def forward(self, state: Any, *, goes_back: bool) -> None:
        """Run forward: called once, by the engine."""
        run, shards = self._run, self._run.plan.shards
        self._engine.latest = None  # until what follows is done
        run.reset(state)
        waiting: list[list[Action]] = [[] for _ in shards]
        if goes_back:
            schedules = [plan.schedule() for plan in shards]
            ways = [until_reverse(each, left) for each, left in zip(schedules, waiting, strict=True)]
            self._schedules = [from_there(left, each) for each, left in zip(schedules, waiting, strict=True)]
        else:
            ways = [from_there([Forward(0, plan.grid.chunks, keep=False)], no_more()) for plan in shards]
        run.go(self._threads, ways, partial(run.model.derive, run.draw))
        self.state = run.state
        self._engine.latest = self._token
        if not goes_back:
            self._end()

    @np.errstate(over="ignore", invalid="ignore")
    def back(
        self,
        pull: PullFn,
        *,
        input_gradient: OutputsFn | None = None,
        state_gradient: Any | None = None,
        copied: bool = True,
    ) -> SweepResult:
        """Run back, once.

        Parameters
        ----------
        pull, input_gradient, state_gradient
            As `Engine.sweep` takes them.
        copied
            Whether the gradients of the result are arrays of its own; else they are there until another sweep of the
            engine goes back.

        Returns
        -------
        SweepResult
            As of `Engine.sweep`.

        Raises
        ------
        UsageError
            For a second call, or after a way forward that kept nothing.
        """
        run, model = self._run, cast(Any, self._run.model)
        if not self._schedules:
            raise UsageError("this sweep has gone back, or was not to go back; make another one")
        schedules, self._schedules = self._schedules, []
        self._client.pull_fn = pull
        if input_gradient is not None:
            self._client.inputs = input_gradient
        run.arrive(state_gradient)
        if not self.is_latest:
            model.derive(run.draw)
        self._engine.latest = None
        run.go(self._threads, schedules)
        run.end()
        found = run.memories[0].gradients
        result = SweepResult(
            state=self.state,
            gradients=found.copy() if copied else found,
            state_gradient=run.state_gradient(),
            report=run.report,
        )
        self._engine.latest = self._token
        self._end()
        return result

    def _end(self) -> None:
        """Let the next sweep have the buffers."""
        self._engine.take_back(list(self._run.memories), self._threads)


def _no_gradient(part: Any, outputs: Any) -> Any:
    raise UsageError("the sweep has not gone back yet")


def _nothing(part: Any, dx: Any) -> None:
    """Stands for the function that takes dL/dx until that is known."""
