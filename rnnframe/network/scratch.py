"""The working arrays of a network: what both directions use while they are at one chunk."""

from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Vector, size_of
from rnnframe.contracts.head import Head
from rnnframe.contracts.layer import Sizes
from rnnframe.network.placed import PlacedLayer, head_note


class Scratch:
    """What both directions work in while they are at one chunk: nothing here outlives it."""

    def __init__(self, form: "ScratchForm", steps: int, batch: int, dtype: np.dtype[Any]) -> None:
        sizes = form.sizes()
        self._shared = Vector({"": (form.shared_items(steps, batch),)}, dtype)
        width = steps * batch * form.widest
        self._gradients = Vector(dict.fromkeys("ab"[: form.gradients], (width,)), dtype)
        self._arrays = [Vector(_shapes(size, steps, batch), dtype, self._shared.flat) for size in sizes]
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

    def input_gradient(self, name: str, size: tuple[int, int], at: PlacedLayer) -> Array:
        """Return one of these arrays for dL/dx of a layer: [*size, inputs], or one for each direction, [2, ...]."""
        width = _input_gradients(at)
        array = self.gradient(name, size, width)
        return array if width == at.inputs else array.reshape(2, *size, at.inputs)


@attrs.frozen(eq=False)
class ScratchForm:
    """What working arrays a network needs; `inputs` tells whether dL/dx of its inputs is among them.

    The layers and the head share one part of them, as one is at work at a time.
    """

    layers: tuple[PlacedLayer, ...]
    head: Head | None
    inputs: bool = False

    @property
    def gradients(self) -> int:
        """How many arrays dL/dh needs on its way down: of one layer only the top's."""
        return min(2, len(self.layers) + self.inputs)

    @property
    def widest(self) -> int:
        """The largest width of dL/dh on its way."""
        widths = [at.width for at in self.layers]
        return max([*widths, _input_gradients(self.layers[0])] if self.inputs else widths)

    def sizes(self) -> list[Sizes]:
        """Return the working arrays of each layer, and last of the head."""
        top = self.layers[-1]
        with head_note(self.head, top.describe):
            of_head = {} if self.head is None else self.head.readout.scratch(top.width, self.head.width)
        return [*(at.scratch for at in self.layers), of_head]

    def shared_items(self, steps: int, batch: int) -> int:
        """Return the number of values that the layers and the head share."""
        return max(size_of(_shapes(size, steps, batch)) for size in self.sizes())

    def items(self, steps: int, batch: int) -> int:
        """Return the number of values in all working arrays for chunks of `steps` steps."""
        return self.shared_items(steps, batch) + self.gradients * steps * batch * self.widest


def _input_gradients(at: PlacedLayer) -> int:
    """Return how many values dL/dx of a layer has for each step and sample."""
    return at.inputs * (2 if at.layer.both_ways else 1)


def _shapes(sizes: Sizes, steps: int, batch: int) -> dict[str, tuple[int, ...]]:
    """Return the shapes of working arrays: a width w means [steps, batch, w]."""
    return {name: size if isinstance(size, tuple) else (steps, batch, size) for name, size in sizes.items()}
