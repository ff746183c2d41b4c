"""`ChunkModel`: what the loop runs. It makes buffers and works on them, one chunk forward and one chunk in reverse.

The loop looks into no state, tape, gradient or weight: a model can keep them as numpy vectors, tensors or lists.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.kernels import Kernels
from rnnframe.contracts.retention import StoredTapes
from rnnframe.data.batch import Batch
from rnnframe.data.columns import Columns
from rnnframe.data.draws import Draw
from rnnframe.data.pieces import Block, Piece
from rnnframe.data.source import Source


class Values(Protocol):
    """Numbers that belong together: a state, the gradient of a state, or the gradients of all parameters."""

    def zero(self) -> None:
        """Make every number zero."""
        ...

    def add(self, other: Self, /) -> None:
        """Add the numbers of `other`, which has the same form."""
        ...

    def scale(self, factor: float, /) -> None:
        """Multiply every number by `factor`."""
        ...

    def copy_from(self, other: Self, /) -> None:
        """Overwrite every number with that of `other`."""
        ...

    def copy(self) -> Self:
        """Return independent values."""
        ...


T_co = TypeVar("T_co", covariant=True)


class ModelWeights(Protocol):
    """One version of the parameters, and what is computed from them once an update."""

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters and of what is derived from them."""
        ...

    def copy_from(self, other: Self, /) -> None:
        """Overwrite every value with that of `other`."""
        ...

    def copy(self) -> Self:
        """Return an independent version, as it is now."""
        ...

    def complete(self, gradients: Any, /) -> None:
        """Finish gradients that were summed over all chunks and shards, before they are handed out."""
        ...


class ChunkTape(Protocol):
    """What one chunk leaves for its reverse."""

    @property
    def extra_bytes(self) -> int:
        """Bytes that the last chunk holds beside those planned: 0 as a rule."""


class TapeMaker(Protocol[T_co]):
    """Makes the tapes of one shard, which may share arrays that stay with none of them."""

    @property
    def nbytes(self) -> int:
        """Bytes of the shared arrays."""
        ...

    def make(self, room: Array | None = None) -> T_co:
        """Return a tape, in new memory or in the `room` given."""

    def passing(self) -> T_co | None:
        """Return a tape for a chunk that no reverse is asked for; None where any free one serves."""


@attrs.frozen(kw_only=True)
class ChunkBytes:
    """Bytes of one shard: a state (as a snapshot in RAM), what stays with a chunk until it is reversed, what all tapes
    share, the working arrays of a chunk, and the states of a sample that a tape holds for each piece, not each step."""

    state: int
    tape: int
    shared: int
    scratch: int
    apart: int = 0


V = TypeVar("V", bound=Values)
W = TypeVar("W", bound=ModelWeights)
T = TypeVar("T", bound=ChunkTape)


class ChunkModel(Protocol[V, W, T]):
    """A model that the loop can train: a recurrent computation over chunks of time."""

    @property
    def weights(self) -> W:
        """The current weights."""
        ...

    @property
    def kernels(self) -> tuple[str, ...]:
        """What computes each layer, for reports."""
        ...

    @property
    def both_ways(self) -> bool:
        """Whether the model reads sequences from their end, too."""
        ...

    @property
    def recurrent_work(self) -> int:
        """Multiplications with recurrent weights of one sample in one step; what decides the usual number of shards."""
        ...

    @property
    def registry(self) -> Any | None:
        """The registry that made the model, where names are looked up that go with it; None for the usual one."""
        ...

    @property
    def buffers_key(self) -> Any:
        """A value that differs between models that share an engine and need other buffers; None as a rule."""
        ...

    def on(self, kernels: Sequence[Kernels]) -> Self:
        """Return the same model with the same parameters, each part computed by the first kernels that have a twin."""
        ...

    def open(self, batch: Batch) -> Source:
        """Return a source of checked blocks over what the caller handed in; raises `DataError`."""
        ...

    def usual_chunk(self, batch: int) -> int:
        """Return the steps of a chunk for `batch` samples where the caller has chosen none."""
        ...

    @property
    def least_rows(self) -> int | None:
        """The fewest rows of a chunk that cost little time; None where chunks shorter than usual cost much."""
        ...

    def chunk_bytes(self, steps: int, batch: int, retention: StoredTapes) -> ChunkBytes:
        """Return the bytes of the buffers for chunks of up to `steps` steps."""
        ...

    def new_gradients(self) -> V:
        """Return zeros in the form of the parameters."""
        ...

    def new_state(self, batch: int, room: Array | None = None) -> V:
        """Return a state of zeros, in new memory or in the `room` given."""
        ...

    def new_arena(self, nbytes: int) -> Array | None:
        """Return memory that snapshots and tapes share; None, for any size, to have each made and freed by itself."""
        ...

    def new_tapes(self, steps: int, batch: int, retention: StoredTapes) -> TapeMaker[T]:
        """Return what makes tapes for chunks of up to `steps` steps, with the arrays that these tapes share."""
        ...

    def new_scratch(self, steps: int, batch: int) -> Any:
        """Return working arrays for chunks of up to `steps` steps."""
        ...

    def fill_state(self, state: V, given: Any | None, batch: int, columns: Columns) -> None:
        """Write some columns of what the caller gave for a state of `batch` samples into `state`; None means zeros."""
        ...

    def join_states(self, parts: Sequence[V], columns: Sequence[Columns], factor: float = 1.0) -> V:
        """Return a new state over the whole batch from those of the shards, multiplied by `factor`."""
        ...

    def derive(self, draw: Draw | None = None) -> None:
        """Compute again what is derived from the current weights, after they have changed or for another draw."""
        ...

    def forward(self, weights: W, block: Block, state: V, tape: T, scratch: Any) -> None:
        """Run one chunk from `state`, which becomes the state after it; leave in `tape` what its reverse needs."""
        ...

    def reverse(self, weights: W, block: Block, tape: T, dstate: V, gradients: V, scratch: Any) -> float:
        """Reverse one chunk, and return the weighted sum of its losses.

        All but `dstate` and `gradients` are as `forward` had them; the block has targets where losses count. `dstate`
        is the gradient that reaches the state after the chunk, and becomes that of the state before it; the gradients
        of the parameters are added to.
        """
        ...

    def resume(self, tape: T, state: V) -> None:
        """Overwrite `state` by the one after the chunk that wrote the tape."""
        ...


class PredictingModel(ChunkModel[V, W, T], Protocol[V, W, T]):
    """A model that can be run forward alone, to evaluate and to predict."""

    @property
    def outputs_width(self) -> int:
        """Values that are predicted for a step of a sample."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the predictions."""
        ...

    def open_inputs(self, batch: Batch) -> Source:
        """Return a source of inputs alone."""
        ...

    def derive_forward(self, draw: Draw | None = None) -> None:
        """Compute again those derived arrays that the forward pass reads."""
        ...

    def outputs(self, block: Block, tape: T) -> Iterator[tuple[Piece, Array]]:
        """Yield each piece of the chunk that left the tape with the top layer's output [l, n, width]."""
        ...

    def evaluate(self, weights: W, piece: Piece, h: Array, scratch: Any) -> float:
        """Return the sum of the losses of a piece with the top layer's output."""
        ...

    def losses(self, weights: W, piece: Piece, h: Array, scratch: Any) -> Array:
        """Return the losses [l, n] of the last l steps and first n samples of a piece that have one, unweighted."""
        ...

    def predict(self, weights: W, h: Array, scratch: Any) -> Array:
        """Return what is predicted [l, n, outputs] for the top layer's output, in a working array."""
        ...
