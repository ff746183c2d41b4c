"""`Engine`: the gradients of a network by back-propagation through time, and the set-up around the loop."""

import functools
from typing import Any, Generic, TypeVar, cast

import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.kernels import AUTO, NUMPY, Kernels
from rnnframe.contracts.model import ChunkModel
from rnnframe.contracts.store import StateStore
from rnnframe.data.batch import Batch
from rnnframe.data.columns import split_batch
from rnnframe.engine.inference import Evaluation, Inference
from rnnframe.engine.memory import Memory
from rnnframe.engine.plan import Plan, RunPlan, make_plans, stretch
from rnnframe.engine.report import Outcome, Result
from rnnframe.engine.run import Run, UpdateFn
from rnnframe.engine.threads import ShardThreads, usual_shards
from rnnframe.engine.weight_versions import WeightVersions
from rnnframe.errors import OptionError
from rnnframe.registry.kernels import choose
from rnnframe.registry.registry import Registry, default_registry

PLANS_KEPT = 64
"""Plans that an engine remembers: lengths that vary from call to call must not pile up."""

M = TypeVar("M", bound=ChunkModel[Any, Any, Any])


class Engine(Generic[M]):
    """Computes gradients of a network by back-propagation through time, remembering what its store remembers.

    store: a store or a spec such as "full-history", "circular-queue:k1=32,k2=128", "checkpoint:slots=8".
    chunk: steps per chunk; by default the fewest that make 512 rows with the batch, for small networks more.
    shards: parts of the batch that run in threads of their own, each on its own buffers; by default as many as cores,
    as long as each has at least 4 samples and enough to do (`Report.shards` tells).
    kernels: what computes the cells: "numpy", kernels of a plugin such as "compiled", or "auto" for the first of these
    that can be used here, else numpy.

    For one chunk length and number of shards all exact stores give bit-identical results. An engine keeps its
    buffers between calls; it is not to be called from two threads at once.
    """

    def __init__(
        self,
        network: M,
        store: str | StateStore = "full-history",
        chunk: int | None = None,
        shards: int | None = None,
        registry: Registry | None = None,
        kernels: str | Kernels = AUTO,
    ) -> None:
        for name, value in (("chunk", chunk), ("shards", shards)):
            if value is not None and (not isinstance(value, int | np.integer) or value < 1):
                raise OptionError(f"{name}={value!r} is out of range; expected an integer of at least 1")
        self.network = network
        self._registry = registry = registry or default_registry()
        self.running = network.on(choose(kernels, registry))
        """The network as it is computed: with the same parameters, on the chosen kernels."""
        self.store = registry.store(store)
        self.chunk = chunk
        self.shards = shards
        self._stores = tuple(registry.find("store", name) for name in registry.names("store"))
        self._leave_out = functools.partial(registry.leave_out, "store")
        self._plans: dict[tuple[int | None, tuple[int, ...]], RunPlan] = {}
        self._memories: list[Memory] = []
        self._versions = WeightVersions()
        self._threads = ShardThreads()
        self._recurrent_work = network.recurrent_work

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle neither buffers nor threads: a copy makes its own when it first runs."""
        fresh = {"_memories": [], "_plans": {}, "_versions": WeightVersions(), "_threads": ShardThreads()}
        return self.__dict__ | fresh

    def plan(self, steps: int | None, batch: int) -> Plan:
        """Return the simulated schedule for sequences of `steps` steps (None: unknown): that of the first shard.

        With lengths it is that of the longest sample. Such a run has fewer chunks, which grow longer as samples end,
        and as a rule holds no more; resets change nothing.
        """
        return self.run_plan(steps, batch).shards[0]

    def _split(self, batch: int) -> list[slice]:
        """Return the columns of each shard."""
        return split_batch(batch, self.shards or usual_shards(batch, self._recurrent_work))

    def run_plan(self, steps: int | None, batch: int) -> RunPlan:
        """Return the plans of all shards, one store and one grid for all, and what they are together."""
        sizes = tuple(part.stop - part.start for part in self._split(batch))
        if (steps, sizes) not in self._plans:
            if len(self._plans) == PLANS_KEPT:
                self._plans.clear()
            with self._registry.blame("store", type(self.store)):
                plans = make_plans(self.running, self.store, steps, sizes, self.chunk, self._stores, self._leave_out)
            self._plans[steps, sizes] = RunPlan(tuple(plans))
        return self._plans[steps, sizes]

    def gradients(
        self,
        x: Any,
        y: Any,
        state: Any | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
    ) -> Result:
        """Return loss, gradients and final state of one sequence; the parameters are not changed.

        x: integers [T, B] that are looked up, or numbers [T, B, inputs]; anything that can be sliced along time, or
        an iterator of blocks where the store allows an unknown length. y: [T, B] classes or [T, B, outputs] values;
        without the first dimension where the head counts the last step only; an iterator (or None, with pairs
        (x, y) in x) for a stream. state: what an earlier result returned; zeros by default.

        lengths: integers [B], the steps of each sample, 1 to T; what stands behind them in x and y is never looked at,
        and a sample that has ended costs nothing, holds its state, and has no loss (with at=last it counts at its own
        last step). resets: booleans [T, B], true where a sample begins anew: its state is zero before that step, and no
        gradient crosses it. A stream yields them as (x, y, resets). Both give what the samples give one by one.

        Raises `DataError` for what does not fit, `NonFiniteError` for a loss that is not finite; a gradient that
        overflows beside a finite loss is returned as it is.
        """
        outcome, run = self._run(Batch(x, y, lengths, resets), state, None)
        factor = 1 / max(1, outcome.count)
        return Result(
            loss=outcome.loss,
            count=outcome.count,
            state=outcome.state,
            report=outcome.report,
            gradients=run.memories[0].gradients.copy(),
            state_gradient=self.running.join_states([memory.dstate for memory in run.memories], run.columns, factor),
        )

    def run(
        self,
        x: Any,
        y: Any,
        state: Any | None,
        on_update: UpdateFn,
        lengths: Any | None = None,
        resets: Any | None = None,
    ) -> Outcome:
        """Do what `gradients` does, but hand mean gradient and loss to `on_update` at each update, and copy nothing.

        An update comes where the schedule has one, and at the end if any loss is left. `on_update` may overwrite the
        gradient, which is a buffer of the engine; afterwards a new one begins at zero.
        """
        return self._run(Batch(x, y, lengths, resets), state, on_update)[0]

    @np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite is an error of its own
    def _run(self, batch: Batch, state: Any | None, on_update: UpdateFn | None) -> tuple[Outcome, Run]:
        """Return what came out, and the run; where nobody takes the gradients, the mean gradient stays."""
        source = self.running.open(batch)
        columns = source.deal(len(self._split(source.batch)))
        plan = self.run_plan(source.steps, source.batch)
        with self._registry.blame("store", type(self.store)):
            plan = stretch(plan, [source.ends(part) for part in columns])
        memories = self._memories_for(plan.shards)
        run = Run(self.running, source, columns, plan, memories, self._versions, on_update)
        return run.execute(self._threads, state), run

    def _memories_for(self, plans: tuple[Plan, ...]) -> list[Memory]:
        """Return buffers for each shard: those of the last run where they are large enough."""
        if not self._serve(plans):
            self._memories = []  # first free the old ones
            self._memories = [Memory(self.running, plan, self._registry.describe) for plan in plans]
        return self._memories

    def _serve(self, plans: tuple[Plan, ...]) -> bool:
        kept = self._memories
        return len(kept) == len(plans) and all(old.serves(plan) for old, plan in zip(kept, plans, strict=True))

    def evaluate(
        self,
        x: Any,
        y: Any,
        state: Any | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
    ) -> Evaluation:
        """Return the mean loss and the final state of one sequence; nothing is remembered but the current state."""
        return Inference(cast(Any, self.running), self.chunk, NUMPY, self._registry).evaluate(
            x, y, state, lengths, resets
        )

    def predict(
        self, x: Any, state: Any | None = None, lengths: Any | None = None, resets: Any | None = None
    ) -> tuple[Array, Vector]:
        """Return what the head predicts at every step, [T, B, outputs], and the final state.

        Behind the end of a sample that `lengths` names, predictions are zero.
        """
        return self._inference().predict(x, state, lengths, resets)

    def _inference(self) -> Inference[Any]:
        return Inference(cast(Any, self.running), self.chunk, NUMPY, self._registry)
