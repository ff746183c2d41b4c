"""Layer normalization: Ba, Kiros & Hinton (2016), arXiv 1607.06450.

    n_t = (x_t - mean of x_t) / √(variance of x_t + 1e-5);  y_t = g ∘ n_t + b

Mean and variance are over the values of one sample at one step. Nothing stays with a chunk: n is computed from x again.
"""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention, add_column_sums
from rnnframe_layers.plain import Plain

EPSILON = 1e-5


@attrs.frozen(kw_only=True)
class LayerNorm(Plain):
    """y_t = g ∘ (x_t - mean) / deviation + b, over the values of a step; g [inputs], b [inputs]."""

    name: ClassVar[str] = "layer-norm"
    multiplies: ClassVar[bool] = False

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """The scales g and the offsets b."""
        return {"g": (inputs,), "b": (inputs,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """g is one and b zero."""
        parameters["g"].fill(1)
        parameters["b"].fill(0)

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """Nothing stays: y follows from x."""
        return ()

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Normalize again."""
        self.forward(block)

    def scratch(self, inputs: int) -> Sizes:
        """n, 1 / deviation, and a mean."""
        return {"n": inputs, "inverse": 1, "mean": 1}

    def forward(self, block: BlockPass) -> None:
        """Normalize all steps."""
        y, weights = block.tape["y"], block.weights
        normalize(block.x, y, block.scratch["inverse"])
        y *= weights["g"]
        y += weights["b"]

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """dx = (dn - mean of dn - n ∘ mean of (dn ∘ n)) / deviation, with dn = dh ∘ g."""
        n, inverse = block.scratch["n"], block.scratch["inverse"]
        normalize(block.x, n, inverse)
        gradients["g"][...] += np.einsum("lbi,lbi->i", dh, n)
        add_column_sums(dh, gradients["b"])
        if dx is None:
            return
        np.multiply(dh, block.weights["g"], out=dx)
        mean = block.scratch["mean"]
        np.einsum("lbi,lbi->lb", dx, n, out=mean[..., 0])
        mean /= dx.shape[-1]
        n *= mean
        dx -= np.mean(dx, axis=-1, keepdims=True, out=mean)
        dx -= n
        dx *= inverse


def normalize(x: Array, n: Array, inverse: Array) -> None:
    """Write n [.., width] and the inverse of the deviation [.., 1]."""
    np.subtract(x, np.mean(x, axis=-1, keepdims=True, out=inverse), out=n)
    np.einsum("...i,...i->...", n, n, out=inverse[..., 0])
    inverse /= n.shape[-1]
    inverse += EPSILON
    np.sqrt(inverse, out=inverse)
    np.divide(1, inverse, out=inverse)
    n *= inverse
