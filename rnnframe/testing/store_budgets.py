"""Checks of a store that is given a number of bytes: it keeps to them, and names the fewest that would do."""

import re

import attrs

from rnnframe.contracts.kernels import NUMPY
from rnnframe.contracts.store import Problem
from rnnframe.engine.engine import Engine
from rnnframe.engine.plan import costs_of
from rnnframe.errors import OptionError
from rnnframe.network.network import Network
from rnnframe.sizes import ByteSize
from rnnframe.testing.store_suite import Case, StoreSuite
from rnnframe.testing.suite import fail, skip

BUDGETS = tuple(2**n + n for n in range(6, 24, 2))  # bytes
BUDGETED = (Case(5, 2, 2), Case(40, 2, 4), Case(64, 3, 1, shards=2))


class StoreBudgetChecks(StoreSuite):
    """A store with an option `budget`."""

    def test_a_budget_is_kept_or_refused_with_the_smallest_that_would_do(self) -> None:
        """No run is planned beyond the bytes of `budget`, and the smallest that a refusal names is enough."""
        if not hasattr(self.subject, "budget"):
            skip("the store has no option budget")
        network = self.network("float32")
        for case in BUDGETED:
            for budget in BUDGETS:
                held = self._planned(network, case, budget)
                if isinstance(held, int):
                    if held > budget:
                        fail(f"{case}: budget={budget} bytes, but {held} are planned")
                    continue
                named = re.findall(r"budget=(\d+)|(\d+) bytes", held)
                if not named or int("".join(named[-1])) <= budget:
                    fail(f"{case}: budget={budget} is refused without the smallest that would do (budget=N): {held}")
                smallest = int("".join(named[-1]))
                held = self._planned(network, case, smallest)
                if not isinstance(held, int) or held > smallest:
                    told = "are refused" if isinstance(held, str) else f"plan {held}"
                    fail(f"{case}: {smallest} bytes are named as the smallest budget that would do, and {told}")
                if isinstance(self._planned(network, case, smallest - 1), int):
                    fail(f"{case}: {smallest} bytes are named as the smallest budget, and one byte less does, too")

    def test_what_fits_within_a_budget_holds_no_more(self) -> None:
        """Every store that `fit` returns keeps to the budget, and what fits into fewer bytes fits into more."""
        if self.chooses:
            skip("the store chooses another one, and is not asked")
        network = self.network("float32")
        for steps, length in ((5, 2), (40, 4), (64, 1)):
            problem = Problem(
                steps=steps,
                batch=3,
                shards=1,
                chunk=None,
                usual_chunk=network.usual_chunk(3),
                costs=lambda store, chunk: costs_of(network, store, None, 3, chunk, 1),
                stores=(),
            )
            fitted = False
            for budget in BUDGETS:
                stores = list(type(self.subject).fit(problem, length, budget))
                for store in stores:
                    simulation, costs = problem.simulated(store, length)
                    held = costs.held(simulation)
                    if not simulation.bounded or held > budget:
                        fail(f"fit, {steps} steps in chunks of {length}: {held} bytes are held of {budget}")
                if fitted and not stores:
                    fail(f"fit, {steps} steps in chunks of {length}: nothing within {budget} bytes, but within fewer")
                fitted = bool(stores)

    def _planned(self, network: Network, case: Case, budget: int) -> int | str:
        """Return the bytes planned for all shards, or the refusal."""
        try:
            store = attrs.evolve(self.subject, budget=ByteSize(budget))
        except ValueError as conflict:
            skip(f"the options leave no room for a budget: {conflict.args[0]}")
        engine = Engine(network, store, chunk=case.chunk, shards=case.shards, kernels=NUMPY)
        try:
            plans = engine.run_plan(case.steps, case.batch).shards
        except OptionError as refusal:
            return str(refusal)
        predicted = [plan.predicted_bytes for plan in plans]
        return sum(held if held is not None else fail("no bound is predicted") for held in predicted)
