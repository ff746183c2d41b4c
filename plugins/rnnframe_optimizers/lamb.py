"""LAMB: Adam with a step as long as each parameter is large; You et al. (2020), arXiv 1904.00962, algorithm 2."""

import math
from typing import ClassVar, Self

import attrs
import numpy as np

from rnnframe.plugin import Array, NamedOptimizer, NamedParameter
from rnnframe_optimizers.adaptive import Moments
from rnnframe_optimizers.pieces import PIECE, decay_field, epsilon_field, lr_field, without_decay


@attrs.frozen(kw_only=True)
class LAMB(Moments, NamedOptimizer):
    """r = m̂ / (√v̂ + ε) + λ p;  p ← p - lr (‖p‖ / ‖r‖) r for each array p; for large batches.

    You et al. (2020), arXiv 1904.00962, algorithm 2 with φ(z) = z. As in the authors' code the ratio is 1 where a norm
    is zero, and biases have neither ratio nor decay.
    """

    name: ClassVar[str] = "lamb"
    lr: float = lr_field(2e-3)
    epsilon: float = epsilon_field(1e-6)
    weight_decay: float = decay_field(0.01)
    ratio: bool = attrs.field(default=True, metadata={"help": "whether a step is scaled by ‖p‖ / ‖r‖"})
    spare_biases: bool = attrs.field(
        default=True,
        metadata={"help": "whether parameters of one dimension, which are biases, have no ratio and no decay"},
    )

    def for_parameter(self, name: str, shape: tuple[int, ...]) -> Self:
        """Leave biases without ratio and decay."""
        if self.spare_biases and len(shape) == 1:
            return attrs.evolve(without_decay(self, shape), ratio=False)
        return self

    def slots(self) -> tuple[str, ...]:
        """The mean m and the mean square v."""
        return "mean", "square"

    def update_parameter(self, parameter: NamedParameter, step: int, lr: float) -> None:
        """One update of an array: the direction r piece by piece, then the step as a whole."""
        p, r = parameter.value.reshape(-1), parameter.gradient.reshape(-1)
        m, v = (parameter.slots[name].reshape(-1) for name in self.slots())
        of_p = of_r = 0.0
        for start in range(0, p.size, PIECE):
            piece = slice(start, start + PIECE)
            self.direction(r[piece], m[piece], v[piece], step, 1.0)
            if self.weight_decay:
                r[piece] += self.weight_decay * p[piece]
            of_p += _square_norm(p[piece])
            of_r += _square_norm(r[piece])
        ratio = math.sqrt(of_p) / math.sqrt(of_r) if self.ratio and of_p > 0 and of_r > 0 else 1.0
        r *= lr * ratio
        p -= r


def _square_norm(piece: Array) -> float:
    """Return the sum of squares, in float64 so that those of float32 neither overflow nor vanish."""
    return float(np.einsum("i,i->", piece, piece, dtype=np.float64))
