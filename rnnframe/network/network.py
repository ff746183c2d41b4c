"""`Network`: layers and a head made of specs, with all parameters in one flat vector."""

import copy
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Vector
from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import NUMPY, Kernels
from rnnframe.contracts.layer import Layer
from rnnframe.contracts.loss import Loss
from rnnframe.errors import OptionError, RunError, UsageError
from rnnframe.network.placed import PlacedLayer
from rnnframe.network.prediction import PredictingLayerModel
from rnnframe.registry.kernels import made_by
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.registry.specs import render
from rnnframe.storage.durable import write_whole
from rnnframe.storage.tensors import tensor_bytes

DTYPES = ("float32", "float64")


class Network(PredictingLayerModel):
    """A stack of layers, such as recurrent cells, and a head.

    `parameters` maps "layer0.U", "layer0.W", ..., "head.V", "head.c" to views of one flat vector,
    `parameters.flat`, and may be written to between runs.

    Parameters
    ----------
    cells : iterable of Layer or str
        The layers or their specs such as "lstm:hidden=128", from the input upwards.
    head : Head, Loss, str or None
        A head, or the spec of a loss such as "softmax:classes=65"; None for a network whose outputs are those of the
        top layer and whose loss is outside (`Engine.sweep`).
    inputs : int
        The width of x [T, B, inputs], or the number of rows of U where x [T, B] holds integers.
    seed : int
        Of the starting values.
    dtype : str
        "float32" or "float64".
    embedding_std : float or None
        Standard deviation of the starting rows of layer0.U, for inputs that are looked up: a cell expects sums over
        many inputs and draws values that are small for a single row; None leaves it to the cell.
    registry : Registry or None
        Where specs are looked up; by default the one of the installed plugins.
    """

    def __init__(
        self,
        cells: Iterable[str | Layer],
        head: str | Head | Loss | None,
        inputs: int,
        seed: int = 0,
        dtype: str = "float32",
        embedding_std: float | None = None,
        registry: Registry | None = None,
    ) -> None:
        registry = registry or default_registry()
        self.registry = registry
        self.dtype = _dtype(dtype)
        if isinstance(cells, str | Layer):
            raise UsageError(f"cells={cells!r} is one cell; give a list of them, from the input upwards")
        if not isinstance(inputs, int | np.integer) or inputs < 1:
            raise OptionError(f"inputs={inputs!r} is no number of inputs; expected an integer of at least 1")
        self.inputs = int(inputs)
        self.cells = tuple(registry.cell(cell) for cell in cells)
        if not self.cells:
            raise UsageError("a network needs at least one cell, such as 'lstm:hidden=128'")
        self.head = None if head is None else registry.head(head)
        self.kernels = (NUMPY,) * len(self.cells)
        """The name of the kernels that compute each layer."""
        self.kernels_used: tuple[Kernels, ...] = ()
        """The kernels that compute a layer or the head."""
        self._place(_placed(self.cells, self.inputs, registry), self.head)
        self._initialize(np.random.default_rng(seed), embedding_std)

    def _initialize(self, rng: np.random.Generator, embedding_std: float | None) -> None:
        for at in self.layers:
            at.layer.initialize(self.parameters.group(at.prefix), rng)
        if embedding_std is not None:
            if not embedding_std > 0:
                raise OptionError(f"embedding_std={embedding_std!r} is invalid; expected a number above 0")
            if "layer0.U" not in self.parameters:
                raise OptionError(
                    f"the first layer, {render(self.cells[0])}, has no parameter U, whose rows are looked up; begin "
                    "with a cell that has one, such as lstm"
                )
            U = self.parameters["layer0.U"]
            U[...] = rng.normal(0, embedding_std, U.shape)
        if self.head is not None:
            self.head.readout.initialize(self.weights.head, rng)
        self.weights.derive()

    def on(self, kernels: Sequence[Kernels]) -> "Network":
        """Return this network with the same parameters, each layer computed by the first kernels with a twin of it."""
        if not kernels:
            return self
        layers = [made_by(kernels, cell, self.dtype, self.registry) for cell in self.cells]
        head = None if self.head is None else made_by(kernels, self.head, self.dtype, self.registry)
        running = copy.copy(self)
        running.kernels = tuple(computed.name for computed in layers)
        used = {computed.kernels for computed in [*layers, head] if computed is not None}
        running.kernels_used = tuple(each for each in kernels if each in used)
        placed = [attrs.evolve(at, layer=computed.part) for at, computed in zip(self.layers, layers, strict=True)]
        running._place(tuple(placed), None if head is None else head.part, self.parameters)
        running.weights.derive()
        return running

    @property
    def parameters(self) -> Vector:
        """All parameters: one flat vector with named views."""
        return self.weights.parameters

    def specs(self) -> dict[str, Any]:
        """Return the arguments that make a network of the same shapes, as text and numbers."""
        return {
            "cells": [render(cell) for cell in self.cells],
            "head": None if self.head is None else render(self.head),
            "inputs": self.inputs,
            "dtype": str(self.dtype),
        }

    def save(self, path: str | Path) -> None:
        """Write the network into a file that `rnnframe.load_model` reads: its specs and its parameters.

        The file (safetensors) is there whole or not at all; one that was there before is replaced.

        Parameters
        ----------
        path
            The file, in a folder that is there.

        Raises
        ------
        RunError
            Where it cannot be written.
        """
        data = tensor_bytes(self.parameters, {"network": self.specs()})
        try:
            write_whole(Path(path), data)
        except OSError as error:
            raise RunError(f"cannot write {str(path)!r}: {error.strerror or error}") from None


def _dtype(given: str) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(given)
    except TypeError:
        dtype = np.dtype(object)
    if str(dtype) not in DTYPES:
        raise OptionError(f"dtype {given!r} is none of {', '.join(DTYPES)}")
    return dtype


def _placed(layers: tuple[Layer, ...], inputs: int, registry: Registry) -> tuple[PlacedLayer, ...]:
    placed: list[PlacedLayer] = []
    for number, layer in enumerate(layers):
        placed.append(PlacedLayer(number, layer, placed[-1].width if placed else inputs, registry.describe))
    return tuple(placed)
