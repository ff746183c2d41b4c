"""`Network`: layers and a head made of specs, with all parameters in one flat vector."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import attrs
import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import NUMPY, Kernels
from rnnframe.contracts.layer import Layer
from rnnframe.contracts.loss import Loss
from rnnframe.errors import OptionError, RunError, UsageError
from rnnframe.network.placed import PlacedLayer
from rnnframe.network.prediction import PredictingLayerModel
from rnnframe.network.state_dict import Modules, head_of_width, read_state_dict, write_state_dict
from rnnframe.network.ties import tied_head
from rnnframe.registry.kernels import check_precision, made_by, make_ready
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.registry.specs import render
from rnnframe.storage.durable import write_whole
from rnnframe.storage.tensors import read_arrays, restore_finite, tensor_bytes

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
    precision : str or None
        "bfloat16" for matrix products of operands that are rounded to it; None for those of `dtype`.
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
        precision: str | None = None,
    ) -> None:
        self.registry = registry = registry or default_registry()
        self.dtype = _dtype(dtype)
        self.precision = check_precision(precision, self.dtype)
        if isinstance(cells, str | Layer):
            raise UsageError(f"cells={cells!r} is one cell; give a list of them, from the input upwards")
        if not isinstance(inputs, int | np.integer) or inputs < 1:
            raise OptionError(f"inputs={inputs!r} is no number of inputs; expected an integer of at least 1")
        self.inputs = int(inputs)
        self.cells = tuple(registry.cell(cell) for cell in cells)
        if not self.cells:
            raise UsageError("a network needs at least one cell, such as 'lstm:hidden=128'")
        self.head = tied_head(self.cells, None if head is None else registry.head(head), registry)
        self.kernels = (NUMPY,) * len(self.cells)
        """The name of the kernels that compute each layer, or of those in its brackets."""
        self.kernels_used = ()
        self._place(_placed(self.cells, self.inputs, registry), self.head)
        self._initialize(np.random.default_rng(seed), embedding_std)

    def _initialize(self, rng: np.random.Generator, embedding_std: float | None) -> None:
        self.weights.initialize_layers(rng)
        if embedding_std is not None:
            if not embedding_std > 0:
                raise OptionError(f"embedding_std={embedding_std!r} is invalid; expected a number above 0")
            names = [name for name in ("layer0.U", "layer0.forward.U", "layer0.reverse.U") if name in self.parameters]
            if not names:
                raise OptionError(
                    f"the first layer, {render(self.cells[0])}, has no parameter U, whose rows are looked up; begin "
                    "with a cell that has one, such as lstm"
                )
            for name in names:
                self.parameters[name][...] = rng.normal(0, embedding_std, self.parameters.shapes[name])
        self.weights.initialize_readout(rng)
        self.weights.derive()

    def on(self, kernels: Sequence[Kernels]) -> Self:
        """Return this network with the same parameters, each layer computed by the first kernels with a twin of it."""
        if not kernels and (self.precision is None or self.kernels_used):
            return self
        how: Any = self.dtype, self.registry, self.precision
        layers = [made_by(kernels, cell, *how) for cell in self.cells]
        head = None if self.head is None else made_by(kernels, self.head, *how)
        twins = [each for computed in [*layers, head] if computed is not None for each in computed.twins]
        make_ready(twins, self.dtype, self.registry, self.precision)
        running = copy.copy(self)
        running.kernels = tuple(computed.name for computed in layers)
        used = {each.kernels for each in twins}
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
            **({} if self.precision is None else {"precision": self.precision}),
        }

    def save(self, path: str | Path) -> None:
        """Write the network into a file that `rnnframe.load_model` reads: its specs and its parameters.

        The file (safetensors) is there whole or not at all; one that was there before is replaced.
        Raises `RunError` where it cannot be written.
        """
        data = tensor_bytes(self.parameters, {"network": self.specs()})
        try:
            write_whole(Path(path), data)
        except OSError as error:
            raise RunError(f"cannot write {str(path)!r}: {error.strerror or error}") from None

    @classmethod
    def from_state_dict(
        cls,
        state_dict: Mapping[str, Any] | str | Path,
        head: str | Head | Loss | None,
        *,
        nonlinearity: str | Mapping[str, str] = "tanh",
        rnn: str | Iterable[str] | None = None,
        readout: str | None = None,
        embedding: str | None = None,
        registry: Registry | None = None,
    ) -> Self:
        """Return the network of a model of PyTorch: nn.RNN, LSTM or GRU, with or without an Embedding and a Linear.

        Layers, units, inputs, outputs and the dtype follow from the arrays. PyTorch need not be installed.

        Parameters
        ----------
        state_dict
            What `module.state_dict()` returns: names -> tensors in main memory or arrays. Or the path of a safetensors
            file of them.
        head
            The loss that the Linear is for, such as "softmax" or "mse:at=last"; its width may be left out. None for a
            model without a Linear.
        nonlinearity
            That of nn.RNN, "tanh" or "relu", which its arrays do not tell; or of several, by the names of the modules.
        rnn
            The recurrent module, or several from the inputs upwards. By default those that there are.
        readout, embedding
            The modules that are the Linear and the Embedding, for where their shapes do not tell them.
        registry
            As for a network.

        Returns
        -------
        Network
            With U = E @ W_ih.T where there is an Embedding: x [T, B] holds the numbers that are looked up.

        Raises
        ------
        UsageError
            For names that are missing, have no place here or can be taken for two things, and shapes that do not fit.
        RunError
            For a file that cannot be read, and values that are not finite.
        """
        registry = registry or default_registry()
        given = read_arrays(Path(state_dict))[0] if isinstance(state_dict, str | Path) else state_dict
        modules = Modules(rnn=rnn, readout=readout, embedding=embedding)
        found = read_state_dict(given, modules, nonlinearity, wants_readout=head is not None)
        made = head_of_width(head, found.outputs, registry)
        network = cls(found.cells, made, found.inputs, dtype=found.dtype, registry=registry)
        restore_finite(network.parameters, found.parameters, "the state dict")
        network.derive()
        return network

    def to_state_dict(
        self, *, rnn: str = "rnn", readout: str = "head", embedding: str | None = None
    ) -> dict[str, Array]:
        """Return the parameters by the names and in the shapes of nn.RNN, LSTM, GRU and Linear of PyTorch.

        All of b is in bias_ih; bias_hh is zero but for a GRU's bn. `from_state_dict` gives the same bits back.

        Parameters
        ----------
        rnn
            The name of the recurrent module. Layers that differ are modules of their own: rnn.0, rnn.1 and so on.
        readout
            The name of the Linear.
        embedding
            The name of an Embedding for inputs that are looked up: its rows are those of U, and weight_ih_l0 is a unit
            matrix. None for a module that takes one-hot vectors.

        Returns
        -------
        dict of Array
            Copies, in C order: `safetensors.numpy.save_file` writes them, and `torch.from_numpy` makes tensors of them.

        Raises
        ------
        OptionError
            For a layer or readout that PyTorch does not have.
        """
        return write_state_dict(self.cells, self.head, self.parameters, rnn, readout, embedding)


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
