"""The affine readout.

    o_t = h_t V + c;   dV = Σ h_tᵀ do_t;   dc = Σ do_t;   dL/dh_t = do_t Vᵀ

All of it happens for one chunk at a time, when that chunk is reversed; the outputs o are thrown away at once.
"""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, Readout, Sizes, add_column_sums, add_product, panel_shape, rows


@attrs.frozen(kw_only=True)
class Affine(Readout):
    """V [inputs, outputs] and c [outputs]."""

    name: ClassVar[str] = "affine"

    def parameters(self, inputs: int, outputs: int) -> Mapping[str, tuple[int, ...]]:
        """V [inputs, outputs], c [outputs]."""
        return {"V": (inputs, outputs), "c": (outputs,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw V uniformly from ±1/sqrt(inputs); c is zero."""
        bound = 1 / np.sqrt(parameters["V"].shape[0])
        parameters["V"][...] = rng.uniform(-bound, bound, parameters["V"].shape)
        parameters["c"].fill(0)

    def scratch(self, inputs: int, outputs: int) -> Sizes:
        """The outputs of one chunk, and a panel for dV."""
        return {"o": outputs, "panel": panel_shape(inputs, outputs)}

    def forward(self, weights: Arrays, h: Array, scratch: Arrays) -> Array:
        """O = h V + c."""
        o = scratch["o"][: len(h)]
        np.matmul(rows(h), weights["V"], out=rows(o))
        o += weights["c"]
        return o

    def backward(self, weights: Arrays, h: Array, do: Array, dh: Array, gradients: Arrays, scratch: Arrays) -> None:
        """Add hᵀ do to dV and the sums of do to dc; dh = do Vᵀ."""
        add_product(h, do, gradients["V"], scratch["panel"])
        add_column_sums(do, gradients["c"])
        np.matmul(rows(do), weights["V"].T, out=rows(dh))
