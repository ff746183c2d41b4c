"""The checks of optimizers that take one parameter after the other, with its name and shape."""

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.optimizer import NamedOptimizer, Optimizer
from rnnframe.registry.specs import Spec, build, render
from rnnframe.testing.suite import Suite, fail, skip
from rnnframe.testing.tables import expect_close, expect_same_bits
from rnnframe.testing.updates import NamedRun, random_walk

SHAPES = {"layer0.U": (3, 8), "layer0.W": (6, 4), "layer0.b": (5,), "head.V": (4, 4), "head.c": (1,)}
UPDATES = 12


class NamedParameterChecks(Suite):
    """What holds for a `NamedOptimizer`, for matrices of several shapes and for vectors; other optimizers skip it."""

    def reference_parameter(self, name: str, start: Array, gradients: list[Array]) -> Array | None:
        """Return one parameter after every update [updates, *shape] as the paper has it; none by default."""
        return None

    def test_the_slots_of_a_named_parameter_have_names_and_shapes(self) -> None:
        """`slot_shapes` is the same at every call; those of a vector without a name are `slots()`."""
        subject = self._named()
        for name, shape in SHAPES.items():
            shapes = subject.slot_shapes(name, shape)
            if shapes != subject.slot_shapes(name, shape):
                fail(f"slot_shapes({name!r}, {shape}) is not the same at every call")
            for slot, dims in shapes.items():
                if not slot or not all(isinstance(n, int) and n > 0 for n in dims):
                    fail(f"slot_shapes({name!r}, {shape}) gives {slot!r} the shape {dims!r}; expected whole numbers")
        expected = dict.fromkeys(subject.slots(), (7,))
        if dict(subject.slot_shapes("", (7,))) != expected:
            fail(f"slot_shapes('', (7,)) is {subject.slot_shapes('', (7,))!r}; expected {expected!r}, as slots() says")

    def test_a_named_parameter_is_changed_in_place_in_its_shape(self) -> None:
        """The array is written to and none beside it, and every slot is used."""
        for name, shape in SHAPES.items():
            for dtype in ("float32", "float64"):
                run, start, _ = self._named_after(name, shape, UPDATES, dtype)
                if not np.isfinite(run.value).all() or (run.value == start).all():
                    fail(f"{name} {list(shape)} {dtype} becomes {run.value.ravel()[0]} of {start.ravel()[0]}")
                for slot, array in run.slots.items():
                    if not array.any():
                        fail(f"slot {slot!r} of {name} {list(shape)} is still zero after {UPDATES} updates")

    def test_a_named_parameter_goes_on_bit_for_bit(self) -> None:
        """A new object goes on from the parameter, its slots and the number of updates."""
        subject = self._named()
        spec = Spec.parse(render(subject), "optimizer")
        for name, shape in SHAPES.items():
            through, _, gradients = self._named_after(name, shape, UPDATES)
            begun, _, _ = self._named_after(name, shape, UPDATES // 2)
            again = NamedRun(build(type(subject), spec.options, "optimizer", spec.name), name, begun.value.copy())
            again.step = begun.step
            for slot, array in begun.slots.items():
                again.slots[slot][...] = array
            for gradient in gradients[begun.step :]:
                again.update(gradient)
            expect_same_bits(name, again.value, through.value, ("resumed", "in one go"))
            for slot, array in through.slots.items():
                expect_same_bits(f"slot {slot!r} of {name}", again.slots[slot], array, ("resumed", "in one go"))

    def test_a_named_parameter_follows_the_scheduled_learning_rate(self) -> None:
        """With zero it does not move, and the option `lr` is not looked at."""
        subject = self._named()
        other = attrs.evolve(subject, lr=subject.lr * 3)
        for name, shape in SHAPES.items():
            still, start, _ = self._named_after(name, shape, 3, lr=0.0)
            expect_same_bits(f"{name} after updates with lr=0", still.value, start, ("after", "before"))
            one, _, _ = self._named_after(name, shape, 3, lr=1e-3)
            two, _, _ = self._named_after(name, shape, 3, lr=1e-3, optimizer=other)
            what = f"{name}, with the option lr three times as large but the same lr at every update,"
            expect_same_bits(what, two.value, one.value, ("found", "expected"))

    def test_a_gradient_of_zero_does_a_named_parameter_no_harm(self) -> None:
        """Nothing becomes NaN, and no value moves away from zero."""
        subject = self._named()
        for name, shape in SHAPES.items():
            run = NamedRun(subject, name, self._walk(shape, "float32")[0])
            for _ in range(5):
                before = run.value.copy()
                run.update(np.zeros_like(before))
                if not np.isfinite(run.value).all() or (np.abs(run.value) > np.abs(before)).any():
                    fail(f"a gradient of zero moves {name} away from zero: {before} to {run.value}")

    def test_a_named_parameter_in_float32_follows_float64(self) -> None:
        """Both precisions follow the same rule."""
        for name, shape in SHAPES.items():
            single, double = (
                self._named_after(name, shape, UPDATES, dtype)[0].value for dtype in ("float32", "float64")
            )
            expect_close(name, single, double, 1e-3, ("float32", "float64"))

    def test_every_update_of_a_named_parameter_is_that_of_the_reference(self) -> None:
        """The trajectory equals the one that `reference_parameter` gives, where the author has written it."""
        self._named()
        for name, shape in SHAPES.items():
            start, gradients = self._walk(shape, "float64", scales=True)
            wanted = self.reference_parameter(name, start.copy(), [gradient.copy() for gradient in gradients])
            if wanted is None:
                skip("no reference_parameter(name, start, gradients) is given")
            run = NamedRun(self._named(), name, start)
            for n, gradient in enumerate(gradients):
                run.update(gradient)
                expect_close(f"{name} after update {n + 1}", run.value, wanted[n], 1e-9, ("found", "reference"))

    def _named(self) -> NamedOptimizer:
        subject = self.subject
        if not isinstance(subject, NamedOptimizer):
            skip("it takes flat vectors, without names")
        return subject

    def _walk(self, shape: tuple[int, ...], dtype: str, *, scales: bool = False) -> tuple[Array, list[Array]]:
        start, gradients = random_walk(int(np.prod(shape)), UPDATES, dtype, scales=scales)
        return start.reshape(shape), [gradient.reshape(shape) for gradient in gradients]

    def _named_after(
        self,
        name: str,
        shape: tuple[int, ...],
        updates: int,
        dtype: str = "float64",
        lr: float | None = None,
        optimizer: Optimizer | None = None,
    ) -> tuple[NamedRun, Array, list[Array]]:
        start, gradients = self._walk(shape, dtype)
        named = optimizer if isinstance(optimizer, NamedOptimizer) else self._named()
        run = NamedRun(named, name, start)
        for gradient in gradients[:updates]:
            run.update(gradient, lr)
        return run, start, gradients
