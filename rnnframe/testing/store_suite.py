"""What all checks of a store share: the store, the networks it runs, and how its actions are read off."""

from collections.abc import Iterator
from typing import Any, ClassVar, TypeAlias

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.costs import Costs
from rnnframe.contracts.kernels import NUMPY
from rnnframe.contracts.store import StateStore
from rnnframe.engine.engine import Engine
from rnnframe.engine.plan import Plan
from rnnframe.errors import OptionError
from rnnframe.network.network import Network
from rnnframe.schedules.actions import Action, Forward, Reverse, Schedule, Update
from rnnframe.schedules.grid import Grid
from rnnframe.schedules.simulation import Simulation, simulate
from rnnframe.testing.suite import Suite, fail, skip

Window: TypeAlias = tuple[int, int, int]
"""First step of a window, first step whose loss it counts, and its end."""

INPUTS, OUTPUTS = 2, 2


@attrs.frozen
class Case:
    """Steps, batch, chunk length and threads of one run."""

    steps: int
    batch: int
    chunk: int
    shards: int = 1

    def __str__(self) -> str:
        return f"{self.steps} steps, batch of {self.batch}, chunks of {self.chunk}, shards: {self.shards}"


CASES = (
    Case(1, 1, 1),
    Case(2, 2, 1),
    Case(5, 2, 2),
    Case(12, 3, 2),
    Case(17, 1, 1),
    Case(23, 4, 3, shards=2),
    Case(40, 2, 4),
    Case(40, 3, 1, shards=3),
)


@attrs.frozen(eq=False)
class Followed:
    """A simulated schedule with its actions."""

    grid: Grid
    actions: list[Action]
    simulation: Simulation

    def windows(self) -> list[Window]:
        """Return the windows in steps: sweeps that go on from one another are one.

        Raises `AssertionError` where a window counts losses that are not its last ones.
        """
        found: list[Window] = []
        ended_at: int | None = None
        for sweep in (action for action in self.actions if isinstance(action, Reverse)):
            first, stop = self.grid.span(sweep.start)[0], self.grid.span(sweep.stop - 1)[1]
            counted = min(stop, max(first, self.grid.span(sweep.losses_from)[0]))
            if found and sweep.stop == ended_at:
                _, before, end = found.pop()
                if counted < stop and before != stop:
                    fail(f"{sweep} counts losses, and the later steps of its window do not count all of theirs")
                counted, stop = min(counted, before) if counted < stop else before, end
            found.append((first, counted, stop))
            ended_at = sweep.start
        return found

    def versions(self) -> list[int]:
        """Return for every step how many updates came before its tape was made."""
        made: dict[int, int] = {}
        updates = 0
        for action in self.actions:
            if isinstance(action, Update):
                updates += 1
            elif isinstance(action, Forward) and action.keep:
                stop = self.grid.chunks if action.stop is None else action.stop
                for chunk in range(action.start, stop or 0):
                    made.update(dict.fromkeys(range(*self.grid.span(chunk)), updates))
        return [made[step] for step in sorted(made)]


def follow(schedule: Schedule, grid: Grid, *, stored_weights: bool) -> Followed:
    """Simulate a schedule and keep its actions; raises `ScheduleError` where it breaks the rules."""
    actions: list[Action] = []
    simulation = simulate(_recorded(schedule, actions), grid, stored_weights=stored_weights)
    return Followed(grid, actions, simulation)


def _recorded(schedule: Schedule, actions: list[Action]) -> Schedule:
    try:
        action = next(schedule)
        while True:
            actions.append(action)
            action = schedule.send((yield action))
    except StopIteration:
        return


class StoreSuite(Suite):
    """A store and what it is tried with.

    store: the store or its spec. tolerance: of numeric slopes, relative to the gradient.
    """

    kind: ClassVar[str] = "store"
    store: ClassVar[StateStore | str]
    tolerance: ClassVar[float] = 1e-6

    def windows(self, steps: int) -> list[Window] | None:
        """Return the windows of a truncated store over so many steps, as its author means them; none by default.

        A window is the first step that its gradient reaches back to, the first step whose loss counts in it, and its
        end.
        """
        return None

    @property
    def chooses(self) -> bool:
        """Whether the store hands its work over to another one, as `auto` does."""
        return type(self.subject).resolve is not StateStore.resolve

    def followed(self, steps: int, chunk: int, costs: Costs) -> Followed | None:
        """Return the simulated schedule over so many steps, None where the store refuses it as it has options to."""
        store: StateStore = self.subject
        grid = store.grid(steps, min(chunk, steps))
        try:
            return follow(store.schedule(grid, costs), grid, stored_weights=store.stores_weights)
        except OptionError:
            return None

    def only_with_a_schedule(self) -> None:
        """Skip a check of the schedule where the store has none of its own."""
        if self.chooses:
            skip("the store chooses another one, which has the schedule")

    @property
    def rounds_tapes(self) -> bool:
        """Whether tapes are kept in bfloat16, which networks of float32 alone have: all checks are of such ones."""
        found: bool = self.subject.tape_retention == "bfloat16"
        return found

    def network(self, dtype: str = "float64") -> Network:
        """Return two different layers with random parameters."""
        dtype = "float32" if self.rounds_tapes else dtype
        network = Network(["lstm:hidden=3", "elman:hidden=2"], f"mse:outputs={OUTPUTS}", INPUTS, dtype=dtype)
        rng = np.random.default_rng(1)
        network.parameters.flat[:] = rng.normal(scale=0.7, size=network.parameters.flat.shape)
        return network

    def data(self, case: Case, dtype: str = "float64") -> tuple[Array, Array, dict[str, Array]]:
        """Return x, y and a state before the first step."""
        rng = np.random.default_rng(case.steps)
        dtype = "float32" if self.rounds_tapes else dtype

        def normal(*shape: int) -> Array:
            return rng.normal(size=shape).astype(dtype)

        shapes = self.network(dtype).new_state(case.batch).shapes
        x, y = normal(case.steps, case.batch, INPUTS), normal(case.steps, case.batch, OUTPUTS)
        return x, y, {name: normal(*shape) for name, shape in shapes.items()}

    def engines(
        self, dtype: str = "float64", cases: tuple[Case, ...] = CASES
    ) -> Iterator[tuple[Case, Engine[Any], Plan]]:
        """Yield an engine with the store for every case that the store does not refuse."""
        refusal: Any = None
        served = 0
        for case in cases:
            engine = Engine(self.network(dtype), self.subject, chunk=case.chunk, shards=case.shards, kernels=NUMPY)
            try:
                plan = engine.plan(case.steps, case.batch)
            except OptionError as error:
                refusal = error
                continue
            served += 1
            yield case, engine, plan
        if not served:
            fail(f"the store refuses every case, at last {case} with: {refusal}; give it options that leave room")
