"""Optimizers that treat every parameter alike work through the flat vectors piece by piece.

A piece stays in the cache from the first operation to the last, and no temporary is larger than a piece.
"""

import abc
from typing import Any

import attrs
from attrs.validators import ge

from rnnframe.plugin import Array, Arrays, Optimizer

PIECE = 1 << 14  # items


def lr_field(default: float) -> Any:
    """Return the option `lr`."""
    return attrs.field(default=default, validator=ge(0), metadata={"help": "learning rate"})


def decay_field(default: float = 0.0) -> Any:
    """Return the option `weight_decay`."""
    return attrs.field(default=default, validator=ge(0), metadata={"help": "weight decay λ"})


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
