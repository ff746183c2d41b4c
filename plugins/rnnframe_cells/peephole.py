"""peephole-lstm: gates that see the memory. Gers & Schmidhuber (2000), "Recurrent nets that time and count", IJCNN.

    i, f = σ of (x_t U + h_(t-1) W + p ∘ c_(t-1) + b)       g = tanh(x_t U_g + h_(t-1) W_g + b_g)
    c_t = f ∘ c_(t-1) + i ∘ g
    o = σ(x_t U_o + h_(t-1) W_o + p_o ∘ c_t + b_o)          h_t = o ∘ tanh(c_t)

Written as the formula of one step; columns i, f, g, o as in `lstm`, and p with columns i, f, o.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, StepCell, Widths, sigmoid
from rnnframe_cells.gates import gate_columns
from rnnframe_cells.start import (
    fill_matrices,
    fill_zero,
    forget_bias_option,
    init_option,
    learnt_starts,
    start_option,
)


@attrs.frozen(kw_only=True)
class PeepholeLSTM(StepCell):
    """Long short-term memory with peepholes; U [inputs, 4H], W [H, 4H], b [4H], columns i, f, g, o; p [3H]."""

    name: ClassVar[str] = "peephole-lstm"
    init: Literal["orthogonal", "glorot"] | None = init_option()
    start: Literal["learnt"] | None = start_option()
    forget_bias: float = forget_bias_option()

    @property
    def gates(self) -> Mapping[str, tuple[str, slice]]:
        """i, f and o."""
        return gate_columns("if.o", self.hidden)

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W, b and p."""
        H = self.hidden
        shapes = {"U": (inputs, 4 * H), "W": (H, 4 * H), "b": (4 * H,), "p": (3 * H,)}
        return {**shapes, **learnt_starts(self.start, self.state(inputs))}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw U and W; b and p are zero but for f's bias."""
        fill_matrices(parameters, self.hidden, self.init, rng)
        fill_zero(parameters)
        parameters["b"][self.hidden : 2 * self.hidden] = self.forget_bias

    def state(self, inputs: int) -> Widths:
        """The state is h and c."""
        return {"h": self.hidden, "c": self.hidden}

    def tape(self, inputs: int) -> Widths:
        """A step leaves its gates and its state."""
        return {"gates": 4 * self.hidden, "h": self.hidden, "c": self.hidden}

    def step(self, p: Arrays, xU: Array, state: Arrays) -> Mapping[str, Array]:
        """The equations above."""
        z_i, z_f, z_g, z_o = np.split(xU + state["h"] @ p["W"] + p["b"], 4, axis=1)
        p_i, p_f, p_o = np.split(p["p"], 3)
        i, f, g = sigmoid(z_i + p_i * state["c"]), sigmoid(z_f + p_f * state["c"]), np.tanh(z_g)
        c = f * state["c"] + i * g
        o = sigmoid(z_o + p_o * c)
        return {"gates": np.concatenate([i, f, g, o], axis=1), "h": o * np.tanh(c), "c": c}

    def step_backward(
        self, p: Arrays, xU: Array, state: Arrays, after: Arrays, dafter: Arrays, dp: Arrays
    ) -> tuple[Array, Mapping[str, Array]]:
        """Reverse the equations from the last to the first."""
        before, c = state["c"], after["c"]
        i, f, g, o = np.split(after["gates"], 4, axis=1)
        p_i, p_f, p_o = np.split(p["p"], 3)
        tanh_c = np.tanh(c)
        dz_o = dafter["h"] * tanh_c * o * (1 - o)
        dc = dafter["c"] + dafter["h"] * o * (1 - tanh_c**2) + dz_o * p_o
        dz_i, dz_f, dz_g = dc * g * i * (1 - i), dc * before * f * (1 - f), dc * i * (1 - g**2)
        dz = np.concatenate([dz_i, dz_f, dz_g, dz_o], axis=1)
        dp["W"][...] += state["h"].T @ dz
        dp["b"][...] += dz.sum(axis=0)
        dp["p"][...] += np.concatenate([(dz_i * before).sum(0), (dz_f * before).sum(0), (dz_o * c).sum(0)])
        return dz, {"h": dz @ p["W"].T, "c": dc * f + dz_i * p_i + dz_f * p_f}
