"""The conformance suite of optimizers."""

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.optimizer import NamedOptimizer, Optimizer
from rnnframe.registry.specs import Spec, build, render
from rnnframe.testing.named_optimizers import SHAPES, NamedParameterChecks
from rnnframe.testing.problems import PROBLEMS, Problem
from rnnframe.testing.suite import CheckReport, fail, run, skip
from rnnframe.testing.tables import expect_close, expect_same_bits
from rnnframe.testing.updates import RATES, Updates, descend, random_walk, rates_for

SIZE, UPDATES = 7, 30
LONG = 40_001  # longer than any piece that an optimizer may cut its vectors into


class OptimizerTests(NamedParameterChecks):
    """All that an optimizer must hold to.

        class TestMyOptimizer(rnnframe.testing.OptimizerTests):
            optimizer = "my-optimizer:lr=0.01"

    It covers a `NamedOptimizer` too: as a rule for flat vectors, and for named parameters of several shapes.

    optimizer: the optimizer or its spec. updates: how many it may need, by problem, with the best of several learning
    rates that fall to zero. remaining: the share of the starting loss that is good enough.
    """

    kind: ClassVar[str] = "optimizer"
    optimizer: ClassVar[Optimizer | str]
    updates: ClassVar[dict[str, int]] = {"quadratic": 4000, "rosenbrock": 20_000}
    remaining: ClassVar[float] = 1e-2

    def reference(self, start: Array, gradients: list[Array]) -> Array | None:
        """Return the parameters after every update [updates, size] as the paper has them; none by default.

        The learning rate is the option `lr` at every update.
        """
        return None

    def test_the_slots_are_names(self) -> None:
        """`slots` returns distinct names, always the same."""
        names = self.subject.slots()
        if not isinstance(names, tuple) or any(not isinstance(name, str) or not name for name in names):
            fail(f"slots() is {names!r}; expected a tuple of names, such as ('mean', 'square')")
        if len(set(names)) != len(names) or self.subject.slots() != names:
            fail(f"slots() is {names!r}; expected distinct names, the same at every call")

    def test_every_parameter_is_changed_in_place_in_vectors_of_any_length(self) -> None:
        """The vectors that are handed in are written to, to their last entry and not beyond."""
        for dtype in ("float32", "float64"):
            for size in (1, SIZE, LONG):
                start, gradients = random_walk(size, 3, dtype)
                run = self._run(start)
                for gradient in gradients:
                    run.update(gradient)
                if not np.isfinite(run.parameters).all():
                    fail(f"parameters become {run.parameters[~np.isfinite(run.parameters)][0]}, {dtype}")
                still = np.flatnonzero(run.parameters == start)
                if still.size > size // 100:
                    place = f"entry {still[0]} of {size}"
                    fail(f"{still.size} parameters do not move in three updates with gradients, the first at {place}")

    def test_the_order_of_the_parameters_does_not_matter(self) -> None:
        """Parameters, gradients and slots belong together by their place in the vector, also in long ones."""
        for size in (SIZE, LONG):
            start, gradients = random_walk(size, 4, "float64")
            order = np.random.default_rng(2).permutation(size)
            straight, mixed = self._run(start), self._run(start[order])
            for gradient in gradients:
                straight.update(gradient)
                mixed.update(gradient[order])
            titles = "shuffled", "in order"
            expect_close(
                f"parameters of a vector of {size}", mixed.parameters, straight.parameters[order], 1e-9, titles
            )

    def test_the_optimizer_of_a_parameter_has_the_same_slots(self) -> None:
        """`for_parameter` returns an optimizer of the same class and slots, the same one at every call."""
        for name, shape in SHAPES.items():
            one, two = (self.subject.for_parameter(name, shape) for _ in range(2))
            where = f"for_parameter({name!r}, {shape})"
            if type(one) is not type(self.subject) or one != two:
                fail(f"{where} gives {one!r}, then {two!r}; expected equal ones of {type(self.subject).__name__}")
            if one.slots() != self.subject.slots():
                fail(f"{where} has slots {one.slots()!r}; expected {self.subject.slots()!r}, as without a name")

    def test_a_vector_may_be_updated_in_parts(self) -> None:
        """Groups of parameters hand a flat rule parts of the vectors; a `NamedOptimizer` may look at a whole array."""
        if isinstance(self.subject, NamedOptimizer):
            skip("it takes named parameters, each as a whole")
        start, gradients = random_walk(SIZE, 5, "float64")
        whole = self._run(start)
        parts = [(part, self._run(start[part])) for part in (slice(0, 1), slice(1, 5), slice(5, SIZE))]
        for gradient in gradients:
            whole.update(gradient)
            for part, alone in parts:
                alone.update(gradient[part])
        joined = np.concatenate([alone.parameters for _, alone in parts])
        expect_close("parameters", joined, whole.parameters, 1e-9, ("in parts", "as a whole"))

    def test_every_slot_is_used(self) -> None:
        """No slot is declared that stays zero: each costs as much memory as the parameters."""
        run, _ = self._after(UPDATES)
        for name, slot in run.slots.items():
            if not slot.any():
                fail(f"slot {name!r} is still zero after {UPDATES} updates; leave it out of slots()")

    def test_a_run_goes_on_bit_for_bit_from_parameters_slots_and_step(self) -> None:
        """A new object goes on where another one stopped: nothing is remembered anywhere else."""
        for dtype in ("float32", "float64"):
            through, gradients = self._after(UPDATES, dtype)
            begun, _ = self._after(UPDATES // 2, dtype)
            again = self._run(begun.parameters.copy(), _anew(self.subject))
            again.step = begun.step
            for name, slot in begun.slots.items():
                again.slots[name][...] = slot
            self._after(3, dtype)  # another run in between
            for gradient in gradients[begun.step :]:
                again.update(gradient)
            titles = "resumed", "in one go"
            expect_same_bits(f"parameters, {dtype}", again.parameters, through.parameters, titles)
            for name, slot in through.slots.items():
                expect_same_bits(f"slot {name!r}, {dtype}", again.slots[name], slot, titles)

    def test_the_scheduled_learning_rate_is_the_one_that_counts(self) -> None:
        """`lr` is handed to each update: with zero nothing moves, and the option `lr` is not looked at."""
        start, gradients = random_walk(SIZE, 4, "float64")
        still, one = self._run(start), self._run(start)
        other = self._run(start, attrs.evolve(self.subject, lr=self.subject.lr * 3))
        for gradient in gradients:
            still.update(gradient, lr=0.0)
            one.update(gradient, lr=1e-3)
            other.update(gradient, lr=1e-3)
        expect_same_bits("parameters after updates with lr=0", still.parameters, start, ("after", "before"))
        what = "parameters, with the option lr three times as large but the same lr at every update,"
        expect_same_bits(what, other.parameters, one.parameters, ("found", "expected"))

    def test_a_gradient_of_zero_does_no_harm(self) -> None:
        """Nothing becomes NaN, and no parameter moves away from zero."""
        for dtype in ("float32", "float64"):
            start, _ = random_walk(SIZE, 1, dtype)
            run = self._run(start)
            for _ in range(5):
                before = run.parameters.copy()
                run.update(np.zeros_like(start))
                if not np.isfinite(run.parameters).all():
                    fail(f"a gradient of zero makes parameters {run.parameters[0]}, {dtype}")
                if (np.abs(run.parameters) > np.abs(before)).any():
                    fail(f"a gradient of zero moves parameters away from zero: {before} to {run.parameters}")

    def test_float32_gives_the_numbers_of_float64_to_its_precision(self) -> None:
        """Both precisions follow the same rule."""
        single, double = (self._after(UPDATES, dtype)[0] for dtype in ("float32", "float64"))
        expect_close("parameters", single.parameters, double.parameters, 1e-3, ("float32", "float64"))

    def test_it_goes_down_an_ill_conditioned_quadratic(self) -> None:
        """A bowl a hundred times as steep one way as another, within `updates["quadratic"]`."""
        self._expect_descent(PROBLEMS["quadratic"])

    def test_it_goes_down_the_valley_of_rosenbrock(self) -> None:
        """(1 - x)² + 100 (y - x²)² from (-1.2, 1), within `updates["rosenbrock"]`."""
        self._expect_descent(PROBLEMS["rosenbrock"])

    def test_every_update_is_that_of_the_reference(self) -> None:
        """The trajectory equals the one that `reference` gives, where the author has written it."""
        start, gradients = random_walk(SIZE, UPDATES, "float64", scales=True)
        wanted = self.reference(start.copy(), [gradient.copy() for gradient in gradients])
        if wanted is None:
            skip("no reference(start, gradients) is given")
        run = self._run(start)
        for n, gradient in enumerate(gradients):
            run.update(gradient)
            expect_close(f"parameters after update {n + 1}", run.parameters, wanted[n], 1e-9, ("found", "reference"))

    def _run(self, start: Array, optimizer: Optimizer | None = None) -> Updates:
        return Updates(optimizer or self.subject, start)

    def _after(self, updates: int, dtype: str = "float64") -> tuple[Updates, list[Array]]:
        start, gradients = random_walk(SIZE, UPDATES, dtype)
        run = self._run(start)
        for gradient in gradients[:updates]:
            run.update(gradient)
        return run, gradients

    def _expect_descent(self, problem: Problem) -> None:
        updates, optimizer = self.updates[problem.name], self.subject
        best = min((descend(optimizer, problem, updates, rate, self.remaining), rate) for rate in rates_for(optimizer))
        if not best[0] <= self.remaining:
            fail(
                f"after {updates} updates {best[0]:.3g} of the starting loss of {problem.name} is left "
                f"(learning rate {best[1]:g}, the best of {len(RATES) + 1}), more than {self.remaining:g}; "
                f"give more with updates = {{{problem.name!r}: ...}}, or look at the sign of the step"
            )


def _anew(optimizer: Optimizer) -> Optimizer:
    spec = Spec.parse(render(optimizer), "optimizer")
    return build(type(optimizer), spec.options, "optimizer", spec.name)


def check_optimizer(
    optimizer: Optimizer | str, reference: Callable[[Array, list[Array]], Array] | None = None
) -> CheckReport:
    """Put an optimizer through `OptimizerTests` without pytest; `reference` as there, where there is one."""
    body: dict[str, Any] = {"optimizer": optimizer}
    if reference is not None:
        body["reference"] = lambda _, start, gradients: reference(start, gradients)
    return run(type("Checked", (OptimizerTests,), body)())
