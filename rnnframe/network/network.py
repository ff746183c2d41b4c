"""A network: a stack of cells and a head, with all parameters in one flat vector.

To the loop a network is a maker of buffers (states, tapes, scratch, gradients) and two operations on them: `forward`
runs one chunk, `reverse` takes it back. The loop hands the buffers on without looking inside.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays, Vector, aligned_bytes, aligned_empty, size_of
from rnnframe.contracts.cell import Cell, TapeRetention
from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import NUMPY, Kernels
from rnnframe.contracts.model import ChunkBytes
from rnnframe.data.batch import Batch
from rnnframe.data.columns import Columns
from rnnframe.data.format import DataFormat
from rnnframe.data.opening import open_inputs, open_source
from rnnframe.data.pieces import Block, Piece
from rnnframe.data.source import Source
from rnnframe.data.state import fill_state, join_states
from rnnframe.errors import OptionError, RunError, UsageError
from rnnframe.network.scratch import Scratch, scratch_items
from rnnframe.network.stack import Stack
from rnnframe.network.tapes import Tape, TapeFactory, tape_shapes
from rnnframe.network.weights import Layer, Weights
from rnnframe.registry.kernels import make_ready
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.registry.specs import render
from rnnframe.storage.durable import write_whole
from rnnframe.storage.tensors import tensor_bytes

DTYPES = ("float32", "float64")
ROWS, MOST_ROWS = 512, 2048
"""Rows that a chunk has at least, so that its matrix products are large, and at most where its tape is small."""
SMALL_TAPE = 1 << 20
"""Bytes of a chunk's tape up to which more rows cost little memory."""


class Network:
    """A stack of recurrent cells and a head.

    cells: cells or specs such as "lstm:hidden=128", from the input upwards. head: a head or a spec such as
    "softmax:classes=65". inputs: the width of x [T, B, inputs], or the number of rows of U where x [T, B] holds
    integers. seed: of the starting values. dtype: "float32" or "float64". embedding_std: standard deviation of the
    starting rows of layer0.U, for inputs that are looked up: a cell expects sums over many inputs and draws values that
    are small for a single row; None leaves it to the cell.

    `parameters` maps "layer0.U", "layer0.W", ..., "head.V", "head.c" to views of one flat vector,
    `parameters.flat`, and may be written to between runs.
    """

    def __init__(
        self,
        cells: Iterable[str | Cell],
        head: str | Head,
        inputs: int,
        seed: int = 0,
        dtype: str = "float32",
        embedding_std: float | None = None,
        registry: Registry | None = None,
    ) -> None:
        registry = registry or default_registry()
        try:
            self.dtype: np.dtype[Any] = np.dtype(dtype)
        except TypeError:
            self.dtype = np.dtype(object)
        if str(self.dtype) not in DTYPES:
            raise OptionError(f"dtype {dtype!r} is none of {', '.join(DTYPES)}")
        if isinstance(cells, str | Cell):
            raise UsageError(f"cells={cells!r} is one cell; give a list of them, from the input upwards")
        if not isinstance(inputs, int | np.integer) or inputs < 1:
            raise OptionError(f"inputs={inputs!r} is no number of inputs; expected an integer of at least 1")
        self.inputs = int(inputs)
        self.cells = tuple(registry.cell(cell) for cell in cells)
        if not self.cells:
            raise UsageError("a network needs at least one cell, such as 'lstm:hidden=128'")
        self.head = registry.head(head)
        widths = [self.inputs, *(cell.hidden for cell in self.cells)]
        self._describe = registry.describe
        self.layers = tuple(
            Layer(f"layer{n}", cell, width, registry.describe)
            for n, (cell, width) in enumerate(zip(self.cells, widths, strict=False))
        )
        self.kernels = (NUMPY,) * len(self.layers)
        """The name of the kernels that compute each layer."""
        self._stack = Stack(self.layers, self.head)
        self.weights = Weights(self.layers, self.head, self.dtype)
        rng = np.random.default_rng(seed)
        for layer in self.layers:
            layer.cell.initialize(self.parameters.group(layer.prefix), rng)
        if embedding_std is not None:
            if not embedding_std > 0 or "layer0.U" not in self.parameters:
                raise OptionError(f"embedding_std={embedding_std!r}: expected a number above 0 and a first cell with U")
            U = self.parameters["layer0.U"]
            U[...] = rng.normal(0, embedding_std, U.shape)
        self.head.initialize(self.weights.head, rng)
        self.weights.derive()

    def on(self, kernels: Kernels | None) -> "Network":
        """Return this network with the same parameters, computed by kernels where they have a twin of a cell."""
        if kernels is None:
            return self
        twins = [kernels.twin(cell, self.dtype) for cell in self.cells]
        head = kernels.head(self.head, self.dtype)
        made: list[tuple[Cell | Head | None, str]] = [(head, "heads")]
        made += [(twin, cell.name) for twin, cell in zip(twins, self.cells, strict=True)]
        for twin, what in made:
            if twin is not None:
                make_ready(kernels, twin, what, self.dtype)
        running = copy.copy(self)
        running.layers = tuple(
            attrs.evolve(layer, cell=twin or layer.cell) for layer, twin in zip(self.layers, twins, strict=True)
        )
        running.kernels = tuple(kernels.name if twin else NUMPY for twin in twins)
        running._stack = Stack(running.layers, head or self.head)
        running.weights = Weights(running.layers, self.head, self.dtype, self.parameters)
        running.weights.derive()
        return running

    @property
    def parameters(self) -> Vector:
        """All parameters: one flat vector with named views."""
        return self.weights.parameters

    @property
    def data_format(self) -> DataFormat:
        """What the network reads."""
        strided = self.layers[0].cell.accepts_strided_steps(self.inputs)
        return DataFormat(inputs=self.inputs, dtype=self.dtype, strided=strided, head=self.head)

    @property
    def outputs_width(self) -> int:
        """Values that are predicted for a step of a sample."""
        return self.head.width

    def open(self, batch: Batch) -> Source:
        """Return a source of checked blocks over a batch; raises `DataError`."""
        return open_source(batch, self.data_format)

    def open_inputs(self, batch: Batch) -> Source:
        """Return a source of inputs alone."""
        return open_inputs(batch, self.data_format)

    @property
    def recurrent_work(self) -> int:
        """How many weights a sample's states are multiplied with in a step: those of the cells but for their U."""
        shapes = {f"{at.prefix}.{name}": s for at in self.layers for name, s in at.cell.parameters(at.inputs).items()}
        return size_of({name: shape for name, shape in shapes.items() if not name.endswith(".U")})

    def usual_chunk(self, batch: int) -> int:
        """Return the steps of a chunk that nobody has chosen: the fewest with 512 rows of `batch` samples each.

        Small networks take more, up to 2048 rows, as long as the tape of a chunk stays within a mebibyte: beside their
        small products, what is to be done once a chunk would take much of the time.
        """
        row = sum(sum(layer.cell.tape().values()) for layer in self.layers) * self.dtype.itemsize
        return -(-max(ROWS, min(MOST_ROWS, SMALL_TAPE // row)) // batch)

    def derive(self) -> None:
        """Compute again what is derived from the parameters, after they have changed."""
        self.weights.derive()

    def derive_forward(self) -> None:
        """Compute again what of it the way forward reads."""
        self.weights.derive_forward()

    def fill_state(self, state: Vector, given: Arrays | None, batch: int, columns: Columns) -> None:
        """Write some columns of a given state of `batch` samples into `state`; zeros where none is given."""
        fill_state(state, given, batch, columns)

    def join_states(self, parts: Sequence[Vector], columns: Sequence[Columns], factor: float = 1.0) -> Vector:
        """Return a new state over the whole batch from those of the shards, multiplied by `factor`."""
        return join_states(parts, columns, factor)

    def new_gradients(self) -> Vector:
        """Return zeros in the shapes of the parameters."""
        return Vector.zeros(self.parameters.shapes, self.dtype)

    def state_shapes(self, batch: int) -> dict[str, tuple[int, ...]]:
        """Return "layer0.h" and so on -> [B, width]."""
        return {
            f"{layer.prefix}.{name}": (batch, width)
            for layer in self.layers
            for name, width in layer.cell.state().items()
        }

    def new_state(self, batch: int, room: Array | None = None) -> Vector:
        """Return a state of zeros: "layer0.h" and so on -> [B, width]; in new memory or in the `room` given."""
        state = Vector(self.state_shapes(batch), self.dtype, room)
        state.zero()
        return state

    def new_tapes(self, steps: int, batch: int, retention: TapeRetention = "whole") -> TapeFactory:
        """Return what makes uninitialised tapes for chunks of up to `steps` steps."""
        return TapeFactory(self.layers, steps, batch, retention, self.dtype)

    def new_arena(self, nbytes: int) -> Array:
        """Return memory for tapes and states."""
        return aligned_empty(nbytes // self.dtype.itemsize, self.dtype)

    def new_scratch(self, steps: int, batch: int) -> Scratch:
        """Return working arrays for chunks of up to `steps` steps."""
        return Scratch(self.layers, self._stack.head, steps, batch, self.dtype)

    def chunk_bytes(self, steps: int, batch: int, retention: TapeRetention = "whole") -> ChunkBytes:
        """Return the bytes of buffers; states and tapes rounded up, so that what follows them begins aligned."""
        kept, shared = tape_shapes(self.layers, steps, batch, retention)
        return ChunkBytes(
            state=aligned_bytes(self.state_shapes(batch), self.dtype),
            tape=aligned_bytes(kept, self.dtype),
            shared=size_of(shared) * self.dtype.itemsize,
            scratch=scratch_items(self.layers, self._stack.head, steps, batch) * self.dtype.itemsize,
        )

    def forward(self, weights: Weights, block: Block, state: Vector, tape: Tape, scratch: Scratch) -> None:
        """Run one chunk from `state`, which becomes the state after it, or after a sample's end within it."""
        tape.begin(block, state)
        for piece, arrays in zip(block.pieces, tape.pieces, strict=True):
            self._stack.forward(weights, piece, arrays, scratch)
        tape.end(state)

    def resume(self, tape: Tape, state: Vector) -> None:
        """Make `state` the one after the chunk that left the tape."""
        tape.resume(state)

    def reverse(
        self, weights: Weights, block: Block, tape: Tape, dstate: Vector, gradients: Vector, scratch: Scratch
    ) -> float:
        """Take one chunk back, its pieces from the last to the first; return the sum of the losses.

        `dstate` is the gradient that reaches the state after the chunk, and becomes that of the state before it.
        """
        if tape.lacks_arrays:
            tape.begin_again()
            for piece, arrays in zip(block.pieces, tape.pieces, strict=True):
                self._stack.rebuild(weights, piece, arrays, scratch, tape.retention)
        loss = 0.0
        for piece, arrays in zip(reversed(block.pieces), reversed(tape.pieces), strict=True):
            loss += self._stack.reverse(weights, piece, arrays, dstate, gradients, scratch)
        return loss

    def outputs(self, block: Block, tape: Tape) -> Iterator[tuple[Piece, Array]]:
        """Yield each piece of the chunk that left the tape with the top layer's h [l, n, H]."""
        for piece, arrays in zip(block.pieces, tape.pieces, strict=True):
            yield piece, arrays[-1]["h"][1:]

    def evaluate(self, weights: Weights, piece: Piece, h: Array, scratch: Scratch) -> float:
        """Return the sum of the losses of a piece with the top layer's h."""
        return self._stack.evaluate(weights, piece, h, scratch)

    def predict(self, weights: Weights, h: Array, scratch: Scratch) -> Array:
        """Return what the head predicts [l, n, outputs] for a block of h, in a working array."""
        outputs = self.readout(weights, h, scratch)
        self.head.prediction(outputs)
        return outputs

    def readout(self, weights: Weights, h: Array, scratch: Scratch) -> Array:
        """Return what the head makes its prediction of, [l, n, outputs], in a working array."""
        return self._stack.head.readout(weights.head, h, scratch.part(-1, (h.shape[0], h.shape[1])))

    def specs(self) -> dict[str, Any]:
        """Return the arguments that make a network of the same shapes, as text and numbers."""
        return {
            "cells": [render(cell) for cell in self.cells],
            "head": render(self.head),
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
