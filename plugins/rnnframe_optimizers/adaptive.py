"""Optimizers with a step size of its own for every parameter."""

import math
from typing import ClassVar, Self

import attrs
import numpy as np

from rnnframe.plugin import Array, Optimizer
from rnnframe_optimizers.pieces import (
    ElementwiseOptimizer,
    decay_field,
    epsilon_field,
    lr_field,
    move_toward,
    rate_field,
    spare_biases_field,
    without_decay,
)


@attrs.frozen(kw_only=True)
class RMSProp(ElementwiseOptimizer):
    """v ← α v + (1 - α) g²;  p ← p - lr g / (√v + ε). Tieleman & Hinton (2012), lecture 6.5."""

    name: ClassVar[str] = "rmsprop"
    lr: float = lr_field(1e-3)
    alpha: float = rate_field(0.99, "how slowly the mean square forgets")
    epsilon: float = epsilon_field()
    weight_decay: float = decay_field()

    def slots(self) -> tuple[str, ...]:
        """The mean square v."""
        return ("square",)

    def rule(self, p: Array, g: Array, slots: list[Array], step: int, lr: float) -> None:
        """One update."""
        (v,) = slots
        if self.weight_decay:
            g += self.weight_decay * p
        move_toward(v, g * g, self.alpha)
        divisor = np.sqrt(v)
        divisor += self.epsilon
        g /= divisor
        g *= lr
        p -= g


@attrs.frozen(kw_only=True)
class Moments(Optimizer):
    """An optimizer with Adam's running mean and mean square of the gradients."""

    beta1: float = rate_field(0.9, "how slowly the mean forgets")
    beta2: float = rate_field(0.999, "how slowly the mean square forgets")
    epsilon: float = epsilon_field()

    def direction(self, g: Array, m: Array, v: Array, step: int, lr: float) -> None:
        """m ← β1 m + (1 - β1) g;  v ← β2 v + (1 - β2) g²;  g ← lr m̂ / (√v̂ + ε), hats as in the paper."""
        square = g * g
        move_toward(m, g, self.beta1)
        move_toward(v, square, self.beta2)
        divisor = np.sqrt(v, out=square)
        divisor *= 1 / math.sqrt(1 - self.beta2**step)
        divisor += self.epsilon
        np.divide(m, divisor, out=g)
        g *= lr / (1 - self.beta1**step)


@attrs.frozen(kw_only=True)
class _AdamLike(Moments, ElementwiseOptimizer):
    def slots(self) -> tuple[str, ...]:
        """The mean m and the mean square v."""
        return "mean", "square"

    def adam(self, p: Array, g: Array, slots: list[Array], step: int, lr: float) -> None:
        """p ← p - lr m̂ / (√v̂ + ε)."""
        m, v = slots
        self.direction(g, m, v, step, lr)
        p -= g


@attrs.frozen(kw_only=True)
class Adam(_AdamLike):
    """Kingma & Ba (2015), arXiv 1412.6980; weight decay is added to the gradient (L2)."""

    name: ClassVar[str] = "adam"
    lr: float = lr_field(1e-3)
    weight_decay: float = decay_field()

    def rule(self, p: Array, g: Array, slots: list[Array], step: int, lr: float) -> None:
        """One update."""
        if self.weight_decay:
            g += self.weight_decay * p
        self.adam(p, g, slots, step, lr)


@attrs.frozen(kw_only=True)
class AdamW(_AdamLike):
    """Adam with decoupled weight decay p ← p - lr λ p; Loshchilov & Hutter (2019), arXiv 1711.05101.

    Biases are not decayed unless spare_biases=false, or a group of parameters gives them a decay of their own. What is
    updated as one flat vector without names is decayed as a whole.
    """

    name: ClassVar[str] = "adamw"
    lr: float = lr_field(1e-3)
    weight_decay: float = decay_field(0.01)
    spare_biases: bool = spare_biases_field()

    def for_parameter(self, name: str, shape: tuple[int, ...]) -> Self:
        """Leave biases without decay."""
        return without_decay(self, shape) if self.spare_biases else self

    def rule(self, p: Array, g: Array, slots: list[Array], step: int, lr: float) -> None:
        """One update."""
        p *= 1 - lr * self.weight_decay
        self.adam(p, g, slots, step, lr)


@attrs.frozen(kw_only=True)
class Adagrad(ElementwiseOptimizer):
    """v ← v + g²;  p ← p - lr g / (√v + ε). Duchi, Hazan & Singer (2011), JMLR 12."""

    name: ClassVar[str] = "adagrad"
    lr: float = lr_field(1e-2)
    epsilon: float = epsilon_field(1e-10)
    weight_decay: float = decay_field()

    def slots(self) -> tuple[str, ...]:
        """The sum of squares v."""
        return ("square",)

    def rule(self, p: Array, g: Array, slots: list[Array], step: int, lr: float) -> None:
        """One update."""
        (v,) = slots
        if self.weight_decay:
            g += self.weight_decay * p
        v += g * g
        divisor = np.sqrt(v)
        divisor += self.epsilon
        g /= divisor
        g *= lr
        p -= g
