"""indrnn: units that see themselves alone. Li, Li, Cook, Zhu & Gao (2018), arXiv 1803.04831.

h_t = f(x_t U + w ∘ h_(t-1) + b)
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import ge, in_

from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    Cell,
    Sizes,
    Widths,
    add_column_sums,
    add_input_product,
    panel_shape,
    project,
    write_input_gradient,
)
from rnnframe_cells.elman import ACTIVATIONS


@attrs.frozen(kw_only=True)
class IndRNN(Cell):
    """Independently recurrent layer h_t = f(x_t U + w ∘ h_(t-1) + b); U [inputs, H], w [H], b [H]."""

    name: ClassVar[str] = "indrnn"
    hidden: int = attrs.field(default=128, validator=ge(1), metadata={"help": "units H"})
    activation: Literal["sigmoid", "tanh", "relu", "identity"] = attrs.field(
        default="relu", validator=in_(tuple(ACTIVATIONS)), metadata={"help": "the function f"}
    )

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, w and b."""
        return {"U": (inputs, self.hidden), "w": (self.hidden,), "b": (self.hidden,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw U uniformly from ±1/√inputs and w from 0 to 1; b is zero."""
        bound = len(parameters["U"]) ** -0.5
        parameters["U"][...] = rng.uniform(-bound, bound, parameters["U"].shape)
        parameters["w"][...] = rng.uniform(0, 1, self.hidden)
        parameters["b"].fill(0)

    def state(self, inputs: int) -> Widths:
        """The state is h."""
        return {"h": self.hidden}

    def tape(self, inputs: int) -> Widths:
        """A step leaves h."""
        return {"h": self.hidden}

    def scratch(self, inputs: int) -> Sizes:
        """dz per step, and a panel for the product that becomes dU."""
        return {"dz": self.hidden, "panel": panel_shape(inputs, self.hidden)}

    def forward(self, block: BlockPass) -> None:
        """x U + b for all steps at once, then step by step."""
        h, w, product = block.tape["h"], block.weights["w"], block.scratch["dz"][0]
        activate, _ = ACTIVATIONS[self.activation]
        project(block.x, block.weights["U"], h[1:])
        h[1:] += block.weights["b"]
        for t in range(block.steps):
            h[t + 1] += np.multiply(h[t], w, out=product)
            activate(h[t + 1])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """dz_t = (dh_t + w ∘ dz_(t+1)) ∘ f'(z_t)."""
        h, w, dz, carried = block.tape["h"], block.weights["w"], block.scratch["dz"], dstate["h"]
        _, slope = ACTIVATIONS[self.activation]
        slope(h[1:], dz)
        for t in reversed(range(block.steps)):
            carried += dh[t]
            dz[t] *= carried
            np.multiply(dz[t], w, out=carried)
        gradients["w"][...] += np.einsum("lbi,lbi->i", h[:-1], dz)
        add_input_product(block.x, dz, gradients["U"], block.scratch["panel"])
        add_column_sums(dz, gradients["b"])
        write_input_gradient(dz, block.weights["U"], dx)
