"""The conformance suite of heads."""

from typing import ClassVar

import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.head import Head
from rnnframe.testing.differences import expect_slopes
from rnnframe.testing.guarded import Guarded
from rnnframe.testing.suite import CheckReport, Suite, fail, run
from rnnframe.testing.tables import expect_close, expect_same_bits

STEPS, BATCH, UNITS = 4, 3, 5


class Readout:
    """A head with random parameters, a block of h, targets, and the buffers of one reverse."""

    def __init__(self, head: Head, dtype: str = "float64") -> None:
        rng = np.random.default_rng(0)
        kind = np.dtype(dtype)
        lead = (STEPS, BATCH)
        self.head = head
        self.weights = Guarded("weights", head.parameters(UNITS), kind)
        for array in self.weights.values():
            array[...] = rng.normal(scale=0.5, size=array.shape)
        sizes = head.scratch(UNITS).items()
        shapes = {name: size if isinstance(size, tuple) else (*lead, size) for name, size in sizes}
        self.scratch = Guarded("scratch", shapes, kind)
        self.gradients = Guarded("gradients", head.parameters(UNITS), kind)
        self.gradients.fill(0)
        self.h = rng.normal(size=(*lead, UNITS)).astype(kind)
        self.dh = np.full_like(self.h, np.nan)
        y = rng.integers(0, head.width, lead) if head.target_dims == 1 else rng.uniform(size=(*lead, head.width))
        self.y = head.targets(y, kind)

    def loss(self) -> float:
        """Return the sum of the losses of the block."""
        self.scratch.fill(np.nan)
        return self.head.loss(self.weights.handed(), self.h, self.y, self.scratch.handed())

    def reverse(self) -> float:
        """Reverse the readout and return the sum of the losses."""
        self.scratch.fill(np.nan)
        self.dh.fill(np.nan)
        return self.head.reverse(
            self.weights.handed(), self.h, self.y, self.dh, self.gradients.handed(), self.scratch.handed()
        )

    def slopes(self) -> dict[str, Array]:
        """Return copies of what `reverse` computes."""
        return {**self.gradients.contents(), "h": self.dh.copy()}


class HeadTests(Suite):
    """All that a head must hold to.

        class TestMyHead(rnnframe.testing.HeadTests):
            head = MyHead(outputs=3)

    head: the head or its spec. tolerance: the largest relative difference of a slope.
    """

    kind: ClassVar[str] = "head"
    head: ClassVar[Head | str]
    tolerance: ClassVar[float] = 1e-6

    def test_gradients_are_those_of_finite_differences(self) -> None:
        """For every parameter and for h: what `reverse` gives is the slope of `loss`."""
        readout = Readout(self.subject)
        readout.reverse()
        slopes = readout.slopes()
        for name, point in {**readout.weights, "h": readout.h}.items():
            expect_slopes(f"gradient of {name}", slopes[name], point, readout.loss, self.tolerance, seed=0)

    def test_training_and_evaluation_have_one_loss(self) -> None:
        """`reverse` returns the sum over steps and samples that `loss` returns."""
        readout = Readout(self.subject)
        trained, evaluated = np.array(readout.reverse()), np.array(readout.loss())
        expect_close("sum of the losses", trained, evaluated, 1e-12, ("in reverse", "in loss"))

    def test_reverse_adds_into_the_gradients_and_leaves_its_inputs_alone(self) -> None:
        """Two reverses give twice as much; h, targets and weights stay; nothing is written beside the arrays."""
        readout = Readout(self.subject)
        h, y, weights = readout.h.copy(), readout.y.copy(), readout.weights.contents()
        readout.reverse()
        once = readout.slopes()
        readout.reverse()
        for name, array in readout.gradients.items():
            expect_close(f"gradient of {name} after two", array, 2 * once[name], 1e-11, ("found", "expected"))
        expect_same_bits("dL/dh of the second", readout.dh, once["h"], ("second", "first"))
        for what, now, before in (("h", readout.h, h), ("y", readout.y, y)):
            expect_same_bits(f"{what} after reverse", now, before, ("after", "before"))
        for name, array in weights.items():
            expect_same_bits(f"weights[{name!r}] after reverse", readout.weights[name], array, ("after", "before"))
        for arrays in (readout.weights, readout.scratch, readout.gradients):
            arrays.verify("reverse")

    def test_float32_gives_the_numbers_of_float64_to_its_precision(self) -> None:
        """Both precisions compute the same function."""
        single, double = Readout(self.subject, "float32"), Readout(self.subject)
        losses = [np.array(readout.reverse()) for readout in (single, double)]
        expect_close("sum of the losses", losses[0], losses[1], 1e-5, ("float32", "float64"))
        for name, value in double.slopes().items():
            expect_close(f"gradient of {name}", single.slopes()[name], value, 1e-4, ("float32", "float64"))

    def test_a_loss_of_large_outputs_is_finite(self) -> None:
        """Outputs of a thousand overflow no exponential."""
        readout = Readout(self.subject)
        readout.h *= 1000
        if not np.isfinite(readout.reverse()) or not all(np.isfinite(a).all() for a in readout.slopes().values()):
            fail("loss or gradient of outputs of size 1000 is not finite; subtract the largest before an exponential")


def check_head(head: Head | str) -> CheckReport:
    """Put a head through `HeadTests` without pytest."""
    return run(type("Checked", (HeadTests,), {"head": head})())
