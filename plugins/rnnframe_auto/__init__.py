"""Choosing a store: the fastest exact one that fits into a number of bytes, and told beforehand what it costs."""

import math
from collections.abc import Iterable, Iterator
from typing import ClassVar

import attrs
from attrs.validators import gt, optional

from rnnframe.plugin import (
    ByteSize,
    Costs,
    Grid,
    OptionError,
    Problem,
    Schedule,
    Simulation,
    StateStore,
    hookimpl,
    human_bytes,
    render,
)
from rnnframe_auto.free import free_memory


@attrs.frozen(kw_only=True)
class Auto(StateStore):
    """Take the fastest exact store, third-party ones included, whose tapes, snapshots and working arrays fit.

    Fastest is the least work: a step forward counts 1, a step back 2, rebuilding a lean tape 0.1 and one of states 0.8,
    each times 1 + 64 / rows of a chunk, since small chunks make small products. The choice follows from sizes alone and
    not from a clock, so it is the same every time.
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

    def resolve(self, problem: Problem) -> tuple[StateStore, int]:
        """Return the store and the chunk length with the least work within the budget."""
        budget = free_memory() // 2 if self.budget is None else int(self.budget)
        choices = list(_choices(problem, budget))
        if not choices:
            smallest = _smallest(problem)
            raise OptionError(
                f"store 'auto': no exact store fits into {human_bytes(budget)}; "
                f"the smallest budget that is enough is {human_bytes(smallest)} (budget={smallest})"
            )
        best = min(choices, key=lambda choice: (choice.work, choice.held, len(render(choice.store))))
        return best.store, best.length  # of equal ones the simpler


@attrs.frozen
class _Choice:
    """A store that fits with chunks of `length` steps: its work, and the bytes that one shard holds."""

    store: StateStore
    length: int
    work: float
    held: int


def _choices(problem: Problem, budget: int) -> Iterator[_Choice]:
    """Yield every exact store that fits, for falling chunk lengths.

    A store that fails is left out and told, whoever provides it: the others can do without it.
    """
    kinds = [kind for kind in problem.stores if kind is not Auto and kind.exact]
    least = math.inf
    for length in _lengths(problem):
        if problem.steps is not None and least <= work_of(problem.steps, 2.0 * problem.steps, length * problem.batch):
            return  # with no step run twice it would be no faster
        for kind in list(kinds):
            try:
                choices = list(_fitting(kind, problem, length, budget))
            except Exception as error:
                problem.leave_out(kind, error)
                kinds.remove(kind)
                continue
            least = min([least, *(choice.work for choice in choices)])
            yield from choices


def _fitting(kind: type[StateStore], problem: Problem, length: int, budget: int) -> Iterator[_Choice]:
    for store in kind.fit(problem, length, budget):
        simulation, costs = problem.simulated(store, length)
        held = costs.held(simulation)
        if simulation.bounded and not store.rounds and held <= costs.share(budget):
            yield _Choice(store, length, work(store, simulation, length * problem.batch), held)


REBUILD = {"whole": 0.0, "lean": 0.1, "states": 0.8, "bfloat16": 0.1}
"""What rebuilding a tape costs, in forward steps."""


def work(store: StateStore, simulation: Simulation, rows: int) -> float:
    """Return the work of a simulated schedule whose chunks have that many rows, in forward steps of a large chunk."""
    return work_of(simulation.forward_steps, (2 + REBUILD[store.tape_retention]) * simulation.reverse_steps, rows)


def work_of(forward: float, reverse: float, rows: int) -> float:
    """Return the work of so many forward steps and of reverse steps that weigh as much, in chunks of so many rows."""
    return (forward + reverse) * (1 + 64 / rows)


def _lengths(problem: Problem) -> list[int]:
    """Return the chunk lengths to try: the caller's, or the default, halved until it is one."""
    lengths = [problem.default_chunk]
    while problem.chunk is None and lengths[-1] > 1:
        lengths.append(lengths[-1] // 2)
    return lengths


def _smallest(problem: Problem) -> int:
    """Return the fewest bytes with which a store that keeps states and whole tapes would do: one of each."""
    costs = problem.costs(Auto(), _lengths(problem)[-1])
    return (costs.fixed + costs.snapshot + costs.tape) * costs.shards


@hookimpl
def rnnframe_state_stores() -> Iterable[type[StateStore]]:
    """Provide auto."""
    return [Auto]
