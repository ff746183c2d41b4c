"""Readout and loss: what turns the top layer's h_t into outputs, a loss and dL/dh_t.

    o_t = h_t V + c;   dV = Σ h_tᵀ do_t;   dc = Σ do_t;   dL/dh_t = do_t Vᵀ

All of it happens for one chunk at a time, when that chunk is reversed; the outputs o are thrown away at once. Losses
are sums over steps and samples: the engine divides once by their number.
"""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import in_

from rnnframe.arrays import Array, Arrays
from rnnframe.arrays.products import add_column_sums, add_product, panel_shape, rows


def at_field() -> Any:
    """Return the field of a head that says which steps have a loss."""
    return attrs.field(
        default="every", validator=in_(("every", "last")), metadata={"help": "the steps whose loss counts"}
    )


@attrs.frozen(kw_only=True)
class Head(abc.ABC):
    """An affine readout V [H, outputs], c [outputs] with a loss, at every step or at the last one only."""

    name: ClassVar[str]
    at: Literal["every", "last"]

    @property
    @abc.abstractmethod
    def width(self) -> int:
        """The number of outputs."""

    @abc.abstractmethod
    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """Return a block of targets ready for `loss_and_gradient`; raises `DataError` for what is no target."""

    @abc.abstractmethod
    def loss_and_gradient(self, o: Array, y: Array) -> float:
        """Return the sum of the losses of o [rows, outputs] and turn o into its gradient in place."""

    @abc.abstractmethod
    def prediction(self, o: Array) -> None:
        """Turn o into what the head predicts (probabilities, values) in place."""

    @property
    @abc.abstractmethod
    def target_dims(self) -> int:
        """Dimensions of y for one step, batch included: 1 for [B], 2 for [B, outputs]."""

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """V [inputs, outputs], c [outputs]."""
        return {"V": (inputs, self.width), "c": (self.width,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw V uniformly from ±1/sqrt(inputs); c is zero."""
        bound = 1 / np.sqrt(parameters["V"].shape[0])
        parameters["V"][...] = rng.uniform(-bound, bound, parameters["V"].shape)
        parameters["c"].fill(0)

    def scratch(self, inputs: int) -> Mapping[str, int | tuple[int, ...]]:
        """The outputs of one chunk, and a panel for dV."""
        return {"o": self.width, "panel": panel_shape(inputs, self.width)}

    def readout(self, weights: Arrays, h: Array, scratch: Arrays) -> Array:
        """Return o [L, B, outputs] of a block of h, in the working array."""
        o = scratch["o"][: len(h)]
        np.matmul(rows(h), weights["V"], out=rows(o))
        o += weights["c"]
        return o

    def loss(self, weights: Arrays, h: Array, y: Array, scratch: Arrays) -> float:
        """Return the sum of the losses of a block."""
        return self.loss_and_gradient(rows(self.readout(weights, h, scratch)), y)

    def reverse(self, weights: Arrays, h: Array, y: Array, dh: Array, gradients: Arrays, scratch: Arrays) -> float:
        """Return the sum of the losses of a block; add into dV and dc and write dL/dh."""
        o = self.readout(weights, h, scratch)
        loss = self.loss_and_gradient(rows(o), y)
        add_product(h, o, gradients["V"], scratch["panel"])
        add_column_sums(o, gradients["c"])
        np.matmul(rows(o), weights["V"].T, out=rows(dh))
        return loss
