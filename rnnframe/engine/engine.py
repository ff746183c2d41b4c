"""`Engine`: the gradients of a network by back-propagation through time, and the set-up around the loop."""

from typing import Any, Generic, TypeVar, cast

import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.kernels import AUTO, NUMPY, Kernels
from rnnframe.contracts.model import ChunkModel
from rnnframe.contracts.reducer import Group
from rnnframe.contracts.store import StateStore
from rnnframe.data.batch import Batch
from rnnframe.data.draws import Draw
from rnnframe.data.source import Source
from rnnframe.data.sweep import OutputsFn, PullFn, SweepClient
from rnnframe.engine.executor import Executor
from rnnframe.engine.inference import Evaluation, Inference
from rnnframe.engine.memory import Model, prepared_for
from rnnframe.engine.plan import Plan, RunPlan
from rnnframe.engine.ranks import ALONE
from rnnframe.engine.report import Outcome, Result, SweepResult
from rnnframe.engine.run import Run, Taker
from rnnframe.engine.staged_run import StagedRun
from rnnframe.errors import DataError, OptionError
from rnnframe.registry.kernels import choose, in_precision
from rnnframe.registry.registry import Registry, default_registry

M = TypeVar("M", bound=ChunkModel[Any, Any, Any])


class Engine(Generic[M]):
    """Computes gradients of a network by back-propagation through time, remembering what its store remembers.

    For one chunk length and number of shards all exact stores give bit-identical results. An engine keeps its buffers
    between calls; while one runs, `gradients`, `run` and `sweep` raise `BusyError`.

    Parameters
    ----------
    network : Network or another ChunkModel
        What is run.
    store : StateStore or str
        A store or a spec such as "full-history", "circular-queue:k1=32,k2=128", "checkpoint:slots=8".
    chunk : int or None
        Steps per chunk; by default the fewest that make 512 rows with the batch, for small networks more.
    shards : int or None
        Parts of the batch that run in threads of their own, each on its own buffers; by default as many as cores, as
        long as each has at least 4 samples and enough to do (`Report.shards` tells).
    registry : Registry or None
        Where names are looked up; by default the network's own.
    kernels : Kernels or str
        What computes the layers: "numpy", kernels of a plugin such as "compiled", names with "+" between them, or
        "auto" for all that can be used here. A layer is computed by the first that have a twin of it, else by numpy.
    seed : int
        Of the random masks of layers that draw some; `draws` counts the runs, and each run draws its own.
    group : Group or None
        The processes that train together (`rf.reducer("mpi").open()`); `shards` then counts the parts over all of
        them, by default one each. Each is given the whole batch and runs its parts of it.
    precision : str or None
        "bfloat16" for matrix products of operands that are rounded to it; by default that of the network.
    """

    def __init__(
        self,
        network: M,
        store: str | StateStore = "full-history",
        chunk: int | None = None,
        shards: int | None = None,
        registry: Registry | None = None,
        kernels: str | Kernels = AUTO,
        seed: int = 0,
        group: Group | None = None,
        precision: str | None = None,
    ) -> None:
        for name, value in (("chunk", chunk), ("shards", shards)):
            if value is not None and (not isinstance(value, int | np.integer) or value < 1):
                raise OptionError(f"{name}={value!r} is out of range; expected an integer of at least 1")
        self.network = network = in_precision(network, precision)
        self._registry = registry = registry or network.registry or default_registry()
        self.store = registry.store(store)
        self.running = prepared_for(network.on(choose(kernels, registry)), self.store, registry)
        """The network as it is computed: with the same parameters, on the chosen kernels."""
        self.seed, self.draws, self.chunk, self.shards = seed, 0, chunk, shards
        self.group = group or ALONE
        self._executor = Executor(self.store, chunk, shards, registry, self.group)

    def plan(self, steps: int | None, batch: int) -> Plan:
        """Return the simulated schedule for sequences of `steps` steps (None: unknown): that of the first shard.

        With lengths it is that of the longest sample. Such a run has fewer chunks, which grow longer as samples end,
        and as a rule holds no more; resets change nothing.
        """
        return self.run_plan(steps, batch).shards[0]

    def run_plan(self, steps: int | None, batch: int) -> RunPlan:
        """Return the plans of all shards, one store and one grid for all, and what they are together."""
        return self._executor.plan(self.running, steps, batch)

    def gradients(
        self,
        x: Any,
        y: Any,
        state: Any | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
        weights: Any | None = None,
    ) -> Result:
        """Return loss, gradients and final state of one sequence; the parameters are not changed.

        Parameters
        ----------
        x : array or iterator
            Integers [T, B] that are looked up, or numbers [T, B, inputs]; anything that can be sliced along time, or an
            iterator of blocks where the store allows an unknown length.
        y : array or iterator
            [T, B] classes or [T, B, outputs] values; without the first dimension where only the last step has a loss;
            an iterator (or None, with pairs (x, y) in x) for a stream.
        state : mapping or None
            What an earlier result returned; zeros by default.
        lengths : array or None
            Integers [B], the steps of each sample, 1 to T. What stands behind them in x and y is never looked at; a
            sample that has ended costs nothing, holds its state, and has no loss (with at=last it counts at its own
            last step).
        resets : array or None
            Booleans [T, B], true where the state of a sample is zero before that step, and no gradient crosses it.
        weights : array or None
            How much each loss counts, at least 0: numbers [T, B], or [B] for whole samples. The mean divides by their
            sum. A stream yields (x, y, resets, weights).

        Returns
        -------
        Result
            Loss and gradients are means over the losses, by their weights.

        Raises
        ------
        DataError
            For what does not fit.
        NonFiniteError
            For a loss that is not finite; a gradient that overflows beside a finite loss is returned as it is.
        """
        with self._executor.turn():
            source = self.running.open(Batch(x, y, lengths, resets, weights=weights))
            outcome, run = self._execute(self.running, source, state, None, None)
            return run.result(outcome)

    def run(
        self,
        x: Any,
        y: Any,
        state: Any | None,
        on_update: Taker,
        lengths: Any | None = None,
        resets: Any | None = None,
        weights: Any | None = None,
    ) -> Outcome:
        """Do what `gradients` does, but hand mean gradient and loss to `on_update` at each update, and copy nothing.

        Updates come where the schedule has one, and at the end for losses that are left. `on_update` may overwrite the
        gradient, a buffer of the engine (`Unreduced`: those of parts). In a group the state is of this rank's samples.
        """
        with self._executor.turn():
            source = self.running.open(Batch(x, y, lengths, resets, weights=weights))
            return self._execute(self.running, source, state, on_update, None)[0]

    def sweep(
        self,
        x: Any,
        pull: PullFn,
        *,
        outputs: OutputsFn | None = None,
        input_gradient: OutputsFn | None = None,
        state_gradient: Any | None = None,
        state: Any | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
    ) -> SweepResult:
        """Return the gradients of a loss that is computed outside, chunk by chunk.

        The outputs are those of the head's readout before any activation, or of the top layer without a head. Functions
        get arrays [l, n, width], valid during the call, and a `Part`, which says where they belong in [T, B, width].

        Parameters
        ----------
        x : array
            As `gradients` takes it.
        pull : function (part, outputs) -> array
            Returns dL/d(outputs) of a part, on the way back, last part first; called by each shard's thread.
        outputs : function (part, outputs) or None
            Takes each output once, in the order of time, on the way forward.
        input_gradient : function (part, dx) or None
            Takes dL/dx [l, n, inputs] of dense x on the way back.
        state_gradient : mapping or None
            dL/d(final state), by name; zeros by default.
        state, lengths, resets
            As `gradients` takes them.

        Returns
        -------
        SweepResult
            Gradients are sums: nothing is divided by a number of losses.

        Raises
        ------
        DataError
            For what does not fit.
        OptionError
            For dL/dx with a store that truncates, which reverses steps more than once.
        """
        if np.ndim(x) == 2 and input_gradient is not None:
            raise DataError("x holds row numbers, which have no gradient; leave out input_gradient")
        if input_gradient is not None and not self.store.exact:
            raise OptionError(f"store {self.store.name!r} truncates, so that dL/dx is not defined; take an exact store")
        model = cast(Any, self.running).swept_by(SweepClient(outputs, pull, input_gradient))
        with self._executor.turn():
            source = model.open_inputs(Batch(x, None, lengths, resets))
            outcome, run = self._execute(model, source, state, None, state_gradient)
            return cast(Run, run).sweep_result(outcome)

    def complete_state(self, state: Any) -> Any:
        """Return a state that `run` returned with the samples of all ranks; each rank calls it, for its own samples."""
        return self._executor.complete_state(state)

    def _execute(
        self, model: Model, source: Source, state: Any, on_update: Taker | None, state_gradient: Any
    ) -> tuple[Outcome, Run | StagedRun]:
        draw = Draw.of(model, self.seed, self.draws)
        done = self._executor.execute(model, source, draw, state, on_update, state_gradient)
        self.draws += 1
        return done

    def evaluate(
        self,
        x: Any,
        y: Any,
        state: Any | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
        weights: Any | None = None,
    ) -> Evaluation:
        """Return the mean loss and the final state of one sequence; nothing is remembered but the current state."""
        return self._inference().evaluate(x, y, state, lengths, resets, weights)

    def predict(
        self, x: Any, state: Any | None = None, lengths: Any | None = None, resets: Any | None = None
    ) -> tuple[Array, Vector]:
        """Return what is predicted at every step, [T, B, outputs], zero behind a sample's end, and the final state."""
        return self._inference().predict(x, state, lengths, resets)

    def _inference(self) -> Inference[Any]:
        return Inference(cast(Any, self.running), self.chunk, NUMPY, self._registry)
