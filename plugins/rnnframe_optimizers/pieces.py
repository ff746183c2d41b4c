"""Optimizers that treat every parameter alike work through the flat vectors piece by piece.

A piece stays in the cache from the first operation to the last, and no temporary is larger than a piece.
"""

import abc
from typing import Any, TypeVar

import attrs
from attrs.validators import and_, ge, gt, lt

from rnnframe.plugin import Array, Arrays, Optimizer

O = TypeVar("O", bound=Optimizer)

PIECE = 1 << 14  # items


def lr_field(default: float) -> Any:
    """Return the option `lr`."""
    return attrs.field(default=default, validator=ge(0), metadata={"help": "learning rate"})


def decay_field(default: float = 0.0) -> Any:
    """Return the option `weight_decay`."""
    return attrs.field(default=default, validator=ge(0), metadata={"help": "weight decay λ"})


def spare_biases_field() -> Any:
    """Return the option `spare_biases`."""
    meaning = "whether weight decay leaves parameters of one dimension alone, which are biases"
    return attrs.field(default=True, metadata={"help": meaning})


def without_decay(optimizer: O, shape: tuple[int, ...]) -> O:
    """Return an optimizer without weight decay for a parameter of one dimension, the same one for any other."""
    changed: dict[str, Any] = {"weight_decay": 0.0} if len(shape) == 1 else {}
    return attrs.evolve(optimizer, **changed)


def rate_field(default: float, meaning: str) -> Any:
    """Return an option for the share of an average that stays at an update."""
    return attrs.field(default=default, validator=and_(ge(0), lt(1)), metadata={"help": meaning})


def epsilon_field(default: float = 1e-8) -> Any:
    """Return the option `epsilon`."""
    return attrs.field(default=default, validator=gt(0), metadata={"help": "keeps the divisor from zero"})


def move_toward(average: Array, value: Array, rate: float) -> None:
    """average ← rate · average + (1 - rate) · value; overwrites `value`."""
    average *= rate
    value *= 1 - rate
    average += value


@attrs.frozen(kw_only=True)
class ElementwiseOptimizer(Optimizer):
    """An optimizer whose rule for one parameter does not look at the others."""

    def update(self, parameters: Array, gradients: Array, slots: Arrays, step: int, lr: float) -> None:
        """Apply `rule` to every piece."""
        for start in range(0, len(parameters), PIECE):
            piece = slice(start, start + PIECE)
            self.rule(parameters[piece], gradients[piece], [slots[name][piece] for name in self.slots()], step, lr)

    @abc.abstractmethod
    def rule(self, p: Array, g: Array, slots: list[Array], step: int, lr: float) -> None:
        """Change p and the slots in place; g may be overwritten."""
