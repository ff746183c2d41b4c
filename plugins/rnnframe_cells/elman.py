"""The simple recurrent network of Elman (1990), "Finding structure in time", Cognitive Science 14.

    h_t = f(x_t U + h_(t-1) W + b)

A step leaves h_t alone for its reverse: every f here has a derivative that can be written in terms of its value.
"""

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import attrs
import numpy as np

from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    Sizes,
    Widths,
    add_column_sums,
    add_input_product,
    add_product,
    panel_shape,
    project,
    write_input_gradient,
)
from rnnframe_cells.masks import MaskedCell, seen
from rnnframe_cells.start import fill_matrices, fill_zero, learnt_starts


def _sigmoid(z: Array) -> None:
    z *= 0.5
    np.tanh(z, out=z)
    z *= 0.5
    z += 0.5


def _tanh(z: Array) -> None:
    np.tanh(z, out=z)


def _relu(z: Array) -> None:
    np.maximum(z, 0, out=z)


def _identity(z: Array) -> None:
    pass


def _sigmoid_slope(h: Array, out: Array) -> None:
    np.subtract(1, h, out=out)
    out *= h


def _tanh_slope(h: Array, out: Array) -> None:
    np.multiply(h, h, out=out)
    np.subtract(1, out, out=out)


def _relu_slope(h: Array, out: Array) -> None:
    np.greater(h, 0, out=out, casting="unsafe")


def _identity_slope(h: Array, out: Array) -> None:
    out.fill(1)


# name -> (f in place, f' written from h = f(z))
ACTIVATIONS: dict[str, tuple[Callable[[Array], None], Callable[[Array, Array], None]]] = {
    "sigmoid": (_sigmoid, _sigmoid_slope),
    "tanh": (_tanh, _tanh_slope),
    "relu": (_relu, _relu_slope),
    "identity": (_identity, _identity_slope),
}


@attrs.frozen(kw_only=True)
class Elman(MaskedCell):
    """Simple recurrent layer h_t = f(x_t U + h_(t-1) W + b); U [inputs, H], W [H, H], b [H]."""

    name: ClassVar[str] = "elman"
    activation: Literal["sigmoid", "tanh", "relu", "identity"] = attrs.field(
        default="tanh", validator=attrs.validators.in_(tuple(ACTIVATIONS)), metadata={"help": "the function f"}
    )

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U [inputs, H], W [H, H], b [H]."""
        shapes = {"U": (inputs, self.hidden), "W": (self.hidden, self.hidden), "b": (self.hidden,)}
        return {**shapes, **learnt_starts(self.start, self.state(inputs))}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw U and W; b is zero."""
        fill_matrices(parameters, self.hidden, self.init, rng)
        fill_zero(parameters)

    def state(self, inputs: int) -> Widths:
        """The state is h."""
        return {"h": self.hidden}

    def tape(self, inputs: int) -> Widths:
        """A step leaves h."""
        return {"h": self.hidden}

    def scratch(self, inputs: int) -> Sizes:
        """dz per step, and a panel for the products that become dU and dW."""
        panel = panel_shape(max(inputs, self.hidden), self.hidden)
        return {"dz": self.hidden, "panel": panel, **self.mask_scratch()}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Wᵀ, contiguous."""
        return {"WT": (self.hidden, self.hidden)}

    def derive_reverse(self, weights: Arrays) -> None:
        """Transpose W."""
        weights["WT"][...] = weights["W"].T

    def forward(self, block: BlockPass) -> None:
        """h_t = f(x_t U + b + h_(t-1) W), the first two terms for the whole block at once."""
        weights, x, tape, scratch = block.weights, block.x, block.tape, block.scratch
        activate, _ = ACTIVATIONS[self.activation]
        W, h = weights["W"], tape["h"]
        recurrent, mask = scratch["dz"][0], self.recurrent_mask(block)
        project(x, weights["U"], h[1:])
        h[1:] += weights["b"]
        for t in range(len(x)):
            z = h[t + 1]
            np.matmul(seen(block, h[t], mask), W, out=recurrent)
            z += recurrent
            activate(z)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """dz_t = (dh_t + dz_(t+1) Wᵀ) ∘ f'(z_t); dU, dW and db are sums over the block, taken at once."""
        weights, x, tape, scratch = block.weights, block.x, block.tape, block.scratch
        _, slope = ACTIVATIONS[self.activation]
        WT, h, dz, carried = weights["WT"], tape["h"], scratch["dz"], dstate["h"]
        mask = self.recurrent_mask(block)
        slope(h[1:], dz)
        for t in reversed(range(len(x))):
            carried += dh[t]
            dz[t] *= carried
            np.matmul(dz[t], WT, out=carried)
            if mask is not None:
                carried *= mask
        add_product(seen(block, h[:-1], mask), dz, gradients["W"], scratch["panel"])
        add_input_product(x, dz, gradients["U"], scratch["panel"])
        add_column_sums(dz, gradients["b"])
        write_input_gradient(dz, weights["U"], dx)
