"""What a plugin provides: a `Cell`, an `Optimizer` or a `StateStore` (and a `Medium`, see `rnnframe.media`).

Each is a frozen, keyword-only attrs class. The class is name, options and factory in one: `name` is what people
write on the command line, the fields are the options behind the colon (`metadata={"help": ...}` explains them).
"""

import abc
from collections.abc import Callable, Iterable, Mapping
from typing import ClassVar, Literal, TypeAlias

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.media import Medium
from rnnframe.schedule import Grid, Schedule
from rnnframe.simulate import Simulation, simulate

Widths: TypeAlias = Mapping[str, int]
"""Name -> values per sample."""
Sizes: TypeAlias = Mapping[str, int | tuple[int, ...]]
"""Name -> values per step and sample, or a shape."""
Tapes: TypeAlias = Literal["whole", "lean", "states"]
"""How much of a chunk's tape is kept until it is reversed: all of it; what is dear to compute; the states alone."""


@attrs.frozen(kw_only=True)
class Cell(abc.ABC):
    """A recurrent layer, given whole blocks of time: `x[L, B, inputs]` dense, or integer `x[L, B]` to be looked up.

    Of the arrays below, those named in `state()` are the state. `tape[name]` of a state has one row more than the
    block has steps: row 0 is the state before the block, row k + 1 the state after step k (a state that is not in
    `tape()` has two rows only: before and after). `tape["h"][1:]` is the output, handed to the next layer.
    """

    name: ClassVar[str]
    hidden: int

    @abc.abstractmethod
    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of each parameter: U [inputs, gates·H], W [H, gates·H], biases."""

    @abc.abstractmethod
    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Fill the parameters in place."""

    @abc.abstractmethod
    def state(self) -> Widths:
        """Return name -> width per sample of what one step hands to the next; "h" is the output."""

    @abc.abstractmethod
    def tape(self) -> Widths:
        """Return name -> width per step and sample of what `backward` needs of a step; "h" must be among them."""

    def takes_columns(self, inputs: int) -> bool:
        """Tell whether x may be some samples of a wider block: dense within a step, but the steps any distance apart.

        Otherwise, which is the default, what a shard reads of the caller's array is copied.
        """
        return False

    def keeps(self, tapes: Tapes) -> tuple[str, ...]:
        """Return the names of `tape()` that stay with a chunk; `rebuild` makes the others. By default all stay.

        "lean" leaves out what follows from the rest with no matrix product, bit for bit; "states" keeps what the rest
        follows from without going from step to step through a matrix product, to rounding.
        """
        return tuple(self.tape())

    def rebuild(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays, tapes: Tapes) -> None:
        """Write what `keeps(tapes)` left out of `tape`; row 0 of every state is filled in."""
        return

    def scratch(self, inputs: int) -> Sizes:
        """Return working arrays of both directions: an int is a width per step and sample, a tuple a shape."""
        return {}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of arrays computed from the parameters once per update, such as a transposed W."""
        return {}

    def derive(self, weights: Arrays) -> None:
        """Fill the derived arrays of `weights` (parameters and derived arrays by name) in place."""
        return

    def derive_reverse(self, weights: Arrays) -> None:
        """Fill those that `forward` does not read, unless `derive` does; not called where nothing is reversed."""
        return

    @abc.abstractmethod
    def forward(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays) -> None:
        """Run the block: read row 0 of the state arrays of `tape` and write everything else of it."""

    @abc.abstractmethod
    def backward(
        self,
        weights: Arrays,
        x: Array,
        tape: Arrays,
        dh: Array,
        dstate: Arrays,
        gradients: Arrays,
        scratch: Arrays,
        dx: Array | None,
    ) -> None:
        """Reverse the block.

        dh [L, B, H] is the gradient that reaches the outputs from above (free to be overwritten), `dstate` the one
        that reaches the state after the block; replace it by that of the state before the block. Add into
        `gradients`. Write dL/dx [L, B, inputs] into `dx` unless that is None.
        """


@attrs.frozen(kw_only=True)
class Optimizer(abc.ABC):
    """A rule that turns a gradient into a change of the parameters, on flat vectors in place."""

    name: ClassVar[str]
    lr: float

    @abc.abstractmethod
    def slots(self) -> tuple[str, ...]:
        """Return the names of the vectors that are remembered between updates, zero at first."""

    @abc.abstractmethod
    def update(self, parameters: Array, gradients: Array, slots: Arrays, step: int, lr: float) -> None:
        """Change the flat `parameters` in place; `step` counts from 1, `lr` is the scheduled learning rate.

        `gradients` may be overwritten; `slots` are changed in place.
        """


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
        return max((tapes * self.tape + states * self.snapshot for tapes, states in simulation.together), default=0)

    def held(self, simulation: Simulation) -> int:
        """Return the bytes of everything that a simulated schedule holds at its peak."""
        apart = simulation.far_snapshots * self.far + simulation.versions * self.weights
        return self.fixed + self.arena(simulation) + apart


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
    def tapes(self) -> Tapes:
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

    def settle(self, problem: Problem) -> tuple["StateStore", int]:
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
