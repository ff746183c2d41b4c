"""A layer without a state for rnnframe: a rectifier whose negative slope is learnt.

He, Zhang, Ren & Sun (2015), "Delving deep into rectifiers", arXiv 1502.01852. Replace the formula with yours: `forward`
computes a block of steps, `backward` its gradients, which the tests compare with finite differences.
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, Layer, Sizes, Widths, add_column_sums, hookimpl


@attrs.frozen(kw_only=True)
class Example(Layer):
    """y_t = x_t where that is positive, and a ∘ x_t elsewhere: a [inputs]."""

    name: ClassVar[str] = "example"
    output: ClassVar[str] = "y"
    slope: float = attrs.field(default=0.25, metadata={"help": "where every a starts"})

    def width(self, inputs: int) -> int:
        """As many values as come in."""
        return inputs

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Name -> shape."""
        return {"a": (inputs,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Set every a to `slope`."""
        parameters["a"].fill(self.slope)

    def tape(self, inputs: int) -> Widths:
        """The output."""
        return {"y": inputs}

    def scratch(self, inputs: int) -> Sizes:
        """What is summed for da."""
        return {"da": inputs}

    def forward(self, block: BlockPass) -> None:
        """All steps of the block at once."""
        y = block.tape["y"]
        np.multiply(block.x, block.weights["a"], out=y)
        np.copyto(y, block.x, where=block.x > 0)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """da sums dh ∘ x over the negative x; dx = dh or a ∘ dh."""
        da = np.minimum(block.x, 0, out=block.scratch["da"])
        da *= dh
        add_column_sums(da, gradients["a"])
        if dx is not None:
            np.multiply(dh, block.weights["a"], out=dx)
            np.copyto(dx, dh, where=block.x > 0)


@hookimpl
def rnnframe_cells() -> Iterable[type[Layer]]:
    """Provide the layer."""
    return [Example]
