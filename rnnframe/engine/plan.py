"""What a run will hold and do, known before it begins: a store's schedule simulated over the grid of a run."""

from collections.abc import Callable, Sequence
from typing import Any

import attrs

from rnnframe.contracts.costs import Costs
from rnnframe.contracts.model import ChunkModel
from rnnframe.contracts.store import Problem, StateStore
from rnnframe.data.cuts import Cuts
from rnnframe.engine.stages import held_bytes, parts_of
from rnnframe.errors import OptionError, ScheduleError
from rnnframe.registry.specs import render
from rnnframe.schedules.actions import Schedule
from rnnframe.schedules.grid import Grid, stretched
from rnnframe.schedules.simulation import Simulation, simulate

STATES = 5
"""States that a run holds beside snapshots: the current one, the final one and its gradient, and the last two as the
caller gets them, of the whole batch."""


@attrs.frozen(kw_only=True)
class Plan:
    """The simulated schedule of a store for one shard.

    Parameters
    ----------
    store : StateStore
        The store that is used, where another one chose it.
    grid : Grid
        How time is cut into chunks.
    batch : int
        Samples of the shard.
    planning_costs : Costs
        The bytes that the store planned with: those of the largest shard, so that all shards follow one schedule.
    costs : Costs
        The bytes of this shard.
    simulation : Simulation
        What the schedule holds and does.
    chunk : int
        Steps of the longest chunk, for which buffers are made.
    """

    store: StateStore
    grid: Grid
    batch: int
    planning_costs: Costs
    costs: Costs
    simulation: Simulation
    chunk: int = attrs.field(default=attrs.Factory(lambda self: self.grid.longest, takes_self=True))

    @property
    def exact(self) -> bool:
        """Whether the gradient is that of the whole sequence, from states and tapes that come back as they were."""
        return self.store.exact and not self.store.rounds

    @property
    def predicted_bytes(self) -> int | None:
        """Bytes that the shard holds at the peak (see `rnnframe.Report`); None where there is no bound."""
        return self.costs.held(self.simulation) if self.simulation.bounded else None

    def schedule(self) -> Schedule:
        """Return a fresh generator of the planned actions."""
        return self.store.schedule(self.grid, self.planning_costs)


@attrs.frozen
class RunPlan:
    """The plans of all shards of a run, which differ by a sample at most, and what they are together.

    `store` is the spec of the one that is really used; `predicted_bytes` are held at the peak by all shards, None where
    there is no bound. They are made once, as a run may be short.
    """

    shards: tuple[Plan, ...]
    store: str = attrs.field(init=False)
    exact: bool = attrs.field(init=False)
    stores_weights: bool = attrs.field(init=False)
    batch: int = attrs.field(init=False)
    predicted_bytes: int | None = attrs.field(init=False)

    @store.default
    def _store_spec(self) -> str:
        return render(self.shards[0].store)

    @exact.default
    def _is_exact(self) -> bool:
        return self.shards[0].exact

    @stores_weights.default
    def _keeps_weights(self) -> bool:
        return self.shards[0].store.stores_weights

    @batch.default
    def _samples(self) -> int:
        return sum(plan.batch for plan in self.shards)

    @predicted_bytes.default
    def _bytes_of_all(self) -> int | None:
        predictions = [plan.predicted_bytes for plan in self.shards]
        first = self.shards[0]
        shared = first.simulation.versions * first.costs.weights  # old weights serve every shard
        return None if None in predictions else sum(filter(None, predictions)) - (len(predictions) - 1) * shared

    @property
    def largest(self) -> Plan:
        """The plan of a shard that the others wait for."""
        return max(self.shards, key=lambda plan: plan.batch)


def stretch(run_plan: RunPlan, ends: Sequence[Sequence[int]]) -> RunPlan:
    """Return a plan whose chunks grow longer as samples end, so that they keep their rows; stores may ask for others.

    ends: for each shard the steps at which its samples end, rising; none where all end with the sequence.
    """
    plan = run_plan.shards[0]
    if not all(ends) or plan.grid.steps is None or not plan.store.takes_any_grid(plan.grid.steps):
        return run_plan
    grid = stretched(plan.chunk, ends)
    simulation = simulated(plan.store, grid, plan.planning_costs)
    return RunPlan(tuple(attrs.evolve(shard, grid=grid, simulation=simulation) for shard in run_plan.shards))


def with_cuts(run_plan: RunPlan, model: ChunkModel[Any, Any, Any], cuts: Sequence[Cuts | None]) -> RunPlan:
    """Return a plan that counts what chunks with cuts hold beside their tapes."""
    shards, apart, staged = [], apart_bytes(model), len(parts_of(model)) > 1
    for plan, of_shard in zip(run_plan.shards, cuts, strict=True):
        grid, beside = plan.grid, []
        if of_shard is not None:
            beside = [apart * of_shard.beside(*grid.span(chunk)) for chunk in range(grid.chunks or 0)]
            if staged:  # the first buffer has been used for every chunk before the schedule begins
                beside[0] = max(beside)
        shards.append(attrs.evolve(plan, simulation=simulated(plan.store, grid, plan.planning_costs, beside)))
    return RunPlan(tuple(shards))


def simulated(store: StateStore, grid: Grid, planning_costs: Costs, beside: Sequence[int] = ()) -> Simulation:
    """Return what a store's schedule holds and does; raises `ScheduleError` where it cannot be executed."""
    schedule = store.schedule(grid, planning_costs)
    simulation = simulate(schedule, grid, stored_weights=store.stores_weights, beside=beside)
    if simulation.far_snapshots and store.medium is None:
        raise ScheduleError(f"store {store.name!r} saves states far away and has no medium to hold them")
    return simulation


def costs_of(
    model: ChunkModel[Any, Any, Any], store: StateStore, steps: int | None, batch: int, chunk: int, shards: int
) -> Costs:
    """Return the bytes that a store weighs, for `steps` steps of `batch` samples in chunks of `chunk` steps.

    The stages of a model have tapes and snapshots one after the other, in the memory of the largest ones.
    """
    needed = [part.chunk_bytes(chunk, batch, store.tape_retention) for part in parts_of(model)]
    working = sum(STATES * of.state + of.scratch + of.shared for of in needed)
    return Costs(
        snapshot=max(of.state for of in needed),
        tape=max(of.tape for of in needed),
        far=0 if store.medium is None else sum(store.medium.ram_bytes(of.state) for of in needed if of.state),
        weights=model.weights.nbytes,
        fixed=working + held_bytes(model, steps, batch),
        shards=shards,
    )


def apart_bytes(model: ChunkModel[Any, Any, Any]) -> int:
    """Return the bytes of a sample's states that pieces of a chunk hold each for itself, in all stages of a model."""
    return sum(part.chunk_bytes(1, 1, "whole").apart for part in parts_of(model))


def cut_costs_of(
    model: ChunkModel[Any, Any, Any],
    store: StateStore,
    steps: int | None,
    batch: int,
    chunk: int,
    shards: int,
    cuts: Sequence[Cuts | None],
) -> Costs:
    """Return the bytes that a store weighs where a tape may hold as many pieces as any chunk of that length has."""
    costs = costs_of(model, store, steps, batch, chunk, shards)
    rows = max((of_shard.most_beside(chunk) for of_shard in cuts if of_shard is not None), default=0)
    return attrs.evolve(costs, tape=costs.tape + rows * apart_bytes(model)) if rows else costs


def make_plans(
    model: ChunkModel[Any, Any, Any],
    store: StateStore,
    steps: int | None,
    batches: Sequence[int],
    chunk: int | None,
    stores: tuple[type[StateStore], ...],
    leave_out: Callable[[type[StateStore], Exception], None],
    cuts: Sequence[Cuts | None] = (),
) -> list[Plan]:
    """Plan one run whose shards have these batch sizes: one store and one chunk length for all of them.

    `leave_out` is told of the classes among `stores` that fail where another store chooses one of them. Stores plan
    with tapes that have room for the most pieces that `cuts`, one for each shard, make of a chunk.
    """
    if steps is None and model.both_ways:
        raise OptionError("a layer of two directions begins at both ends of a sequence, so its length must be known")
    if steps is None and not store.unknown_length:
        raise OptionError(
            f"store {store.name!r} needs the length in advance; give arrays, or use a store for unknown lengths, "
            "such as checkpoint:policy=online, circular-queue or full-history"
        )
    largest, shards = max(batches), len(batches)
    resolved, length = store.resolve(
        Problem(
            steps=steps,
            batch=largest,
            shards=shards,
            chunk=chunk,
            usual_chunk=model.usual_chunk(largest),
            least_chunk=None if model.least_rows is None else -(-model.least_rows // largest),
            costs=lambda store, chunk: cut_costs_of(model, store, steps, largest, chunk, shards, cuts),
            stores=stores,
            leave_out=leave_out,
        )
    )
    if model.both_ways and not resolved.exact:
        raise OptionError(
            f"store {resolved.name!r} truncates, and a layer of two directions needs whole sequences; "
            "take an exact store, such as checkpoint"
        )
    grid = resolved.grid(steps, length)
    planning_costs = cut_costs_of(model, resolved, steps, largest, grid.longest, shards, cuts)
    simulation = simulated(resolved, grid, planning_costs)
    return [
        Plan(
            store=resolved,
            grid=grid,
            batch=batch,
            planning_costs=planning_costs,
            costs=costs_of(model, resolved, steps, batch, grid.longest, shards),
            simulation=simulation,
        )
        for batch in batches
    ]
