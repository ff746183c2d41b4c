"""The conformance suites of heads, losses and readouts."""

from typing import ClassVar

import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.head import Head
from rnnframe.contracts.loss import Loss
from rnnframe.contracts.readout import Readout
from rnnframe.registry.registry import default_registry
from rnnframe.registry.specs import render
from rnnframe.testing.differences import expect_slopes
from rnnframe.testing.guarded import Guarded
from rnnframe.testing.suite import CheckReport, Suite, fail, run
from rnnframe.testing.tables import expect_close, expect_same_bits

STEPS, BATCH, UNITS = 4, 3, 5


class Bench:
    """A head with random parameters, a block of h, targets, weights of the losses, and the buffers of one reverse."""

    def __init__(self, head: Head, dtype: str = "float64", *, weighted: bool = False) -> None:
        rng = np.random.default_rng(0)
        kind, lead = np.dtype(dtype), (STEPS, BATCH)
        self.head = head
        shapes = head.readout.parameters(UNITS, head.width)
        self.weights = Guarded("weights", shapes, kind)
        for array in self.weights.values():
            array[...] = rng.normal(scale=0.5, size=array.shape)
        self.derived = Guarded("derived", head.readout.derived(UNITS, head.width), kind)
        sizes = head.readout.scratch(UNITS, head.width).items()
        working = {name: size if isinstance(size, tuple) else (*lead, size) for name, size in sizes}
        self.scratch = Guarded("scratch", working, kind)
        self.gradients = Guarded("gradients", shapes, kind)
        self.gradients.fill(0)
        self.h = rng.normal(size=(*lead, UNITS)).astype(kind)
        self.dh = np.full_like(self.h, np.nan)
        width = head.loss.target_width
        y = rng.integers(0, head.width, lead) if width is None else rng.uniform(size=(*lead, width))
        self.y = head.loss.targets(y, kind)
        self.factors = rng.uniform(0, 2, lead).astype(kind) if weighted else None

    def _handed_weights(self) -> dict[str, Array]:
        """Return the parameters and what the readout derives from them as they are now."""
        self.derived.fill(np.nan)
        weights = {**self.weights.handed(), **self.derived.handed()}
        self.head.readout.derive(weights)
        self.head.readout.derive_reverse(weights)
        return weights

    def loss(self) -> float:
        """Return the sum of the losses of the block."""
        self.scratch.fill(np.nan)
        return self.head.sum_of_losses(self._handed_weights(), self.h, self.y, self.factors, self.scratch.handed())

    def reverse(self) -> float:
        """Reverse the head and return the sum of the losses."""
        self.scratch.fill(np.nan)
        self.dh.fill(np.nan)
        gradients, scratch = self.gradients.handed(), self.scratch.handed()
        return self.head.reverse(self._handed_weights(), self.h, self.y, self.factors, self.dh, gradients, scratch)

    def slopes(self) -> dict[str, Array]:
        """Return copies of what `reverse` computes."""
        return {**self.gradients.contents(), "h": self.dh.copy()}


class HeadTests(Suite):
    """All that a head, a readout with a loss, must hold to.

        class TestMyHead(rnnframe.testing.HeadTests):
            head = "my-loss:outputs=3,readout=my-readout"

    head: the head or its spec. tolerance: the largest relative difference of a slope.
    """

    kind: ClassVar[str] = "head"
    head: ClassVar[Head | Loss | str]
    tolerance: ClassVar[float] = 1e-6

    @property
    def whole(self) -> Head:
        """The head under test."""
        head: Head = self.subject
        return head

    def test_the_options_written_down_make_an_equal_object(self) -> None:
        """`render` writes the options down, and the registry makes an equal head of them."""
        text = render(self.whole)
        again = default_registry().head(text)
        if again != self.whole:
            fail(f"{text!r} makes {again!r}, which is not equal to {self.whole!r}")

    def test_gradients_are_those_of_finite_differences(self) -> None:
        """For every parameter and for h, with and without weights: what `reverse` gives is the slope of the loss."""
        for weighted in (False, True):
            bench = Bench(self.whole, weighted=weighted)
            bench.reverse()
            slopes = bench.slopes()
            for name, point in {**bench.weights, "h": bench.h}.items():
                expect_slopes(f"gradient of {name}", slopes[name], point, bench.loss, self.tolerance, seed=0)

    def test_a_weight_of_two_counts_like_two_losses_and_one_of_zero_like_none(self) -> None:
        """Losses are weighted sums: twice the weight is twice the loss and the count, and zero leaves nothing."""
        once, twice, never = (Bench(self.whole) for _ in range(3))
        twice.factors, never.factors = (np.full((STEPS, BATCH), factor) for factor in (2.0, 0.0))
        counts = [bench.head.loss.count(bench.y, bench.factors) for bench in (once, twice, never)]
        losses = [bench.reverse() for bench in (once, twice, never)]
        expect_close("sum of the losses", np.array(losses[1]), np.array(2 * losses[0]), 1e-12, ("weighted", "twice"))
        if counts[1] != 2 * counts[0] or counts[2] != 0 or losses[2] != 0:
            fail(f"count() gives {counts} for weights of 1, 2 and 0, and the losses are {losses}")
        for name, value in once.slopes().items():
            expect_close(f"gradient of {name}", twice.slopes()[name], 2 * value, 1e-11, ("weighted", "twice"))

    def test_training_and_evaluation_have_one_loss(self) -> None:
        """`reverse` returns the sum over steps and samples that `sum_of_losses` returns."""
        bench = Bench(self.whole)
        trained, evaluated = np.array(bench.reverse()), np.array(bench.loss())
        expect_close("sum of the losses", trained, evaluated, 1e-12, ("in reverse", "in loss"))

    def test_reverse_adds_into_the_gradients_and_leaves_its_inputs_alone(self) -> None:
        """Two reverses give twice as much; h, targets and weights stay; nothing is written beside the arrays."""
        bench = Bench(self.whole)
        h, y, weights = bench.h.copy(), bench.y.copy(), bench.weights.contents()
        bench.reverse()
        once = bench.slopes()
        bench.reverse()
        for name, array in bench.gradients.items():
            expect_close(f"gradient of {name} after two", array, 2 * once[name], 1e-11, ("found", "expected"))
        expect_same_bits("dL/dh of the second", bench.dh, once["h"], ("second", "first"))
        for what, now, before in (("h", bench.h, h), ("y", bench.y, y)):
            expect_same_bits(f"{what} after reverse", now, before, ("after", "before"))
        for name, array in weights.items():
            expect_same_bits(f"weights[{name!r}] after reverse", bench.weights[name], array, ("after", "before"))
        for arrays in (bench.weights, bench.derived, bench.scratch, bench.gradients):
            arrays.verify("reverse")

    def test_float32_gives_the_numbers_of_float64_to_its_precision(self) -> None:
        """Both precisions compute the same function."""
        single, double = Bench(self.whole, "float32"), Bench(self.whole)
        losses = [np.array(bench.reverse()) for bench in (single, double)]
        expect_close("sum of the losses", losses[0], losses[1], 1e-5, ("float32", "float64"))
        for name, value in double.slopes().items():
            expect_close(f"gradient of {name}", single.slopes()[name], value, 1e-4, ("float32", "float64"))

    def test_a_loss_of_large_outputs_is_finite(self) -> None:
        """Outputs of a thousand overflow no exponential."""
        bench = Bench(self.whole)
        bench.h *= 1000
        if not np.isfinite(bench.reverse()) or not all(np.isfinite(a).all() for a in bench.slopes().values()):
            fail("loss or gradient of outputs of size 1000 is not finite; subtract the largest before an exponential")


class LossTests(HeadTests):
    """All that a loss must hold to, behind the usual readout.

    class TestMyLoss(rnnframe.testing.LossTests):
        loss = MyLoss(outputs=3)
    """

    kind: ClassVar[str] = "loss"
    loss: ClassVar[Loss | str]
    test_the_options_written_down_make_an_equal_object = Suite.test_the_options_written_down_make_an_equal_object

    @property
    def whole(self) -> Head:
        """The loss behind the usual readout."""
        return default_registry().head(self.subject)


class ReadoutTests(HeadTests):
    """All that a readout must hold to, in front of a squared error.

    class TestMyReadout(rnnframe.testing.ReadoutTests):
        readout = MyReadout()
    """

    kind: ClassVar[str] = "readout"
    readout: ClassVar[Readout | str]
    test_the_options_written_down_make_an_equal_object = Suite.test_the_options_written_down_make_an_equal_object

    @property
    def whole(self) -> Head:
        """The readout in front of a squared error of three outputs."""
        return Head(loss=default_registry().loss("mse:outputs=3"), readout=self.subject)


def check_head(head: Head | Loss | str) -> CheckReport:
    """Put a head through `HeadTests` without pytest."""
    return run(type("Checked", (HeadTests,), {"head": head})())
