"""The state before the first step, where it is learnt: a parameter "h.start" [width] of a layer is that of its state h.

A sequence begins from it where the caller gives no state, and a sample begins from it again where it is reset. Its
gradient is the sum, over all samples that begin, of the gradient that reaches their state there: of a truncating store
only from windows that hold the beginning. It is all done outside of the layers, so that kernels need not know of it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnnframe.arrays import Array, Arrays, Shapes, Vector
from rnnframe.contracts.layer import START
from rnnframe.errors import PluginError
from rnnframe.network.placed import PlacedLayer


class State(Vector):
    """A state that knows whether the run that it belongs to begins afresh: from learnt values, or from zeros."""

    __slots__ = ("afresh",)

    def __init__(self, shapes: Shapes, dtype: np.dtype[Any], flat: Array | None = None) -> None:
        super().__init__(shapes, dtype, flat)
        self.afresh = False

    def copy(self) -> "State":
        """Return an independent state of the same values."""
        twin = State(self.shapes, self.flat.dtype)
        twin.copy_from(self)
        twin.afresh = self.afresh
        return twin


def check_starts(at: PlacedLayer) -> None:
    """Raise `PluginError` where a parameter is named as the start of a state that the layer does not have."""
    with at.note:
        shapes = at.layer.parameters(at.inputs)
    for name, shape in shapes.items():
        state = name.removesuffix(START)
        if state != name and tuple(shape) != (at.state.get(state),):
            found = f"which has no state {state!r}" if state not in at.state else f"of the shape {list(shape)}"
            raise PluginError(
                f"{at.prefix}, {at.describe(at.note.kind, at.note.cls)}: parameter {name!r} {found}; a parameter "
                f"that ends in {START} is the start [width] of the state named before it"
            )


def starts_of(layers: Sequence[PlacedLayer], weights: Sequence[Arrays]) -> Iterator[Array | int]:
    """Yield what each state of each layer begins with: its parameter [width], or 0."""
    for at, of_layer in zip(layers, weights, strict=True):
        for name in at.state:
            yield of_layer.get(name + START, 0)


def add_start_gradients(layers: Sequence[PlacedLayer], dstate: Vector, gradients: Vector, samples: Any) -> None:
    """Add the gradient that has reached the states of some samples, where they begin, to that of the starts."""
    for at in layers:
        arriving, of_layer = dstate.group(at.prefix), gradients.group(at.prefix)
        for name in at.state:
            if name + START in of_layer:
                of_layer[name + START] += arriving[name][samples].sum(axis=0)
