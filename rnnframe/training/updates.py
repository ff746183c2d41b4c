"""How an optimizer is applied to the parameters of a network: to parts of flat vectors, or to each one by name."""

import itertools
import math
from collections.abc import Iterable, Mapping
from typing import Protocol

import attrs

from rnnframe.arrays import Shapes, Vector
from rnnframe.contracts.optimizer import NamedOptimizer, NamedParameter, Optimizer
from rnnframe.registry.blame import BlameNote, Describe
from rnnframe.training.groups import ParameterGroup, ParameterRule, rules_of


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
    """An optimizer of flat vectors: one call for each part in which neighbouring parameters have the same rule."""

    optimizer: Optimizer
    parts: tuple[tuple[slice, ParameterRule[Optimizer]], ...]

    def new_slots(self, parameters: Vector) -> Vector:
        """Return one flat vector a slot, as long as all parameters together."""
        size, dtype = parameters.flat.size, parameters.flat.dtype
        return Vector.zeros(dict.fromkeys(self.optimizer.slots(), (size,)), dtype)

    def apply(self, parameters: Vector, gradients: Vector, slots: Vector, step: int, lr: float) -> None:
        """Hand the parts over one after the other."""
        for part, rule in self.parts:
            own = {name: slot[part] for name, slot in slots.items()}
            rule.optimizer.update(parameters.flat[part], gradients.flat[part], own, step, lr * rule.lr_factor)


@attrs.frozen
class NamedUpdates:
    """An optimizer of named parameters, with slots "layer0.W.mean" and so on for those that are not frozen."""

    rules: Mapping[str, ParameterRule[NamedOptimizer]]

    def new_slots(self, parameters: Vector) -> Vector:
        """Return the slots of every parameter, named after it."""
        shapes = {
            f"{name}.{slot}": tuple(shape)
            for name, rule in self.rules.items()
            for slot, shape in rule.optimizer.slot_shapes(name, parameters.shapes[name]).items()
        }
        return Vector.zeros(shapes, parameters.flat.dtype)

    def apply(self, parameters: Vector, gradients: Vector, slots: Vector, step: int, lr: float) -> None:
        """Hand each parameter over with its gradient and slots."""
        for name, rule in self.rules.items():
            value, gradient = parameters[name], gradients[name]
            parameter = NamedParameter(name=name, value=value, gradient=gradient, slots=slots.group(name))
            rule.optimizer.update_parameter(parameter, step, lr * rule.lr_factor)


@attrs.frozen
class BlamedUpdates:
    """Updates of an optimizer that is named in what it raises."""

    updates: Updates
    note: BlameNote

    def new_slots(self, parameters: Vector) -> Vector:
        """Return what the updates return."""
        with self.note:
            return self.updates.new_slots(parameters)

    def apply(self, parameters: Vector, gradients: Vector, slots: Vector, step: int, lr: float) -> None:
        """Make the update."""
        with self.note:
            self.updates.apply(parameters, gradients, slots, step, lr)


def updates_of(
    optimizer: Optimizer, shapes: Shapes, groups: Iterable[ParameterGroup | str], describe: Describe
) -> tuple[Updates, tuple[str, ...]]:
    """Return how an optimizer is applied, and the names of the frozen parameters; raises `UsageError`.

    `describe` names the optimizer and its plugin in what it raises.
    """
    note = BlameNote("an update", "optimizer", type(optimizer), describe)
    if isinstance(optimizer, NamedOptimizer):
        named = rules_of(optimizer, shapes, groups, note)
        return BlamedUpdates(NamedUpdates(named), note), tuple(name for name in shapes if name not in named)
    rules = rules_of(optimizer, shapes, groups, note)
    flat = FlatUpdates(optimizer, _parts(shapes, rules))
    return BlamedUpdates(flat, note), tuple(name for name in shapes if name not in rules)


def _parts(
    shapes: Shapes, rules: Mapping[str, ParameterRule[Optimizer]]
) -> tuple[tuple[slice, ParameterRule[Optimizer]], ...]:
    """Return the parts of the flat vector with one rule each; those of frozen parameters are left out."""
    parts, start = [], 0
    for rule, names in itertools.groupby(shapes, key=rules.get):
        stop = start + sum(math.prod(shapes[name]) for name in names)
        if rule is not None:
            parts.append((slice(start, stop), rule))
        start = stop
    return tuple(parts)
