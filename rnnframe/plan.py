"""What a run will hold and do, known before it begins: a store's schedule simulated over the grid of a run."""

import attrs

from rnnframe.contracts import Costs, StateStore
from rnnframe.errors import OptionError
from rnnframe.network import Network
from rnnframe.schedule import Grid, Schedule
from rnnframe.simulate import Simulation, simulate

ROWS = 512  # rows a chunk should have at least, so that its matrix products are large


def default_chunk(batch: int) -> int:
    """Return the smallest number of steps whose rows (steps x batch) make a large product."""
    return -(-ROWS // batch)


@attrs.frozen(kw_only=True)
class Plan:
    """A store's schedule for sequences of `grid.steps` steps and `batch` samples, simulated.

    `predicted_bytes` is what the buffers of the run take (see `rnnframe.Report`), None where there is no bound.
    """

    store: StateStore
    grid: Grid
    batch: int
    costs: Costs
    simulation: Simulation
    predicted_bytes: int | None

    def schedule(self) -> Schedule:
        """Return a fresh generator of the planned actions."""
        return self.store.schedule(self.grid, self.costs)


def make_plan(network: Network, store: StateStore, steps: int | None, batch: int, chunk: int | None) -> Plan:
    """Cut `steps` (None: unknown) into chunks and simulate the store's schedule over them."""
    if steps is None and not store.unknown_length:
        raise OptionError(
            f"store {store.name!r} needs the length in advance; give arrays, or use a store for unknown lengths, "
            "such as circular-queue or full-history"
        )
    length = chunk or default_chunk(batch)
    grid = store.grid(steps, length if steps is None else min(length, steps))
    costs = Costs(
        snapshot=network.state_bytes(batch),
        tape=network.tape_bytes(grid.longest, batch),
        weights=network.weights.nbytes,
    )
    simulation = simulate(store.schedule(grid, costs), grid, stored_weights=store.stores_weights)
    predicted = (
        simulation.tapes * costs.tape
        + (simulation.snapshots + 3) * costs.snapshot  # and the current state, the final one, and the gradient
        + simulation.versions * costs.weights
        + network.scratch_bytes(grid.longest, batch)
    )
    return Plan(
        store=store,
        grid=grid,
        batch=batch,
        costs=costs,
        simulation=simulation,
        predicted_bytes=predicted if simulation.bounded else None,
    )
