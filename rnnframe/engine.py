"""The engine: one loop that executes every schedule, and the set-up around it.

`execute` is the only place where gradients are accumulated. It knows neither what a strategy is for nor what a state
or a tape looks like: a store's schedule says what to do, the network makes the buffers and works on them.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from rnnframe.arrays import Array, Arrays, Vector
from rnnframe.columns import Columns, split_batch
from rnnframe.contracts import StateStore
from rnnframe.errors import OptionError
from rnnframe.inference import Evaluation, Inference
from rnnframe.kernels import AUTO, NUMPY, Kernels, choose
from rnnframe.memory import Memory, OldWeights
from rnnframe.network import Network
from rnnframe.plan import Plan, RunPlan, make_plans, stretch
from rnnframe.registry import Registry, default_registry
from rnnframe.report import Outcome, Report, Result
from rnnframe.schedule import Action, Drop, Forget, Forward, Load, Reverse, Save, Schedule, Update
from rnnframe.shards import Crew, usual_shards
from rnnframe.sources import Reader, open_source
from rnnframe.states import fill_state, join_states
from rnnframe.sums import Sums, Tally

Take: TypeAlias = Callable[[Vector, float], None]
"""What is handed the mean gradient and the mean loss at an update, and changes the parameters."""

PLANS_KEPT = 64


@np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite ends the run: one error says it
def execute(
    schedule: Schedule, reader: Reader, network: Network, memory: Memory, tally: Tally, update: Callable[[], None]
) -> None:
    """Execute a schedule over the chunks that a reader hands out: THE loop."""
    weights, ring, states = network.weights, memory.ring, memory.states
    state, dstate, gradients, scratch = memory.state, memory.dstate, memory.gradients, memory.scratch
    ended_at: int | None = None  # the chunk at which the last Reverse ended
    action: Action | None = next(schedule, None)
    while action is not None:
        reached: int | None = None
        match action:
            case Forward(start, stop, keep=keep):
                reached = start
                for block in reader.blocks(start, stop):  # fewer where the source ends before
                    tape = ring.push(reached, block.waiting(), weights) if keep else ring.spare()
                    network.forward(weights, block, state, tape, scratch)
                    tally.ran(reached, block.steps)
                    reached += 1
                if reached == tally.chunks:  # as far as anyone has been: perhaps after the last step
                    memory.final.copy_from(state)
            case Reverse(stop, start, losses_from=first, keep=keep):
                if stop != ended_at:
                    dstate.flat.fill(0)
                for place, chunk in enumerate(range(stop - 1, start - 1, -1)):
                    entry = ring.from_right(place if keep else 0)
                    block = reader.again(chunk, entry.block, losses=chunk >= first)
                    loss = network.reverse(entry.weights, block, entry.tape, dstate, gradients, scratch)
                    tally.reversed(block.steps, loss, block.count)
                    if not keep:
                        ring.pop()
                        reader.release(chunk)
                ended_at = start
            case Forget(before):
                for chunk in ring.forget(before):
                    reader.release(chunk)
            case Save(slot, far=far):
                states.save(slot, state, far)
            case Load(slot):
                if slot is None:
                    network.resume(ring.from_right(0).tape, state)
                else:
                    states.load(slot, state)
            case Drop(slot):
                states.drop(slot)
            case Update():
                update()
        try:
            action = schedule.send(reached)
        except StopIteration:
            action = None


class Engine:
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
        network: Network,
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
        self._plans: dict[tuple[int | None, tuple[int, ...]], RunPlan] = {}
        self._memories: list[Memory] = []
        self._old_weights = OldWeights(self.running)
        self._crew = Crew()
        self._recurrent = network.recurrent

    def plan(self, steps: int | None, batch: int) -> Plan:
        """Return the simulated schedule for sequences of `steps` steps (None: unknown): that of the first shard.

        With lengths it is that of the longest sample. Such a run has fewer chunks, which grow longer as samples end,
        and as a rule holds no more; resets change nothing.
        """
        return self.run_plan(steps, batch).shards[0]

    def _split(self, batch: int) -> list[slice]:
        """Return the columns of each shard."""
        return split_batch(batch, self.shards or usual_shards(batch, self._recurrent))

    def run_plan(self, steps: int | None, batch: int) -> RunPlan:
        """Return the plans of all shards, one store and one grid for all, and what they are together."""
        sizes = tuple(part.stop - part.start for part in self._split(batch))
        if (steps, sizes) not in self._plans:
            if len(self._plans) == PLANS_KEPT:  # lengths that vary from call to call shall not pile up
                self._plans.clear()
            with self._registry.blame("store", type(self.store)):
                plans = make_plans(self.running, self.store, steps, sizes, self.chunk, self._stores)
            self._plans[steps, sizes] = RunPlan(tuple(plans))
        return self._plans[steps, sizes]

    def gradients(
        self,
        x: Any,
        y: Any,
        state: Arrays | None = None,
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
        outcome, columns = self._run(x, y, state, None, lengths, resets)
        memories, factor = self._memories, 1 / max(1, outcome.count)
        return Result(
            loss=outcome.loss,
            count=outcome.count,
            state=outcome.state,
            report=outcome.report,
            gradients=memories[0].gradients.copy(),
            state_gradient=join_states([memory.dstate for memory in memories], columns, factor),
        )

    def run(
        self,
        x: Any,
        y: Any,
        state: Arrays | None,
        take: Take,
        lengths: Any | None = None,
        resets: Any | None = None,
    ) -> Outcome:
        """Do what `gradients` does, but hand mean gradient and loss to `take` at each update, and copy nothing.

        An update comes where the schedule has one, and at the end if any loss is left. `take` may overwrite the
        gradient, which is a buffer of the engine; afterwards a new one begins at zero.
        """
        return self._run(x, y, state, take, lengths, resets)[0]

    @np.errstate(over="ignore", invalid="ignore")  # as above, for what is done for all shards at once
    def _run(
        self, x: Any, y: Any, state: Arrays | None, take: Take | None, lengths: Any | None, resets: Any | None
    ) -> tuple[Outcome, list[Columns]]:
        """Return what came out and which samples each shard had; where nothing is taken, the mean gradient stays."""
        source = open_source(x, y, self.running, lengths, resets)
        columns = source.deal(len(self._split(source.batch)))
        run_plan = self.run_plan(source.steps, source.batch)
        with self._registry.blame("store", type(self.store)):
            run_plan = stretch(run_plan, [source.ends(part) for part in columns])
        plans = run_plan.shards
        memories = self._memories_for(plans)
        for part, memory in zip(columns, memories, strict=True):
            memory.reset()
            fill_state(memory.state, state, source.batch, part)
        self.running.weights.derive()
        self._old_weights.most = 0
        sums = Sums(self.running, memories)

        def update() -> bool:
            if take is None or not sums.waiting:
                return False
            gradients, loss = sums.close()
            if run_plan.stores_weights:
                self._old_weights.keep(self.running.weights, [memory.ring for memory in memories])
            take(gradients, loss)
            sums.updates += 1
            return True

        def update_between() -> None:
            if update():
                sums.begin()
            self.running.weights.derive()

        def work(n: int, meet: Callable[[], None], check: Callable[[], None]) -> None:
            reader = Reader(source, plans[n].grid, columns[n], memories[n].copies, check)
            execute(plans[n].schedule(), reader, self.running, memories[n], sums.tallies[n], meet)

        self._crew.run(work, len(columns), update_between)
        update()
        if take is None:
            sums.close()
        outcome = Outcome(
            loss=sums.loss / max(1, sums.count),
            count=sums.count,
            state=join_states([memory.final for memory in memories], columns),
            report=self._report(run_plan, memories, sums, source.data_bytes),
        )
        return outcome, columns

    def _memories_for(self, plans: tuple[Plan, ...]) -> list[Memory]:
        """Return buffers for each shard: those of the last run where they are large enough."""
        if not self._serve(plans):
            self._memories = []  # first free the old ones
            self._memories = [Memory(self.running, plan) for plan in plans]
        return self._memories

    def _serve(self, plans: tuple[Plan, ...]) -> bool:
        kept = self._memories
        return len(kept) == len(plans) and all(old.serves(plan) for old, plan in zip(kept, plans, strict=True))

    def _report(self, run_plan: RunPlan, memories: list[Memory], sums: Sums, data_bytes: int) -> Report:
        first, plan = sums.tallies[0], run_plan.shards[0]
        return Report(
            store=run_plan.store,
            exact=run_plan.exact,
            steps=first.steps,
            batch=run_plan.batch,
            kernels=self.running.kernels,
            chunk=plan.chunk,
            chunks=first.chunks,
            shards=len(memories),
            forward_steps=first.forward_steps,
            reverse_steps=first.reverse_steps,
            updates=sums.updates,
            predicted_bytes=run_plan.predicted_bytes,
            peak_bytes=sum(memory.peak_bytes for memory in memories) + self._old_weights.peak_bytes,
            data_bytes=data_bytes + sum(memory.copies.nbytes for memory in memories),
        )

    def evaluate(
        self,
        x: Any,
        y: Any,
        state: Arrays | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
    ) -> Evaluation:
        """Return the mean loss and the final state of one sequence; nothing is remembered but the current state."""
        return Inference(self.running, self.chunk, NUMPY).evaluate(x, y, state, lengths, resets)

    def predict(
        self, x: Any, state: Arrays | None = None, lengths: Any | None = None, resets: Any | None = None
    ) -> tuple[Array, Vector]:
        """Return what the head predicts at every step, [T, B, outputs], and the final state.

        Behind the end of a sample that `lengths` names, predictions are zero.
        """
        return Inference(self.running, self.chunk, NUMPY).predict(x, state, lengths, resets)
