"""A readout for rnnframe: outputs that stay within a bound.

Replace the formula with yours: `forward` computes the outputs of a block, `backward` the gradients, which the tests
compare with finite differences.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import gt

from rnnframe.plugin import (
    Array,
    Arrays,
    Readout,
    Sizes,
    add_column_sums,
    add_product,
    hookimpl,
    panel_shape,
    rows,
)


@attrs.frozen(kw_only=True)
class Example(Readout):
    """o_t = r tanh(h_t V + c): V [inputs, outputs], c [outputs]."""

    name: ClassVar[str] = "example"
    bound: float = attrs.field(default=1.0, validator=gt(0), metadata={"help": "largest size r of an output"})

    def parameters(self, inputs: int, outputs: int) -> Mapping[str, tuple[int, ...]]:
        """Name -> shape."""
        return {"V": (inputs, outputs), "c": (outputs,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw V uniformly from ±1/√inputs; c is zero."""
        limit = len(parameters["V"]) ** -0.5
        parameters["V"][...] = rng.uniform(-limit, limit, parameters["V"].shape)
        parameters["c"].fill(0)

    def scratch(self, inputs: int, outputs: int) -> Sizes:
        """The outputs, their tanh for the reverse, and a panel for the product that becomes dV."""
        return {"o": outputs, "tanh": outputs, "panel": panel_shape(inputs, outputs)}

    def forward(self, weights: Arrays, h: Array, scratch: Arrays) -> Array:
        """Return the outputs of a block, in a working array."""
        o, tanh = scratch["o"][: len(h)], scratch["tanh"][: len(h)]
        np.matmul(rows(h), weights["V"], out=rows(tanh))
        tanh += weights["c"]
        np.tanh(tanh, out=tanh)
        return np.multiply(tanh, self.bound, out=o)

    def backward(self, weights: Arrays, h: Array, do: Array, dh: Array, gradients: Arrays, scratch: Arrays) -> None:
        """dz = r do ∘ (1 - tanh²); dV, dc and dh follow as from any product."""
        slope = scratch["tanh"][: len(h)]
        np.multiply(slope, slope, out=slope)
        np.subtract(1, slope, out=slope)
        slope *= self.bound
        do *= slope
        add_product(h, do, gradients["V"], scratch["panel"])
        add_column_sums(do, gradients["c"])
        np.matmul(rows(do), weights["V"].T, out=rows(dh))


@hookimpl
def rnnframe_readouts() -> Iterable[type[Readout]]:
    """Provide the readout."""
    return [Example]
