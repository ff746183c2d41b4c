"""A causal convolution of few taps, each channel by itself, as it stands before the recurrence in many linear models.

    y_t = b + Σ_k K_k ∘ x_(t-k),   k = 0 ... taps - 1

De, Smith, Fernando et al. (2024), "Griffin", arXiv 2402.19427, section 2.2; Gu & Dao (2023), "Mamba", arXiv 2312.00752.
The state is the last taps - 1 inputs; it is on no tape, and neither is y, which follows from it and x.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import ge

from rnnframe.plugin import Array, Arrays, BlockPass, Sizes, TapeRetention, Widths, add_column_sums
from rnnframe_layers.plain import Plain


@attrs.frozen(kw_only=True)
class CausalConvolution(Plain):
    """y_t = b + Σ_k K_k ∘ x_(t-k) over the last inputs; K [taps, inputs], b [inputs]."""

    name: ClassVar[str] = "convolution"
    multiplies: ClassVar[bool] = False
    taps: int = attrs.field(default=4, validator=ge(2), metadata={"help": "steps that an output sees"})

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """The taps K and the offsets b."""
        return {"K": (self.taps, inputs), "b": (inputs,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw K uniformly from ±1/√taps; b is zero."""
        K, bound = parameters["K"], self.taps**-0.5
        K[...] = rng.uniform(-bound, bound, K.shape)
        parameters["b"].fill(0)

    def state(self, inputs: int) -> Widths:
        """The inputs before, the oldest first."""
        return {"past": (self.taps - 1) * inputs}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """y follows from the inputs."""
        return ()

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Run again."""
        self.forward(block)

    def scratch(self, inputs: int) -> Sizes:
        """One product."""
        return {"product": inputs}

    def forward(self, block: BlockPass) -> None:
        """Add up the taps, those that look back before the block one by one."""
        x, y, K, product = block.x, block.tape["y"], block.weights["K"], block.scratch["product"]
        past, after = self._split(block.tape["past"][0]), self._split(block.tape["past"][1])
        np.multiply(x, K[0], out=y)
        y += block.weights["b"]
        for k in range(1, self.taps):
            steps = max(len(x) - k, 0)
            y[k:] += np.multiply(x[:steps], K[k], out=product[:steps])
        for k, t, row in self._before(len(x)):
            y[t] += np.multiply(past[:, row], K[k], out=product[0])
        for row in range(self.taps - 1):
            source = row + len(x)
            after[:, row] = past[:, source] if source < self.taps - 1 else x[source - self.taps + 1]

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Each tap sends dh back to the input that it saw, in the block or before it."""
        x, K, dK, product = block.x, block.weights["K"], gradients["K"], block.scratch["product"]
        past, carried = self._split(block.tape["past"][0]), self._split(dstate["past"])
        reached = carried.copy()  # the gradient of the inputs that are kept after the block
        add_column_sums(dh, gradients["b"])
        for k in range(self.taps):
            steps = max(len(x) - k, 0)
            dK[k] += np.einsum("lbi,lbi->i", dh[k:], x[:steps])
        if dx is not None:
            np.multiply(dh, K[0], out=dx)
            for k in range(1, self.taps):
                steps = max(len(x) - k, 0)
                dx[:steps] += np.multiply(dh[k:], K[k], out=product[:steps])
        for row in range(self.taps - 1):
            carried[:, row] = reached[:, row - len(x)] if row >= len(x) else 0
        if dx is not None:
            for row in range(max(self.taps - 1 - len(x), 0), self.taps - 1):
                dx[row + len(x) - self.taps + 1] += reached[:, row]
        for k, t, row in self._before(len(x)):
            dK[k] += np.einsum("bi,bi->i", dh[t], past[:, row])
            carried[:, row] += np.multiply(dh[t], K[k], out=product[0])

    def _split(self, past: Array) -> Array:
        """View a state [B, (taps - 1) · inputs] as [B, taps - 1, inputs]."""
        return past.reshape(len(past), self.taps - 1, -1)

    def _before(self, steps: int) -> Iterator[tuple[int, int, int]]:
        """Yield tap, step and row of the state, for each look back before the block."""
        for k in range(1, self.taps):
            for t in range(min(k, steps)):
                yield k, t, self.taps - 1 - k + t
