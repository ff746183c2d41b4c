"""Dropout: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov (2014), Journal of Machine Learning Research 15.

    y_t = m_t ∘ x_t / (1 - rate)      m_t: 0 with probability `rate`, else 1; in evaluation y_t = x_t

With variational=yes one mask serves all steps of a sequence: Gal & Ghahramani (2016), arXiv 1512.05287. No tape keeps
y: the mask is drawn again for the reverse.
"""

from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, TapeRetention
from rnnframe_layers.plain import Plain, rate_option


@attrs.frozen(kw_only=True)
class Dropout(Plain):
    """Drop values at random in training, and scale the others so that their mean stays."""

    name: ClassVar[str] = "dropout"
    multiplies: ClassVar[bool] = False
    rate: float = rate_option(0.5, "how probable it is that a value is dropped")
    variational: bool = attrs.field(default=False, metadata={"help": "one mask for all steps of a sequence"})

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """Nothing stays: y follows from x."""
        return ()

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Draw again."""
        self.forward(block)

    def forward(self, block: BlockPass) -> None:
        """Multiply x by the mask, which is written into y first."""
        if not block.training:
            np.copyto(block.tape["y"], block.x)
            return
        self._multiply(block, block.x, block.tape["y"])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Multiply dh by the mask."""
        if dx is None:
            return
        if not block.training:
            np.copyto(dx, dh)
            return
        self._multiply(block, dh, dx)

    def _multiply(self, block: BlockPass, values: Array, out: Array) -> None:
        """Write values times the mask into `out`, which holds the mask before."""
        mask = out[0] if self.variational else out
        block.write_mask(mask, "inputs", self.rate)
        mask /= 1 - self.rate
        if self.variational:
            np.multiply(values[1:], mask, out=out[1:])
            mask *= values[0]
        else:
            out *= values
