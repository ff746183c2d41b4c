"""The buffers that a network makes for the loop, and that nobody else looks into: weights and working arrays."""

from typing import Any

import numpy as np

from rnnframe.arrays import Array, Vector, size_of
from rnnframe.contracts.cell import Sizes
from rnnframe.contracts.head import Head
from rnnframe.network.weights import Layer


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
