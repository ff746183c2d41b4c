"""The buffers that a network makes for the loop, and that nobody else looks into: weights and working arrays."""

from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Vector
from rnnframe.contracts.cell import Cell
from rnnframe.contracts.head import Head
from rnnframe.registry.blame import BlameNote, Describe


@attrs.frozen(eq=False)
class Layer:
    """A cell in its place: the prefix of its names and the width of its inputs."""

    prefix: str
    cell: Cell
    inputs: int
    describe: Describe = attrs.field(repr=False)
    note: BlameNote = attrs.field(init=False, repr=False)
    """What tells whose cell was at work when something is raised."""

    @note.default
    def _note(self) -> BlameNote:
        return BlameNote(f"in {self.prefix}", "cell", type(self.cell), self.describe)


class Weights:
    """The parameters and what the cells derive from them (transposed copies and the like)."""

    def __init__(
        self, layers: tuple[Layer, ...], head: Head, dtype: np.dtype[Any], parameters: Vector | None = None
    ) -> None:
        top = layers[-1].cell.hidden
        shapes = {f"{at.prefix}.{name}": s for at in layers for name, s in at.cell.parameters(at.inputs).items()}
        shapes |= {f"head.{name}": shape for name, shape in head.parameters(top).items()}
        derived = {f"{at.prefix}.{name}": s for at in layers for name, s in at.cell.derived(at.inputs).items()}
        self._made_of = layers, head, dtype
        self.parameters = Vector(shapes, dtype) if parameters is None else parameters
        self._derived = Vector(derived, dtype)
        self._cells = [at.cell for at in layers]
        self.layers = [self.parameters.group(at.prefix) | self._derived.group(at.prefix) for at in layers]
        self.head = self.parameters.group("head")

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle what the weights are made of and the parameters, so that who shared them shares the copy."""
        return _weights_from, (*self._made_of, self.parameters)

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters and the derived arrays."""
        return self.parameters.nbytes + self._derived.nbytes

    def derive(self) -> None:
        """Compute the derived arrays anew, after the parameters have changed."""
        self.derive_forward()
        for cell, weights in zip(self._cells, self.layers, strict=True):
            cell.derive_reverse(weights)

    def derive_forward(self) -> None:
        """Compute those anew that the way forward reads."""
        for cell, weights in zip(self._cells, self.layers, strict=True):
            cell.derive(weights)

    def copy(self) -> "Weights":
        """Return an independent version with the same values."""
        version = Weights(*self._made_of)
        version.copy_from(self)
        return version

    def copy_from(self, other: "Weights") -> None:
        """Take over every value of `other`."""
        self.parameters.copy_from(other.parameters)
        self._derived.copy_from(other._derived)


def _weights_from(layers: tuple[Layer, ...], head: Head, dtype: np.dtype[Any], parameters: Vector) -> Weights:
    weights = Weights(layers, head, dtype, parameters)
    weights.derive()
    return weights
