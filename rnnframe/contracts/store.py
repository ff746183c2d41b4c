"""What a plugin provides: a `Cell`, an `Optimizer` or a `StateStore` (and a `Medium`, see `rnnframe.media`).

Each is a frozen, keyword-only attrs class. The class is name, options and factory in one: `name` is what people
write on the command line, the fields are the options behind the colon (`metadata={"help": ...}` explains them).
"""

import abc
from collections.abc import Callable, Iterable
from typing import ClassVar

import attrs

from rnnframe.contracts.layer import TapeRetention
from rnnframe.contracts.medium import Medium
from rnnframe.schedules.actions import Schedule
from rnnframe.schedules.grid import Grid
from rnnframe.schedules.simulation import Simulation, simulate


@attrs.frozen(kw_only=True)
class Costs:
    """What a store may weigh, in bytes: a snapshot, one far away, a chunk's tape, old weights, and what is always held.

    `fixed` is the current, the final and the gradient's state, and the working arrays of one chunk. All of these are
    one shard's and are bytes of RAM; a run has `shards` of them.
    """

    snapshot: int
    tape: int
    far: int = 0
    weights: int = 0
    fixed: int = 0
    shards: int = 1

    @property
    def alpha(self) -> int:
        """How many snapshots a tape weighs, rounded up."""
        return -(-self.tape // self.snapshot)

    def share(self, budget: int) -> int:
        """Return what one shard may hold of a run's budget."""
        return budget // self.shards

    def arena(self, simulation: Simulation) -> int:
        """Return the bytes in which the tapes and snapshots of a simulated schedule have room."""
        return max((tapes * self.tape + states * self.snapshot for tapes, states in simulation.peaks), default=0)

    def held(self, simulation: Simulation) -> int:
        """Return the bytes of everything that a simulated schedule holds at its peak."""
        apart = simulation.far_snapshots * self.far + simulation.versions * self.weights
        return self.fixed + self.arena(simulation) + apart


def _raise(_: type["StateStore"], error: Exception) -> None:
    raise error


@attrs.frozen(kw_only=True)
class Problem:
    """What is to be planned: sequences of `steps` steps (None: unknown) in `shards` parts of up to `batch` samples.

    `chunk` is the chunk length where the caller fixed one, `usual_chunk` the network's own, `costs` gives the bytes of
    a store for any chunk length, and `stores` are the registered store classes.
    """

    steps: int | None
    batch: int
    shards: int
    chunk: int | None
    usual_chunk: int
    costs: Callable[["StateStore", int], Costs]
    stores: tuple[type["StateStore"], ...]
    leave_out: Callable[[type["StateStore"], Exception], None] = _raise
    """Is told of a class that failed where others can go on without it."""

    @property
    def default_chunk(self) -> int:
        """The chunk length that was asked for, else the network's usual one; not above `steps`."""
        length = self.chunk or self.usual_chunk
        return length if self.steps is None else min(length, self.steps)

    def simulated(self, store: "StateStore", length: int) -> tuple[Simulation, Costs]:
        """Return what a store would do and hold with chunks of `length` steps, and the costs that it weighs."""
        grid = store.grid(self.steps, length)
        costs = self.costs(store, grid.longest)
        return simulate(store.schedule(grid, costs), grid, stored_weights=store.stores_weights), costs


@attrs.frozen(kw_only=True)
class StateStore(abc.ABC):
    """A strategy: what is remembered of the past. Its schedule says when, its medium where."""

    name: ClassVar[str]
    exact: ClassVar[bool] = True
    """Whether the gradient is that of the whole sequence; false for truncated strategies."""

    @property
    def unknown_length(self) -> bool:
        """Whether `schedule` can work on a grid without end (`grid.chunks` is None); a class attribute where always."""
        return False

    @property
    def tape_retention(self) -> TapeRetention:
        """How much of a tape is kept; what is not is rebuilt when its chunk is reversed."""
        return "whole"

    @property
    def medium(self) -> Medium | None:
        """Where the snapshots live that the schedule saves far away; None where it saves none there."""
        return None

    @property
    def stores_weights(self) -> bool:
        """Whether a version of the weights is kept for as long as a tape made with it is in the ring."""
        return False

    def grid(self, steps: int | None, chunk: int) -> Grid:
        """Cut time into chunks of at most `chunk` steps; a store that acts at certain steps adds cuts there."""
        return Grid(steps, (chunk,))

    def takes_any_grid(self, steps: int) -> bool:
        """Tell whether that many steps may be cut elsewhere than `grid` does: into longer chunks as samples end.

        By default where the store is exact and leaves `grid` as it is.
        """
        return self.exact and type(self).grid is StateStore.grid

    @abc.abstractmethod
    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Yield the actions that process the grid."""

    def resolve(self, problem: Problem) -> tuple["StateStore", int]:
        """Return the store to use for a problem and its chunk length; nearly every store is its own choice."""
        return self, problem.default_chunk

    @classmethod
    def fit(cls, problem: Problem, length: int, budget: int) -> Iterable["StateStore"]:
        """Return the fastest stores of this kind whose run holds at most `budget` bytes with chunks of `length` steps.

        One is enough; several where it takes a clock to tell. By default the one with no options given, if it fits.
        """
        if any(field.init and field.default is attrs.NOTHING for field in attrs.fields(cls)):
            return ()
        store = cls()
        if problem.steps is None and not store.unknown_length:
            return ()
        simulation, costs = problem.simulated(store, length)
        return (store,) if simulation.bounded and costs.held(simulation) <= costs.share(budget) else ()
