"""Parameters of which some entries are zero in a run: DropConnect, for any layer and any kernels.

Wan, Zeiler, Zhang, LeCun & Fergus (2013), "Regularization of neural networks using DropConnect"; on the recurrent
weights of an LSTM: Merity, Keskar & Socher (2018), arXiv 1708.02182. A layer receives m ∘ W / (1 - rate) in place of W
and computes the gradient of that; the gradient of W is m / (1 - rate) times it. The mask is one for the whole run, so
that this is done once an update: it costs no tape, and no time per step.
"""

from collections.abc import Mapping

from rnnframe.arrays import Arrays, Vector
from rnnframe.data.draws import Draw


class WeightMasks:
    """The masks of some parameters.

    Parameters
    ----------
    rates : mapping
        "layer0.W" -> how probable it is that an entry is dropped.
    numbers : mapping
        "layer0" -> the number of the layer.
    """

    def __init__(self, rates: Mapping[str, float], numbers: Mapping[str, int]) -> None:
        self._rates, self._numbers = rates, numbers
        self._masks: Vector | None = None  # made when first drawn: old versions of the weights need none
        self._draw: Draw | None = None

    def write(self, parameters: Vector, into: Arrays, draw: Draw | None) -> None:
        """Write the parameters masked into arrays of the same names; as they are without a draw."""
        if self._rates and draw is not None and draw != self._draw:
            self._masks = self._drawn(parameters, draw)
        self._draw = draw
        for name in self._rates:
            if draw is None or self._masks is None:
                into[name][...] = parameters[name]
            else:
                into[name][...] = parameters[name] * self._masks[name]

    def _drawn(self, parameters: Vector, draw: Draw) -> Vector:
        masks = self._masks or Vector({name: parameters.shapes[name] for name in self._rates}, parameters.flat.dtype)
        for name, rate in self._rates.items():
            prefix, _, own = name.partition(".")
            rows = masks[name].reshape(len(masks[name]), -1)
            draw.write_mask(rows, rate, self._numbers[prefix], f"weights {own}", slice(None))
            rows /= 1 - rate
        return masks

    def mask(self, gradients: Arrays) -> None:
        """Multiply gradients by the masks of the last draw."""
        if self._draw is not None and self._masks is not None:
            for name in self._rates:
                gradients[name][...] *= self._masks[name]
