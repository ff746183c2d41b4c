"""A recurrent cell for rnnframe: leaky units, of which each forgets at a fixed rate.

Put your formula in the place of this one: `step`, and `step_backward`, which the tests hold against finite differences.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import gt, le

from rnnframe.arrays import Array, Arrays
from rnnframe.plugin import Cell, StepCell, hookimpl


@attrs.frozen(kw_only=True)
class Example(StepCell):
    """h_t = (1 - α) h_(t-1) + α n with n = tanh(x_t U + h_(t-1) W + b)."""

    name: ClassVar[str] = "example"
    alpha: float = attrs.field(
        default=0.5, validator=[gt(0), le(1)], metadata={"help": "share α of h that is new at every step"}
    )

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Name -> shape."""
        return {"U": (inputs, self.hidden), "W": (self.hidden, self.hidden), "b": (self.hidden,)}

    def step(self, p: Arrays, xU: Array, state: Arrays, /) -> Mapping[str, Array]:
        """One time step: xU [B, H] is x_t U."""
        n = np.tanh(xU + state["h"] @ p["W"] + p["b"])
        return {"h": (1 - self.alpha) * state["h"] + self.alpha * n}

    def step_backward(
        self, p: Arrays, xU: Array, state: Arrays, after: Arrays, dafter: Arrays, dp: Arrays, /
    ) -> tuple[Array, Mapping[str, Array]]:
        """Add into `dp`; return the gradients of xU and of the state before the step."""
        h, dh = state["h"], dafter["h"]
        n = np.tanh(xU + h @ p["W"] + p["b"])
        dz = self.alpha * dh * (1 - n * n)
        dp["W"] += h.T @ dz
        dp["b"] += dz.sum(axis=0)
        return dz, {"h": (1 - self.alpha) * dh + dz @ p["W"].T}


@hookimpl
def rnnframe_cells() -> Iterable[type[Cell]]:
    """Provide the cell."""
    return [Example]
