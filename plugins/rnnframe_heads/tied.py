"""The readout that has the rows of an embedding as its matrix: Press & Wolf (2017), arXiv 1608.05859; Inan, Khosravi &
Socher (2017), arXiv 1611.01462.

    o_t = h_t Uᵀ + c;   dU += Σ do_tᵀ h_t;   dc = Σ do_t;   dL/dh_t = do_t U

U is the embedding's own: one array, to which the looked-up rows add their gradients too.
"""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, Readout, Sizes, add_column_sums, add_product, panel_shape, rows


@attrs.frozen(kw_only=True)
class Tied(Readout):
    """U [outputs, inputs] of the first layer, and c [outputs]."""

    name: ClassVar[str] = "tied"
    shared: ClassVar[tuple[str, ...]] = ("U",)

    def parameters(self, inputs: int, outputs: int) -> Mapping[str, tuple[int, ...]]:
        """U [outputs, inputs], which is shared, and c [outputs]."""
        return {"U": (outputs, inputs), "c": (outputs,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw U uniformly from ±1/sqrt(inputs), as a readout, whatever the embedding drew; c is zero."""
        bound = 1 / np.sqrt(parameters["U"].shape[1])
        parameters["U"][...] = rng.uniform(-bound, bound, parameters["U"].shape)
        parameters["c"].fill(0)

    def scratch(self, inputs: int, outputs: int) -> Sizes:
        """The outputs of one chunk, and a panel for dU."""
        return {"o": outputs, "panel": panel_shape(outputs, inputs)}

    def forward(self, weights: Arrays, h: Array, scratch: Arrays) -> Array:
        """O = h Uᵀ + c."""
        o = scratch["o"][: len(h)]
        np.matmul(rows(h), weights["U"].T, out=rows(o))
        o += weights["c"]
        return o

    def backward(self, weights: Arrays, h: Array, do: Array, dh: Array, gradients: Arrays, scratch: Arrays) -> None:
        """Add doᵀ h to dU and the sums of do to dc; dh = do U."""
        add_product(do, h, gradients["U"], scratch["panel"])
        add_column_sums(do, gradients["c"])
        np.matmul(rows(do), weights["U"], out=rows(dh))
