"""What a truncated gradient is the exact gradient of, computed forward only.

The surrogate of a window is the sum of its counted losses with the state before the window held constant. Old weights:
each step is run with the parameters of its time, and all of them are moved together.
"""

from collections.abc import Sequence

import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.contracts.kernels import NUMPY
from rnnframe.engine.inference import Inference
from rnnframe.network.network import Network
from rnnframe.testing.store_suite import Window


class Surrogate:
    """The loss of windows over one sequence: x, y, the state before it, and the parameters at every step."""

    def __init__(self, network: Network, x: Array, y: Array, state: Arrays, parameters: Sequence[Array]) -> None:
        self._inference = Inference(network, kernels=NUMPY)
        self._x, self._y, self._parameters = x, y, parameters
        self._states: list[Arrays] = [state]
        for step in range(len(x)):
            self._states.append(self._run(self._states[step], step, step + 1, np.zeros_like(parameters[0]))[1])

    def slope(self, windows: Sequence[Window], direction: Array, step: float = 1e-3) -> float:
        """Return the slope of the windows' summed losses where all parameters move along `direction`."""

        def total(distance: float) -> float:
            return sum(self._loss(window, distance * direction) for window in windows)

        near, far = total(step) - total(-step), total(2 * step) - total(-2 * step)
        return (8 * near - far) / (12 * step)

    def _loss(self, window: Window, shift: Array) -> float:
        first, counted, end = window
        _, state = self._run(self._states[first], first, counted, shift)
        return self._run(state, counted, end, shift)[0]

    def _run(self, state: Arrays, start: int, stop: int, shift: Array) -> tuple[float, Arrays]:
        """Return the sum of the losses of the steps [start, stop) and the state after them."""
        network, loss = self._inference.network, 0.0
        kept = network.parameters.flat.copy()
        try:
            while start < stop:
                end = start + 1
                while end < stop and self._parameters[end] is self._parameters[start]:
                    end += 1
                network.parameters.flat[:] = self._parameters[start] + shift
                found = self._inference.evaluate(self._x[start:end], self._y[start:end], state)
                loss, state, start = loss + found.loss * found.count, found.state, end
        finally:
            network.parameters.flat[:] = kept
            network.weights.derive()
        return loss, state
