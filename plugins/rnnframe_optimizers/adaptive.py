"""Optimizers with a step size of its own for every parameter."""

import math
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import and_, ge, gt, lt

from rnnframe.plugin import Array
from rnnframe_optimizers.pieces import ElementwiseOptimizer, decay_field, lr_field


def _rate_field(default: float, meaning: str) -> float:
    field: float = attrs.field(default=default, validator=and_(ge(0), lt(1)), metadata={"help": meaning})
    return field


def _epsilon_field(default: float = 1e-8) -> float:
    field: float = attrs.field(default=default, validator=gt(0), metadata={"help": "keeps the divisor from zero"})
    return field


def _toward(average: Array, value: Array, rate: float) -> None:
    """average ← rate · average + (1 - rate) · value; overwrites `value`."""
    average *= rate
    value *= 1 - rate
    average += value


@attrs.frozen(kw_only=True)
class RMSProp(ElementwiseOptimizer):
    """v ← α v + (1 - α) g²;  p ← p - lr g / (√v + ε). Tieleman & Hinton (2012), lecture 6.5."""

    name: ClassVar[str] = "rmsprop"
    lr: float = lr_field(1e-3)
    alpha: float = _rate_field(0.99, "how slowly the mean square forgets")
    epsilon: float = _epsilon_field()
    weight_decay: float = decay_field()

    def slots(self) -> tuple[str, ...]:
        """The mean square v."""
        return ("square",)

    def rule(self, p: Array, g: Array, slots: list[Array], step: int, lr: float) -> None:
        """One update."""
        (v,) = slots
        if self.weight_decay:
            g += self.weight_decay * p
        _toward(v, g * g, self.alpha)
        divisor = np.sqrt(v)
        divisor += self.epsilon
        g /= divisor
        g *= lr
        p -= g


@attrs.frozen(kw_only=True)
class _AdamLike(ElementwiseOptimizer):
    beta1: float = _rate_field(0.9, "how slowly the mean forgets")
    beta2: float = _rate_field(0.999, "how slowly the mean square forgets")
    epsilon: float = _epsilon_field()

    def slots(self) -> tuple[str, ...]:
        """The mean m and the mean square v."""
        return "mean", "square"

    def adam(self, p: Array, g: Array, slots: list[Array], step: int, lr: float) -> None:
        """m ← β1 m + (1 - β1) g;  v ← β2 v + (1 - β2) g²;  p ← p - lr m̂ / (√v̂ + ε), hats as in the paper."""
        m, v = slots
        square = g * g
        _toward(m, g, self.beta1)
        _toward(v, square, self.beta2)
        divisor = np.sqrt(v, out=square)
        divisor *= 1 / math.sqrt(1 - self.beta2**step)
        divisor += self.epsilon
        np.divide(m, divisor, out=g)
        g *= lr / (1 - self.beta1**step)
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
    """Adam with decoupled weight decay p ← p - lr λ p; Loshchilov & Hutter (2019), arXiv 1711.05101."""

    name: ClassVar[str] = "adamw"
    lr: float = lr_field(1e-3)
    weight_decay: float = decay_field(0.01)

    def rule(self, p: Array, g: Array, slots: list[Array], step: int, lr: float) -> None:
        """One update."""
        p *= 1 - lr * self.weight_decay
        self.adam(p, g, slots, step, lr)


@attrs.frozen(kw_only=True)
class Adagrad(ElementwiseOptimizer):
    """v ← v + g²;  p ← p - lr g / (√v + ε). Duchi, Hazan & Singer (2011), JMLR 12."""

    name: ClassVar[str] = "adagrad"
    lr: float = lr_field(1e-2)
    epsilon: float = _epsilon_field(1e-10)
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
