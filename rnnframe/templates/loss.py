"""A loss for rnnframe: the pseudo-Huber loss, quadratic near the target and a line where the error is large.

Charbonnier, Blanc-Féraud, Aubert & Barlaud (1997), "Deterministic edge-preserving regularization in computed imaging",
IEEE Transactions on Image Processing 6. Replace the formula with yours: `losses_and_gradients` computes the loss of
each row and its gradient, which the tests compare with finite differences.
"""

from collections.abc import Iterable
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import ge, gt

from rnnframe.plugin import Array, Loss, hookimpl


@attrs.frozen(kw_only=True)
class Example(Loss):
    """δ² (√(1 + (e/δ)²) - 1) with e = o - y, summed over the outputs."""

    name: ClassVar[str] = "example"
    outputs: int = attrs.field(default=1, validator=ge(1), metadata={"help": "number of outputs"})
    delta: float = attrs.field(
        default=1.0, validator=gt(0), metadata={"help": "error δ from which on the loss is nearly a line"}
    )

    @property
    def width(self) -> int:
        """The outputs."""
        return self.outputs

    def losses_and_gradients(self, o: Array, y: Array) -> Array:
        """Return the loss of each row [rows]; o [rows, width] becomes the gradient."""
        error = o - y
        root = np.hypot(1, error / self.delta)
        np.divide(error, root, out=o)
        losses: Array = (self.delta**2 * (root - 1)).sum(axis=1)
        return losses


@hookimpl
def rnnframe_losses() -> Iterable[type[Loss]]:
    """Provide the loss."""
    return [Example]
