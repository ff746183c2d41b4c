"""What the loop runs of a network: buffers for chunks, one chunk forward, one chunk back."""

import copy
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays, Vector, aligned_bytes, aligned_empty, size_of
from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import Kernels
from rnnframe.contracts.layer import looks_up
from rnnframe.contracts.model import ChunkBytes
from rnnframe.contracts.retention import StoredTapes
from rnnframe.data.batch import Batch
from rnnframe.data.columns import Columns
from rnnframe.data.draws import Draw
from rnnframe.data.format import DataFormat
from rnnframe.data.opening import open_source
from rnnframe.data.pieces import Block
from rnnframe.data.source import Source
from rnnframe.data.state import fill_state, join_states
from rnnframe.data.sweep import SweepClient
from rnnframe.errors import DataError, UsageError
from rnnframe.network.feeds import LossFeed, OutsideFeed
from rnnframe.network.named_targets import NamedTargets
from rnnframe.network.placed import PlacedLayer, head_note
from rnnframe.network.repetition import RepetitionCheck
from rnnframe.network.scratch import Scratch, ScratchForm
from rnnframe.network.shared_arrays import rounding_by
from rnnframe.network.stack import Stack
from rnnframe.network.starts import State, add_start_gradients, check_starts, starts_of
from rnnframe.network.tape_shapes import TapeShapes, check_rounding, tape_shapes
from rnnframe.network.tapes import Tape, TapeFactory
from rnnframe.network.weights import Weights
from rnnframe.registry.blame import BlameNote
from rnnframe.registry.registry import Registry

ROWS, MOST_ROWS = 512, 2048
"""Rows that a chunk has at least, so that its matrix products are large, and at most where its tape is small."""
SMALL_TAPE = 1 << 20
"""Bytes of a chunk's tape up to which more rows cost little memory."""
LEAST_ROWS, LEAST_TAPE = 256, 1 << 18
"""Rows, and bytes of a tape, below which the fixed cost of a chunk takes much of the time."""


class LayerModel:
    """A stack of layers and a head over named arrays in flat vectors."""

    registry: Registry
    dtype: np.dtype[Any]
    inputs: int
    layers: tuple[PlacedLayer, ...]
    head: Head | None
    weights: Weights
    _stack: Stack
    _head_note: BlameNote
    _shapes: Mapping[int, dict[str, tuple[int, ...]]] = MappingProxyType({})
    reads_stage: bool = False
    """Whether x is what a stage below has left, and not the caller's."""
    _is_below: bool = False  # a stage above reads the outputs, on the way forward
    kernels_used: tuple[Kernels, ...]  # those that compute a layer or the head, the preferred ones first

    def _place(self, layers: tuple[PlacedLayer, ...], head: Head | None, parameters: Vector | None = None) -> None:
        """Compute with these layers and this head from now on, with new parameters or those given.

        The head as it is computed may be another than `self.head`, whose parameters it has.
        """
        for at in layers:
            check_starts(at)
        self._compute_with(layers, head, Weights(layers, head, self.dtype, parameters))

    def _compute_with(self, layers: tuple[PlacedLayer, ...], head: Head | None, weights: Weights) -> None:
        self.layers, self.weights = layers, weights
        self._head_note = head_note(self.head, self.registry.describe)
        repetition = RepetitionCheck(at for at in layers if not self.registry.is_built_in(type(at.layer)))
        self._stack = Stack(layers, head, LossFeed(head, self._head_note), repetition)
        self._form = ScratchForm(layers, head)

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle no shapes of states: they are made again when one is first asked for."""
        return {name: value for name, value in self.__dict__.items() if name != "_shapes"}

    def swept_by(self, client: SweepClient) -> Self:
        """Return this network with the same parameters, and an outside loss in place of its own."""
        if self.both_ways:
            raise UsageError(
                "a sweep hands out outputs step by step, and the halves of two directions reach a step at different "
                "times; take Engine.gradients, with the loss as the head of the network"
            )
        swept = copy.copy(self)
        swept._stack = attrs.evolve(self._stack, feed=OutsideFeed(self._stack.head, client, self._head_note))
        swept._form = ScratchForm(self.layers, self._stack.head, client.wants_inputs)
        return swept

    @property
    def both_ways(self) -> bool:
        """Whether a layer reads sequences from their end, too."""
        return any(at.layer.both_ways for at in self.layers)

    @property
    def buffers_key(self) -> bool:
        """Whether working arrays have room for dL/dx."""
        return self._form.inputs

    @property
    def data_format(self) -> DataFormat:
        """What the network reads."""
        first, head = self.layers[0], self.head
        targets = None if head is None else NamedTargets(head.loss, self.registry)
        with first.note:
            strided, lookup = first.layer.accepts_strided_steps(self.inputs), looks_up(first.layer, self.inputs)
        return DataFormat(
            inputs=self.inputs,
            dtype=self.dtype,
            strided=strided,
            targets=targets,
            lookup=lookup,
            both_ways=self.both_ways,
            from_caller=not self.reads_stage,
        )

    def open(self, batch: Batch) -> Source:
        """Return a source of checked blocks over a batch; raises `DataError`."""
        return open_source(batch, self.data_format)

    @property
    def recurrent_work(self) -> int:
        """How many weights a sample's states are multiplied with in a step: those of the layers but for their U."""
        shapes = {f"{at.prefix}.{name}": s for at in self.layers for name, s in at.layer.parameters(at.inputs).items()}
        return size_of({name: shape for name, shape in shapes.items() if not name.endswith(".U")})

    @property
    def _tape_row(self) -> int:
        """Bytes that a step of one sample leaves for its reverse."""
        return sum(sum(at.tape.values()) for at in self.layers) * self.dtype.itemsize

    def usual_chunk(self, batch: int) -> int:
        """Return the usual steps of a chunk: the fewest with 512 rows of `batch` samples each.

        Small networks take more, up to 2048 rows, as long as the tape of a chunk stays within a mebibyte: with their
        small products, the fixed cost of a chunk would take much of the time.
        """
        return -(-max(ROWS, min(MOST_ROWS, SMALL_TAPE // self._tape_row)) // batch)

    @property
    def least_rows(self) -> int:
        """The fewest rows of a chunk that cost little time: 256, and so many that their tape has 256 KiB."""
        return max(LEAST_ROWS, LEAST_TAPE // self._tape_row)

    def chunk_bytes(self, steps: int, batch: int, retention: StoredTapes = "whole") -> ChunkBytes:
        """Return the bytes of buffers; states and tapes rounded up, so that what follows them begins aligned."""
        shapes = self._tape_shapes(steps, batch, retention)
        return ChunkBytes(
            state=aligned_bytes(self._state_shapes(batch), self.dtype),
            tape=aligned_bytes(shapes.kept, self.dtype),
            shared=size_of(shapes.shared) * self.dtype.itemsize,
            scratch=self._form.items(steps, batch) * self.dtype.itemsize,
            apart=sum(at.state[name] for at in self.layers for name in at.state.keys() - at.tape.keys())
            * self.dtype.itemsize,
        )

    def _tape_shapes(self, steps: int, batch: int, retention: StoredTapes) -> TapeShapes:
        check_rounding(retention, self.dtype)
        return tape_shapes(self.layers, steps, batch, retention, exact_outputs=not self._is_below)

    def _state_shapes(self, batch: int) -> dict[str, tuple[int, ...]]:
        """Return the shapes of a state, of one batch size always one object, which thousands of snapshots share."""
        shapes = self._shapes.get(batch)
        if shapes is None:
            shapes = {f"{at.prefix}.{name}": (batch, width) for at in self.layers for name, width in at.state.items()}
            self._shapes = {batch: shapes}
        return shapes

    def new_gradients(self) -> Vector:
        """Return zeros in the shapes of the parameters."""
        return Vector.zeros(self.weights.parameters.shapes, self.dtype)

    def new_state(self, batch: int, room: Array | None = None) -> State:
        """Return a state of zeros: "layer0.h" and so on -> [B, width]; in new memory or in the `room` given."""
        state = State(self._state_shapes(batch), self.dtype, room)
        state.zero()
        return state

    def new_arena(self, nbytes: int) -> Array:
        """Return memory for tapes and states."""
        return aligned_empty(nbytes // self.dtype.itemsize, self.dtype)

    def new_tapes(self, steps: int, batch: int, retention: StoredTapes = "whole") -> TapeFactory:
        """Return what makes uninitialised tapes for chunks of up to `steps` steps."""
        shapes = self._tape_shapes(steps, batch, retention)
        return TapeFactory(self.layers, batch, shapes, self.dtype, rounding_by(self.kernels_used))

    def new_scratch(self, steps: int, batch: int) -> Scratch:
        """Return working arrays for chunks of up to `steps` steps."""
        return Scratch(self._form, steps, batch, self.dtype)

    def fill_state(self, state: State, given: Arrays | None, batch: int, columns: Columns) -> None:
        """Write some columns of a given state of `batch` samples into `state`; learnt starts, or zeros, without one."""
        if given is not None and self.both_ways:
            raise DataError(
                "a state is given; a network of two directions begins at both ends of x, so give whole sequences"
            )
        fill_state(state, given, batch, columns)
        state.afresh = given is None
        if state.afresh:
            for value, start in zip(state.values(), starts_of(self.layers, self.weights.layers), strict=True):
                value[...] = start

    def join_states(self, parts: Sequence[Vector], columns: Sequence[Columns], factor: float = 1.0) -> Vector:
        """Return a new state over the whole batch from those of the shards, multiplied by `factor`."""
        return join_states(parts, columns, factor)

    def derive(self, draw: Draw | None = None) -> None:
        """Compute again what is derived from the parameters, after they have changed or for a run with another draw."""
        self.weights.derive(draw)

    def forward(self, weights: Weights, block: Block, state: State, tape: Tape, scratch: Scratch) -> None:
        """Run one chunk from `state`, which becomes the state after it, or after a sample's end within it."""
        tape.begin(block, state)
        tape.afresh = state.afresh
        for piece, arrays in zip(block.pieces, tape.pieces, strict=True):
            self._stack.forward(weights, piece, arrays, scratch, block.draw)
        tape.end(state)

    def reverse(
        self, weights: Weights, block: Block, tape: Tape, dstate: Vector, gradients: Vector, scratch: Scratch
    ) -> float:
        """Reverse one chunk, its pieces from the last to the first; return the sum of the losses.

        `dstate` is the gradient that reaches the state after the chunk, and becomes that of the state before it.
        """
        if tape.lacks_arrays:
            tape.begin_again()
            for piece, arrays in zip(block.pieces, tape.pieces, strict=True):
                self._stack.rebuild(weights, piece, arrays, scratch, block.draw, tape.retention, tape.rebuilt)
        loss = 0.0
        for piece, arrays in zip(reversed(block.pieces), reversed(tape.pieces), strict=True):
            loss += self._stack.reverse(weights, piece, arrays, dstate, gradients, scratch, block.draw)
        if tape.afresh and block.pieces and block.pieces[0].start == 0:
            add_start_gradients(self.layers, dstate, gradients, slice(None))
        tape.rest()
        return loss

    def resume(self, tape: Tape, state: Vector) -> None:
        """Make `state` the one after the chunk that left the tape."""
        tape.resume(state)
