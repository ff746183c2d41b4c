"""The weights of a network: the parameters in one flat vector, and what the layers and the readout derive from them."""

from typing import Any

import numpy as np

from rnnframe.arrays import Vector
from rnnframe.contracts.head import Head
from rnnframe.data.draws import Draw
from rnnframe.network.placed import PlacedLayer
from rnnframe.network.weight_masks import WeightMasks


class Weights:
    """The parameters and what the layers and the readout derive from them (transposed copies and the like)."""

    def __init__(
        self,
        layers: tuple[PlacedLayer, ...],
        head: Head | None,
        dtype: np.dtype[Any],
        parameters: Vector | None = None,
    ) -> None:
        shapes = {f"{at.prefix}.{name}": s for at in layers for name, s in at.layer.parameters(at.inputs).items()}
        self._readout = None if head is None else head.readout
        if head is not None:
            of_head = head.readout.parameters(layers[-1].width, head.width)
            shapes |= {f"head.{name}": shape for name, shape in of_head.items()}
        dropped = {f"{at.prefix}.{name}": r for at in layers for name, r in at.layer.dropped_weights(at.inputs).items()}
        derived = {name: shapes[name] for name in dropped}
        derived |= {f"{at.prefix}.{name}": s for at in layers for name, s in at.layer.derived(at.inputs).items()}
        if head is not None:
            of_head = head.readout.derived(layers[-1].width, head.width)
            derived |= {f"head.{name}": shape for name, shape in of_head.items()}
        self._made_of = layers, head, dtype
        self._dropped = WeightMasks(dropped, {at.prefix: at.number for at in layers})
        self.parameters = Vector(shapes, dtype) if parameters is None else parameters
        self._derived = Vector(derived, dtype)
        self._layers = [at.layer for at in layers]
        self.layers = [self.parameters.group(at.prefix) | self._derived.group(at.prefix) for at in layers]
        self.head = self.parameters.group("head") | self._derived.group("head")

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle what the weights are made of and the parameters, so that who shared them shares the copy."""
        return _weights_from, (*self._made_of, self.parameters)

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters and the derived arrays."""
        return self.parameters.nbytes + self._derived.nbytes

    def derive(self, draw: Draw | None = None) -> None:
        """Compute the derived arrays again, after the parameters have changed or for another draw."""
        self.derive_forward(draw)
        for layer, weights in zip(self._layers, self.layers, strict=True):
            layer.derive_reverse(weights)
        if self._readout is not None:
            self._readout.derive_reverse(self.head)

    def derive_forward(self, draw: Draw | None = None) -> None:
        """Compute those again that the way forward reads, beginning with parameters of which some entries are zero."""
        self._dropped.write(self.parameters, self._derived, draw)
        for layer, weights in zip(self._layers, self.layers, strict=True):
            layer.derive(weights)
        if self._readout is not None:
            self._readout.derive(self.head)

    def complete(self, gradients: Vector) -> None:
        """Make gradients of the parameters from those of what the layers received in the last run."""
        self._dropped.mask(gradients)

    def copy(self) -> "Weights":
        """Return an independent version with the same values."""
        version = Weights(*self._made_of)
        version.copy_from(self)
        return version

    def copy_from(self, other: "Weights") -> None:
        """Overwrite every value with that of `other`."""
        self.parameters.copy_from(other.parameters)
        self._derived.copy_from(other._derived)


def _weights_from(
    layers: tuple[PlacedLayer, ...], head: Head | None, dtype: np.dtype[Any], parameters: Vector
) -> Weights:
    weights = Weights(layers, head, dtype, parameters)
    weights.derive()
    return weights
