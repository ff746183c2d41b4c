"""`Readout`: from the outputs of the top layer to those that a loss takes. A `Loss` and a `Readout` are a head."""

import abc
from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.contracts.layer import Sizes


@attrs.frozen(kw_only=True)
class Readout(abc.ABC):
    """A function of one step's h, with parameters of its own.

    `shared` names those that are not its own, but the first layer's of the same name: one array, which both add their
    gradients to. It starts as `initialize` fills it here.
    """

    name: ClassVar[str]
    shared: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def parameters(self, inputs: int, outputs: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of each parameter.

        Parameters
        ----------
        inputs : int
            The width of h.
        outputs : int
            The width of the outputs, `Loss.width`.

        Returns
        -------
        mapping
            Name -> shape.
        """

    @abc.abstractmethod
    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Fill the parameters in place."""

    @abc.abstractmethod
    def scratch(self, inputs: int, outputs: int) -> Sizes:
        """Return working arrays of both directions: an int is a width per step and sample, a tuple a shape."""

    def derived(self, inputs: int, outputs: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of arrays computed from the parameters once per update, such as a transposed V.

        Parameters
        ----------
        inputs, outputs : int
            As `parameters` takes them.

        Returns
        -------
        mapping
            Name -> shape; by default there are none.
        """
        return {}

    def derive(self, weights: Arrays) -> None:
        """Fill the derived arrays of `weights` (parameters and derived arrays by name) in place."""
        return

    def derive_reverse(self, weights: Arrays) -> None:
        """Fill those that `forward` does not read, unless `derive` does; not called where nothing is reversed."""
        return

    @abc.abstractmethod
    def forward(self, weights: Arrays, h: Array, scratch: Arrays) -> Array:
        """Return the outputs of a block.

        Parameters
        ----------
        weights : Arrays
            The parameters and derived arrays, by name.
        h : Array
            The outputs of the top layer [L, B, inputs].
        scratch : Arrays
            Working arrays, by name.

        Returns
        -------
        Array
            The outputs [L, B, outputs], in a working array.
        """

    @abc.abstractmethod
    def backward(self, weights: Arrays, h: Array, do: Array, dh: Array, gradients: Arrays, scratch: Arrays) -> None:
        """Reverse the block.

        Parameters
        ----------
        weights : Arrays
            The parameters and derived arrays, by name.
        h : Array
            The outputs of the top layer [L, B, inputs].
        do : Array
            The gradient of the outputs [L, B, outputs], in the working array that `forward` returned.
        dh : Array
            Write dL/dh [L, B, inputs] here.
        gradients : Arrays
            Those of the parameters: add into them.
        scratch : Arrays
            Working arrays, by name.
        """
