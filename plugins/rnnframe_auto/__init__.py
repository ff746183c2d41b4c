"""Choosing a store: the fastest exact one that fits into a number of bytes, and told beforehand what it costs."""

from collections.abc import Iterable, Iterator
from typing import ClassVar

import attrs
from attrs.validators import gt, optional

from rnnframe import Costs, Grid, OptionError, Problem, Schedule, Simulation, StateStore, hookimpl, simulate
from rnnframe.sizes import ByteSize, human_bytes
from rnnframe.specs import render
from rnnframe_auto.free import free_memory


@attrs.frozen(kw_only=True)
class Auto(StateStore):
    """Take the fastest exact store, third-party ones included, whose tapes, snapshots and working arrays fit.

    Fastest is the least work: a step forward counts 1, a step back 2, each times 1 + 64 / rows of a chunk, since small
    chunks make small products. The choice follows from sizes alone and not from a clock, so it is the same every time.
    """

    name: ClassVar[str] = "auto"

    budget: ByteSize | None = attrs.field(
        default=None,
        validator=optional(gt(ByteSize(0))),
        metadata={"help": "bytes for everything but parameters, gradients and data; none: half of what is free"},
    )

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Never followed: the chosen store has the schedule."""
        raise OptionError("store 'auto' chooses another store for a run; simulate that one: engine.plan(...).store")

    def settle(self, problem: Problem) -> tuple[StateStore, int]:
        """Return the store and the chunk length with the least work within the budget."""
        budget = free_memory() // 2 if self.budget is None else int(self.budget)
        choices = list(_choices(problem, budget))
        if not choices:
            raise OptionError(
                f"store 'auto': no exact store fits into {budget} bytes ({human_bytes(budget)}); "
                f"the smallest budget that would do is {_smallest(problem)} bytes"
            )
        _, _, store, length = min(
            choices, key=lambda choice: (*choice[:2], len(render(choice[2])))
        )  # equal: the simpler
        return store, length


def _choices(problem: Problem, budget: int) -> Iterator[tuple[float, int, StateStore, int]]:
    """Yield work, bytes, store and chunk length of every exact store that fits, for falling chunk lengths."""
    for length in _lengths(problem):
        for kind in problem.stores:
            if kind is Auto or not kind.exact:
                continue
            costs, grid = problem.costs(length), Grid(problem.steps, (length,))
            store = kind.fit(grid, costs, budget)
            if store is None:
                continue
            simulation = simulate(store.schedule(grid, costs), grid, stored_weights=store.stores_weights)
            held = costs.held(simulation)
            if simulation.bounded and held <= costs.share(budget):
                yield work(simulation, length * problem.batch), held, store, length


def work(simulation: Simulation, rows: int) -> float:
    """Return the work of a simulated schedule whose chunks have that many rows, in forward steps of a large chunk."""
    return (simulation.forward_steps + 2 * simulation.reverse_steps) * (1 + 64 / rows)


def _lengths(problem: Problem) -> list[int]:
    """Return the chunk lengths to try: the caller's, or the default, halved until it is one."""
    lengths = [problem.default_chunk]
    while problem.chunk is None and lengths[-1] > 1:
        lengths.append(lengths[-1] // 2)
    return lengths


def _smallest(problem: Problem) -> int:
    """Return the fewest bytes with which any store would do: one state, one tape, one chunk."""
    costs = problem.costs(_lengths(problem)[-1])
    return (costs.fixed + costs.snapshot + costs.tape) * costs.shards


@hookimpl
def rnnframe_state_stores() -> Iterable[type[StateStore]]:
    """Provide auto."""
    return [Auto]
