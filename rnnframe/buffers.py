"""The buffers that a network makes for the loop, and that nobody else looks into: weights and working arrays."""

from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Vector, size_of
from rnnframe.contracts import Cell, Sizes
from rnnframe.heads import Head
from rnnframe.registry import Naming


@attrs.frozen(eq=False)
class Layer:
    """A cell in its place: the prefix of its names and the width of its inputs."""

    prefix: str
    cell: Cell
    inputs: int
    named: Naming = attrs.field(init=False, repr=False)
    """What tells whose cell was at work when something is raised."""

    @named.default
    def _name(self) -> Naming:
        return Naming(f"in {self.prefix}", "cell", type(self.cell))


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

    def copy_from(self, other: "Weights") -> None:
        """Take over every value of `other`."""
        self.parameters.copy_from(other.parameters)
        self._derived.copy_from(other._derived)


def _weights_from(layers: tuple[Layer, ...], head: Head, dtype: np.dtype[Any], parameters: Vector) -> Weights:
    weights = Weights(layers, head, dtype, parameters)
    weights.derive()
    return weights


class Scratch:
    """What both directions work in while they are at one chunk: nothing here outlives it."""

    def __init__(self, layers: tuple[Layer, ...], head: Head, steps: int, batch: int, dtype: np.dtype[Any]) -> None:
        sizes = _scratch_sizes(layers, head)
        shapes = [_scratch_shapes(size, steps, batch) for size in sizes]
        shared, between = _scratch_items(layers, head, steps, batch)
        self._shared = Vector({"": (shared,)}, dtype)
        self._gradients = Vector(dict.fromkeys("ab"[: _between(layers)], (between,)), dtype)
        self._arrays = [Vector(shape, dtype, self._shared.flat) for shape in shapes]
        self._sized = [[name for name in size if not isinstance(size[name], tuple)] for size in sizes]
        self._batch = batch
        self._views: dict[tuple[int, int], dict[str, Array]] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of all working arrays."""
        return self._shared.nbytes + self._gradients.nbytes

    def part(self, layer: int, size: tuple[int, int]) -> dict[str, Array]:
        """Return the working arrays of a layer, or of the head as number -1, for so many steps and samples.

        They are dense also where there are fewer samples than in the batch.
        """
        if size[1] != self._batch:
            return self._views_of(layer, size)
        if (layer, size[0]) not in self._views:
            self._views[layer, size[0]] = self._views_of(layer, size)
        return self._views[layer, size[0]]

    def _views_of(self, layer: int, size: tuple[int, int]) -> dict[str, Array]:
        views = dict(self._arrays[layer])
        for name in self._sized[layer]:
            width = views[name].shape[2]
            views[name] = views[name].reshape(-1)[: size[0] * size[1] * width].reshape(*size, width)
        return views

    def gradient(self, name: str, size: tuple[int, int], width: int) -> Array:
        """Return one of the arrays [*size, width] in which dL/dh travels from layer to layer: "a", and below it "b"."""
        steps, samples = size
        return self._gradients[name][: steps * samples * width].reshape(steps, samples, width)


def scratch_items(layers: tuple[Layer, ...], head: Head, steps: int, batch: int) -> int:
    """Return the number of values in the working arrays for chunks of `steps` steps."""
    shared, between = _scratch_items(layers, head, steps, batch)
    return shared + _between(layers) * between


def _between(layers: tuple[Layer, ...]) -> int:
    """Return how many arrays dL/dh needs on its way down: of one layer only the top's."""
    return min(2, len(layers))


def _scratch_items(layers: tuple[Layer, ...], head: Head, steps: int, batch: int) -> tuple[int, int]:
    """Return the values that the layers and the head share, as one is at work at a time, and those of one dL/dh."""
    shared = max(size_of(_scratch_shapes(size, steps, batch)) for size in _scratch_sizes(layers, head))
    return shared, steps * batch * max(layer.cell.hidden for layer in layers)


def _scratch_sizes(layers: tuple[Layer, ...], head: Head) -> list[Sizes]:
    return [*(layer.cell.scratch(layer.inputs) for layer in layers), head.scratch(layers[-1].cell.hidden)]


def _scratch_shapes(sizes: Sizes, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of working arrays: a width w means [steps, batch, w]."""
    return {name: size if isinstance(size, tuple) else (steps, batch, size) for name, size in sizes.items()}
