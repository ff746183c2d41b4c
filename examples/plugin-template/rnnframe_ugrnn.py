"""The update gate RNN, one gate and two thirds of a GRU's parameters.

Collins, Sohl-Dickstein & Sussillo (2017), "Capacity and trainability in recurrent neural networks", arXiv 1611.09913.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, Cell, StepCell, hookimpl, sigmoid


@attrs.frozen(kw_only=True)
class UGRNN(StepCell):
    """h_t = g ∘ h_(t-1) + (1 - g) ∘ c with c = tanh, g = σ of x_t U + h_(t-1) W + b; columns in the order c, g."""

    name: ClassVar[str] = "ugrnn"
    gate_bias: float = attrs.field(default=1.0, metadata={"help": "bias of g at first: how long h is remembered"})

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Name -> shape."""
        H = self.hidden
        return {"U": (inputs, 2 * H), "W": (H, 2 * H), "b": (2 * H,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw the matrices; remember, to begin with."""
        super().initialize(parameters, rng)
        parameters["b"][self.hidden :] = self.gate_bias

    def step(self, p: Arrays, xU: Array, state: Arrays, /) -> Mapping[str, Array]:
        """One time step."""
        c, g = self._gates(p, xU, state["h"])
        return {"h": g * state["h"] + (1 - g) * c}

    def step_backward(
        self, p: Arrays, xU: Array, state: Arrays, after: Arrays, dafter: Arrays, dp: Arrays, /
    ) -> tuple[Array, Mapping[str, Array]]:
        """Add into `dp`; return the gradients of xU and of the state before the step."""
        h, dh = state["h"], dafter["h"]
        c, g = self._gates(p, xU, h)
        dz_c = dh * (1 - g) * (1 - c * c)
        dz_g = dh * (h - c) * g * (1 - g)
        dz = np.concatenate([dz_c, dz_g], axis=1)
        dp["W"] += h.T @ dz
        dp["b"] += dz.sum(axis=0)
        return dz, {"h": dh * g + dz @ p["W"].T}

    def _gates(self, p: Arrays, xU: Array, h: Array) -> tuple[Array, Array]:
        z_c, z_g = np.split(xU + h @ p["W"] + p["b"], 2, axis=1)
        return np.tanh(z_c), sigmoid(z_g)


@hookimpl
def rnnframe_cells() -> Iterable[type[Cell]]:
    """Provide the cell."""
    return [UGRNN]
