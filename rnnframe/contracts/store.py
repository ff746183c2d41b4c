"""`StateStore`: a strategy of what is kept of the past; `Problem`, which it plans with."""

import abc
from collections.abc import Callable, Iterable
from typing import ClassVar

import attrs

from rnnframe.contracts.costs import Costs
from rnnframe.contracts.medium import Medium
from rnnframe.contracts.retention import StoredTapes
from rnnframe.schedules.actions import Schedule
from rnnframe.schedules.grid import Grid
from rnnframe.schedules.simulation import Simulation, simulate


def _raise(_: type["StateStore"], error: Exception) -> None:
    raise error


@attrs.frozen(kw_only=True)
class Problem:
    """What is to be planned.

    Parameters
    ----------
    steps : int or None
        The length of the sequences; None where it is unknown.
    batch : int
        The samples of the largest shard.
    shards : int
        The number of shards.
    chunk : int or None
        The steps of a chunk where the caller has fixed them.
    usual_chunk : int
        The steps of a chunk that the network chooses.
    costs : function (store, chunk) -> Costs
        Returns the bytes of a store for any chunk length.
    stores : tuple of classes
        The registered store classes.
    leave_out : function (class, error)
        Is called with a class that failed where other stores can be used without it.
    least_chunk : int or None
        The fewest steps of a chunk that the network still runs with little loss of speed; None: the usual ones.
    """

    steps: int | None
    batch: int
    shards: int
    chunk: int | None
    usual_chunk: int
    costs: Callable[["StateStore", int], Costs]
    stores: tuple[type["StateStore"], ...]
    leave_out: Callable[[type["StateStore"], Exception], None] = _raise
    least_chunk: int | None = None

    @property
    def default_chunk(self) -> int:
        """The chunk length that was asked for, else the network's usual one; not above `steps`."""
        length = self.chunk or self.usual_chunk
        return length if self.steps is None else min(length, self.steps)

    @property
    def shorter_chunks(self) -> tuple[int, ...]:
        """Half the default chunk length, a quarter and so on to `least_chunk`; none where the caller fixed it."""
        if self.chunk is not None:
            return ()
        least, lengths = self.least_chunk or self.usual_chunk, [self.default_chunk]
        while lengths[-1] > 1 and -(-lengths[-1] // 2) >= least:
            lengths.append(-(-lengths[-1] // 2))
        return tuple(lengths[1:])

    def simulated(self, store: "StateStore", length: int) -> tuple[Simulation, Costs]:
        """Return the simulation of a store with chunks of `length` steps, and its costs.

        Parameters
        ----------
        store : StateStore
            The store.
        length : int
            Steps of a chunk.

        Returns
        -------
        tuple of Simulation and Costs
            What the schedule holds and does, and the bytes of its parts.

        Raises
        ------
        ScheduleError
            For a schedule that cannot be executed.
        """
        grid = store.grid(self.steps, length)
        costs = self.costs(store, grid.longest)
        return simulate(store.schedule(grid, costs), grid, stored_weights=store.stores_weights), costs


@attrs.frozen(kw_only=True)
class StateStore(abc.ABC):
    """A strategy: what is kept of the past. Its schedule says when, its medium says where."""

    name: ClassVar[str]
    exact: ClassVar[bool] = True
    """Whether the gradient is that of the whole sequence; false for truncated strategies. `rounds` is not meant."""

    @property
    def unknown_length(self) -> bool:
        """Whether `schedule` can work on a grid without end (`grid.chunks` is None); a class attribute where always."""
        return False

    @property
    def tape_retention(self) -> StoredTapes:
        """How much of a tape is kept; what is not is rebuilt when its chunk is reversed. "bfloat16" rounds it."""
        return "whole"

    @property
    def rounds(self) -> bool:
        """Whether tapes, or states in a medium, come back rounded: gradients are then off by rounding."""
        return self.tape_retention == "bfloat16" or (self.medium is not None and not self.medium.exact)

    @property
    def medium(self) -> Medium | None:
        """Where the snapshots live that the schedule saves far away; None where it saves none there."""
        return None

    @property
    def stores_weights(self) -> bool:
        """Whether a version of the weights is kept for as long as a tape made with it is in the ring."""
        return False

    def grid(self, steps: int | None, chunk: int) -> Grid:
        """Cut time into chunks; a store that acts at certain steps adds cuts there.

        Parameters
        ----------
        steps : int or None
            The length of the sequence; None where it is unknown.
        chunk : int
            The most steps of a chunk.

        Returns
        -------
        Grid
            Chunks from step 0 to the last.
        """
        return Grid(steps, (chunk,))

    def takes_any_grid(self, steps: int) -> bool:
        """Tell whether that many steps may be cut elsewhere than `grid` does: into longer chunks as samples end.

        By default where the store is exact and leaves `grid` as it is.
        """
        return self.exact and type(self).grid is StateStore.grid

    @abc.abstractmethod
    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Yield the actions that process the grid.

        Parameters
        ----------
        grid : Grid
            How time is cut into chunks; `grid.chunks` is None where the length is unknown.
        costs : Costs
            The bytes of snapshots and tapes.

        Returns
        -------
        Schedule
            A generator of actions. The answer to a `Forward` is the chunk that it reached.
        """

    def chunk_for(self, problem: Problem) -> int:
        """Return the most steps of a chunk: by default those that the caller asked for, else the network's usual ones.

        Parameters
        ----------
        problem : Problem
            Lengths and sizes. A length that the caller has fixed (`problem.chunk`) is to be kept.

        Returns
        -------
        int
            Steps; not above the length of the sequence.
        """
        return problem.default_chunk

    def resolve(self, problem: Problem) -> tuple["StateStore", int]:
        """Return the store to use and the steps of a chunk; nearly every store returns itself.

        Parameters
        ----------
        problem : Problem
            Lengths, sizes and the other stores.

        Returns
        -------
        tuple of StateStore and int
            The store whose schedule is executed, and the most steps of a chunk.

        Raises
        ------
        OptionError
            Where no choice keeps to a budget.
        """
        return self, self.chunk_for(problem)

    @classmethod
    def fit(cls, problem: Problem, length: int, budget: int) -> Iterable["StateStore"]:
        """Return the fastest stores of this class that keep to a budget.

        By default the one with no options given, if it fits.

        Parameters
        ----------
        problem : Problem
            Lengths, sizes and the other stores.
        length : int
            Steps of a chunk.
        budget : int
            Bytes that the whole run may hold.

        Returns
        -------
        iterable of StateStore
            One is enough; several where only a measurement can tell which is fastest; none where nothing fits.
        """
        if any(field.init and field.default is attrs.NOTHING for field in attrs.fields(cls)):
            return ()
        store = cls()
        if problem.steps is None and not store.unknown_length:
            return ()
        simulation, costs = problem.simulated(store, length)
        return (store,) if simulation.bounded and costs.held(simulation) <= costs.share(budget) else ()
