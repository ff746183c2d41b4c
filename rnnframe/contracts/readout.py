"""`Readout`: what turns the top layer's outputs into those of a loss. With a `Loss` it makes a head."""

import abc
from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.contracts.layer import Sizes


@attrs.frozen(kw_only=True)
class Readout(abc.ABC):
    """A function of one step's h, with parameters of its own."""

    name: ClassVar[str]

    @abc.abstractmethod
    def parameters(self, inputs: int, outputs: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of each parameter."""

    @abc.abstractmethod
    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Fill the parameters in place."""

    @abc.abstractmethod
    def scratch(self, inputs: int, outputs: int) -> Sizes:
        """Return working arrays of both directions: an int is a width per step and sample, a tuple a shape."""

    @abc.abstractmethod
    def forward(self, weights: Arrays, h: Array, scratch: Arrays) -> Array:
        """Return the outputs [L, B, outputs] of a block of h [L, B, inputs], in a working array."""

    @abc.abstractmethod
    def backward(self, weights: Arrays, h: Array, do: Array, dh: Array, gradients: Arrays, scratch: Arrays) -> None:
        """Reverse the block: add into `gradients` and write dL/dh [L, B, inputs] into `dh`.

        do [L, B, outputs] is the gradient of the outputs, in the working array that `forward` returned.
        """
