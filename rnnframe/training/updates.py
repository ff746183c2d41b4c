"""How an optimizer is applied to the parameters of a network: to one flat vector, or to each parameter by name."""

from typing import Protocol

import attrs

from rnnframe.arrays import Vector
from rnnframe.contracts.optimizer import NamedOptimizer, NamedParameter, Optimizer


class Updates(Protocol):
    """What a trainer asks of an optimizer that is applied to parameters of known names and shapes."""

    def new_slots(self, parameters: Vector) -> Vector:
        """Return zeros for all that the optimizer remembers between updates."""
        ...

    def apply(self, parameters: Vector, gradients: Vector, slots: Vector, step: int, lr: float) -> None:
        """Make update number `step` with the scheduled learning rate."""
        ...


@attrs.frozen
class FlatUpdates:
    """An optimizer that takes flat vectors: one call an update, and slots as long as all parameters together."""

    optimizer: Optimizer

    def new_slots(self, parameters: Vector) -> Vector:
        """Return one flat vector a slot."""
        size, dtype = parameters.flat.size, parameters.flat.dtype
        return Vector.zeros(dict.fromkeys(self.optimizer.slots(), (size,)), dtype)

    def apply(self, parameters: Vector, gradients: Vector, slots: Vector, step: int, lr: float) -> None:
        """Hand all parameters over at once."""
        self.optimizer.update(parameters.flat, gradients.flat, slots, step, lr)


@attrs.frozen
class NamedUpdates:
    """An optimizer that takes one parameter after the other, with slots "layer0.W.mean" and so on."""

    optimizer: NamedOptimizer

    def new_slots(self, parameters: Vector) -> Vector:
        """Return the slots of every parameter, named after it."""
        shapes = {
            f"{name}.{slot}": tuple(shape)
            for name, whole in parameters.shapes.items()
            for slot, shape in self.optimizer.slot_shapes(name, whole).items()
        }
        return Vector.zeros(shapes, parameters.flat.dtype)

    def apply(self, parameters: Vector, gradients: Vector, slots: Vector, step: int, lr: float) -> None:
        """Hand each parameter over with its gradient and slots."""
        for name, value in parameters.items():
            parameter = NamedParameter(name=name, value=value, gradient=gradients[name], slots=slots.group(name))
            self.optimizer.update_parameter(parameter, step, lr)


def updates_of(optimizer: Optimizer) -> Updates:
    """Return the way in which an optimizer is applied."""
    return NamedUpdates(optimizer) if isinstance(optimizer, NamedOptimizer) else FlatUpdates(optimizer)
