"""The conformance suite of optimizers, with the formula of the paper as a reference."""

import numpy as np

from rnnframe import testing
from rnnframe.arrays import Array


class TestExample(testing.OptimizerTests):
    """Every check of the suite."""

    optimizer = "example:lr=0.01,beta=0.8"

    def reference(self, start: Array, gradients: list[Array]) -> Array:
        """Return the parameters after every update."""
        momentum, steps = np.zeros_like(start), []
        for gradient in gradients:
            momentum = 0.8 * momentum + 0.2 * gradient
            steps.append(-0.01 * np.sign(momentum))
        return start + np.cumsum(steps, axis=0)
