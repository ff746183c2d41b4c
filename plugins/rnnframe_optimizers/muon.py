"""Muon: momentum made orthogonal by a Newton-Schulz iteration, for matrices; AdamW for every other parameter."""

import math
from fnmatch import fnmatchcase
from typing import ClassVar, Self

import attrs
import numpy as np
from attrs.validators import ge, in_

from rnnframe.plugin import Array, NamedOptimizer, NamedParameter, Shapes
from rnnframe_optimizers.adaptive import Moments
from rnnframe_optimizers.pieces import (
    PIECE,
    decay_field,
    lr_field,
    move_toward,
    rate_field,
    spare_biases_field,
    without_decay,
)

COEFFICIENTS = 3.4445, -4.7750, 2.0315
"""Of the iteration X ← a X + (b X Xᵀ + c (X Xᵀ)²) X, from Jordan et al."""
SMALLEST_NORM = 1e-7


@attrs.frozen(kw_only=True)
class Muon(Moments, NamedOptimizer):
    """B ← μ B + (1 - μ) g;  p ← (1 - lr λ) p - lr √max(1, columns/rows) NS((1 - μ) g + μ B) for matrices.

    Jordan et al. (2024), https://kellerjordan.github.io/posts/muon/, in torch's form; NS brings the singular values
    near 1. AdamW updates biases and the matrices that `others` names. A matrix has one slot, where Adam has two. The
    matrix of all gates of a cell, such as W [H, 4H] of an LSTM, counts as one matrix.
    """

    name: ClassVar[str] = "muon"
    lr: float = lr_field(0.02)
    momentum: float = rate_field(0.95, "momentum μ")
    nesterov: bool = attrs.field(default=True, metadata={"help": "look ahead by one momentum step; else NS(B)"})
    iterations: int = attrs.field(default=5, validator=in_(range(1, 100)), metadata={"help": "of Newton-Schulz"})
    weight_decay: float = decay_field()
    spare_biases: bool = spare_biases_field()
    others: str = attrs.field(
        default="head.*",
        metadata={"help": "matrices updated by AdamW all the same; patterns with a semicolon between: head.*;layer0.U"},
    )
    adamw_factor: float = attrs.field(
        default=0.015, validator=ge(0), metadata={"help": "learning rate of AdamW, as a factor of lr"}
    )

    def for_parameter(self, name: str, shape: tuple[int, ...]) -> Self:
        """Leave biases without decay."""
        return without_decay(self, shape) if self.spare_biases else self

    def slots(self) -> tuple[str, ...]:
        """The mean m and the mean square v of what AdamW updates."""
        return "mean", "square"

    def slot_shapes(self, name: str, shape: tuple[int, ...]) -> Shapes:
        """The momentum B of a matrix, m and v of anything else."""
        return dict.fromkeys(("momentum",) if self._orthogonal(name, shape) else self.slots(), shape)

    def _orthogonal(self, name: str, shape: tuple[int, ...]) -> bool:
        patterns = filter(None, self.others.split(";"))
        return len(shape) == 2 and not any(fnmatchcase(name, pattern.strip()) for pattern in patterns)

    def update_parameter(self, parameter: NamedParameter, step: int, lr: float) -> None:
        """One update of an array."""
        if self._orthogonal(parameter.name, parameter.value.shape):
            self._update_matrix(parameter, lr)
        else:
            self._update_other(parameter, step, lr * self.adamw_factor)

    def _update_matrix(self, parameter: NamedParameter, lr: float) -> None:
        p, g, B = parameter.value, parameter.gradient, parameter.slots["momentum"]
        ahead = (1 - self.momentum) * g
        move_toward(B, g, self.momentum)
        ahead += self.momentum * B
        step = orthogonal(ahead if self.nesterov else B, self.iterations)
        rows, columns = p.shape
        step *= lr * math.sqrt(max(1.0, columns / rows))
        p *= 1 - lr * self.weight_decay
        p -= step

    def _update_other(self, parameter: NamedParameter, step: int, lr: float) -> None:
        p, g = parameter.value.reshape(-1), parameter.gradient.reshape(-1)
        m, v = (parameter.slots[name].reshape(-1) for name in self.slots())
        p *= 1 - lr * self.weight_decay
        for start in range(0, p.size, PIECE):
            piece = slice(start, start + PIECE)
            self.direction(g[piece], m[piece], v[piece], step, lr)
        p -= g


def orthogonal(matrix: Array, iterations: int) -> Array:
    """Return a matrix with the singular vectors of `matrix` and singular values near 1, by Newton-Schulz."""
    a, b, c = COEFFICIENTS
    norm = math.sqrt(float(np.einsum("ij,ij->", matrix, matrix, dtype=np.float64)))
    X: Array = matrix * (1 / max(norm, SMALLEST_NORM))
    if X.shape[0] > X.shape[1]:
        X = X.T  # the shorter side first: X Xᵀ is smaller
    for _ in range(iterations):
        square = X @ X.T
        polynomial = square @ square
        polynomial *= c
        square *= b
        polynomial += square
        product = polynomial @ X
        X *= a
        X += product
    return X if X.shape == matrix.shape else X.T
