"""What a plugin provides: a `Cell`, an `Optimizer` or a `StateStore` (and a `Medium`, see `rnnframe.media`).

Each is a frozen, keyword-only attrs class. The class is name, options and factory in one: `name` is what people
write on the command line, the fields are the options behind the colon (`metadata={"help": ...}` explains them).
"""

import abc
from typing import ClassVar

import attrs

from rnnframe.arrays import Array, Arrays


@attrs.frozen(kw_only=True)
class Optimizer(abc.ABC):
    """A rule that turns a gradient into a change of the parameters, on flat vectors in place."""

    name: ClassVar[str]
    lr: float

    @abc.abstractmethod
    def slots(self) -> tuple[str, ...]:
        """Return the names of the vectors that are remembered between updates, zero at first."""

    @abc.abstractmethod
    def update(self, parameters: Array, gradients: Array, slots: Arrays, step: int, lr: float) -> None:
        """Change the flat `parameters` in place; `step` counts from 1, `lr` is the scheduled learning rate.

        `gradients` may be overwritten; `slots` are changed in place.
        """
