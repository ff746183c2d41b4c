"""`Optimizer`: a rule that changes flat vectors; `NamedOptimizer`: one that changes each parameter by name."""

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
        """Change the parameters in place.

        Where parameters have different settings, this is called for each part of the vectors that has the same ones.

        Parameters
        ----------
        parameters : Array
            A flat vector [n], which is changed in place.
        gradients : Array
            Their gradients [n]; they may be overwritten.
        slots : Arrays
            The vectors [n] of `slots()`, by name, which are changed in place.
        step : int
            The number of the update, from 1.
        lr : float
            The scheduled learning rate, which already includes the option `lr`.
        """

    def for_parameter(self, name: str, shape: tuple[int, ...]) -> Self:
        """Return the optimizer of one parameter; `adamw` returns one without weight decay for biases.

        Parameters
        ----------
        name : str
            The name of the parameter, such as "layer0.W".
        shape : tuple of int
            Its shape.

        Returns
        -------
        Optimizer
            This one, or one with other options and the same slots.
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
        """Change one parameter and its slots in place.

        Parameters
        ----------
        parameter : NamedParameter
            Its name, value, gradient and slots.
        step : int
            The number of the update, from 1.
        lr : float
            The scheduled learning rate.
        """

    def slot_shapes(self, name: str, shape: tuple[int, ...]) -> Shapes:
        """Return the shapes of the slots of a parameter; by default each of `slots()` in the parameter's shape.

        Parameters
        ----------
        name : str
            The name of the parameter; empty for a whole vector, whose slots are `slots()`, each as long as the vector.
        shape : tuple of int
            Its shape.

        Returns
        -------
        Shapes
            Slot name -> shape.
        """
        return dict.fromkeys(self.slots(), shape)

    def update(self, parameters: Array, gradients: Array, slots: Arrays, step: int, lr: float) -> None:
        """Update a flat vector as one parameter without a name."""
        whole = NamedParameter(name="", value=parameters, gradient=gradients, slots=slots)
        self.update_parameter(whole, step, lr)
