"""The weights of a network: the parameters in one flat vector, and what the layers and the readout derive from them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.head import Head
from rnnframe.data.draws import Draw
from rnnframe.network.placed import PlacedLayer, head_note
from rnnframe.network.ties import of_head, own_shapes
from rnnframe.network.weight_masks import WeightMasks


class LayerWeights:
    """What the layers of a stack and its head receive, by name; the layers are those of `Weights`, or some of them."""

    layers: list[dict[str, Array]]
    head: dict[str, Array]


class Weights(LayerWeights):
    """The parameters and what the layers and the readout derive from them (transposed copies and the like)."""

    def __init__(
        self,
        layers: tuple[PlacedLayer, ...],
        head: Head | None,
        dtype: np.dtype[Any],
        parameters: Vector | None = None,
    ) -> None:
        shapes: dict[str, tuple[int, ...]] = {}
        derived: dict[str, tuple[int, ...]] = {}
        dropped: dict[str, float] = {}
        for at in layers:
            with at.note:
                shapes |= at.named(at.layer.parameters(at.inputs))
                dropped |= at.named(at.layer.dropped_weights(at.inputs))
                derived |= at.named(at.layer.derived(at.inputs))
        self._readout = None if head is None else head.readout
        self._head_note = head_note(head, layers[-1].describe)
        if head is not None:
            with self._head_note:
                of_readout = head.readout.parameters(layers[-1].width, head.width)
                from_readout = head.readout.derived(layers[-1].width, head.width)
            shapes |= own_shapes(head, of_readout, shapes)
            derived |= {f"head.{name}": shape for name, shape in from_readout.items()}
        derived = {name: shapes[name] for name in dropped} | derived
        self._made_of, self._placed = (layers, head, dtype), layers
        self._dropped = WeightMasks(dropped, {at.prefix: at.number for at in layers})
        self.parameters = Vector(shapes, dtype) if parameters is None else parameters
        self._derived = Vector(derived, dtype)
        self.layers = [self.parameters.group(at.prefix) | self._derived.group(at.prefix) for at in layers]
        self.head = self.parameters.group("head") | self._derived.group("head")
        if head is not None:  # as the layer receives it, perhaps with some entries dropped
            self.head |= {name: self.layers[0][name] for name in head.readout.shared}

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle what the weights are made of and the parameters, so that who shared them shares the copy."""
        return _weights_from, (*self._made_of, self.parameters)

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters and the derived arrays."""
        return self.parameters.nbytes + self._derived.nbytes

    def initialize_layers(self, rng: np.random.Generator) -> None:
        """Draw the starting values of the layers."""
        for at in self._placed:
            with at.note:
                at.layer.initialize(self.parameters.group(at.prefix), rng)

    def initialize_readout(self, rng: np.random.Generator) -> None:
        """Draw the starting values of the head."""
        _, head, _ = self._made_of
        if head is not None:
            with self._head_note:
                head.readout.initialize(of_head(head, self.parameters), rng)

    def derive(self, draw: Draw | None = None) -> None:
        """Compute the derived arrays again, after the parameters have changed or for another draw."""
        self.derive_forward(draw)
        for at, weights in zip(self._placed, self.layers, strict=True):
            with at.note:
                at.layer.derive_reverse(weights)
        if self._readout is not None:
            with self._head_note:
                self._readout.derive_reverse(self.head)

    def derive_forward(self, draw: Draw | None = None) -> None:
        """Compute those again that the way forward reads, beginning with parameters of which some entries are zero."""
        self._dropped.write(self.parameters, self._derived, draw)
        for at, weights in zip(self._placed, self.layers, strict=True):
            with at.note:
                at.layer.derive(weights)
        if self._readout is not None:
            with self._head_note:
                self._readout.derive(self.head)

    def complete(self, gradients: Vector) -> None:
        """Make gradients of the parameters from those of what the layers received in the last run."""
        self._dropped.mask(gradients)

    def part(self, layers: Sequence[PlacedLayer], *, head: bool) -> "WeightsPart":
        """Return those of some layers, which stay what this object makes of the parameters."""
        return WeightsPart(self, layers, head)

    def copy(self) -> "Weights":
        """Return an independent version with the same values."""
        version = Weights(*self._made_of)
        version.copy_from(self)
        return version

    def copy_from(self, other: "Weights") -> None:
        """Overwrite every value with that of `other`."""
        self.parameters.copy_from(other.parameters)
        self._derived.copy_from(other._derived)


class WeightsPart(LayerWeights):
    """What some of the layers of a network receive; `Weights` derives it, for all of them at once."""

    def __init__(self, whole: Weights, layers: Sequence[PlacedLayer], head: bool) -> None:
        of_layer = {at.number: arrays for at, arrays in zip(whole._placed, whole.layers, strict=True)}
        self.layers = [of_layer.get(at.number, {}) for at in layers]
        self.head = whole.head if head else {}
        self.parameters, self.nbytes, self.complete = whole.parameters, whole.nbytes, whole.complete


def _weights_from(
    layers: tuple[PlacedLayer, ...], head: Head | None, dtype: np.dtype[Any], parameters: Vector
) -> Weights:
    weights = Weights(layers, head, dtype, parameters)
    weights.derive()
    return weights
