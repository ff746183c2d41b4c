"""What a plugin provides as an `Optimizer`: a rule on flat vectors, or on one parameter by name after the other.

Each is a frozen, keyword-only attrs class. The class is name, options and factory in one: `name` is what people
write on the command line, the fields are the options behind the colon (`metadata={"help": ...}` explains them).
"""

import abc
from typing import ClassVar, Self

import attrs

from rnnframe.arrays import Array, Arrays, Shapes


@attrs.frozen(kw_only=True)
class Optimizer(abc.ABC):
    """A rule that turns a gradient into a change of the parameters, on flat vectors in place.

    A rule that looks at one value at a time belongs here. One that needs the shape of a parameter, its norm or its
    name is a `NamedOptimizer`.
    """

    name: ClassVar[str]
    lr: float

    @abc.abstractmethod
    def slots(self) -> tuple[str, ...]:
        """Return the names of the vectors that are remembered between updates, zero at first."""

    @abc.abstractmethod
    def update(self, parameters: Array, gradients: Array, slots: Arrays, step: int, lr: float) -> None:
        """Change the flat `parameters` in place; `step` counts from 1, `lr` is the scheduled learning rate.

        `gradients` may be overwritten; `slots` are changed in place. Where parameters have different settings, this is
        called for each part of the vectors that has the same ones.
        """

    def for_parameter(self, name: str, shape: tuple[int, ...]) -> Self:
        """Return the optimizer of one parameter: this one, or one with other options and the same slots.

        `adamw` returns one without weight decay for biases.
        """
        return self


@attrs.frozen(kw_only=True, eq=False)
class NamedParameter:
    """One parameter at an update: contiguous views of the vectors that hold all of them.

    Parameters
    ----------
    name
        "layer0.W", "head.V" and so on; empty for a vector that has no name.
    value
        The parameter in its shape; it is changed in place.
    gradient
        Its gradient in the same shape; it may be overwritten.
    slots
        What is remembered of this parameter between updates, by name; it is changed in place.
    """

    name: str
    value: Array
    gradient: Array
    slots: Arrays


@attrs.frozen(kw_only=True)
class NamedOptimizer(Optimizer):
    """A rule that takes one parameter after the other, with its name and shape: for norms of arrays, for matrices."""

    @abc.abstractmethod
    def update_parameter(self, parameter: NamedParameter, step: int, lr: float) -> None:
        """Change one parameter and its slots in place; `step` and `lr` are those of `Optimizer.update`."""

    def slot_shapes(self, name: str, shape: tuple[int, ...]) -> Shapes:
        """Return slot name -> shape for a parameter; by default every one of `slots()` in the parameter's shape.

        A vector without a name has `slots()`, each as long as the vector.
        """
        return dict.fromkeys(self.slots(), shape)

    def update(self, parameters: Array, gradients: Array, slots: Arrays, step: int, lr: float) -> None:
        """Update a flat vector as one parameter without a name."""
        whole = NamedParameter(name="", value=parameters, gradient=gradients, slots=slots)
        self.update_parameter(whole, step, lr)
