"""Running a network forward, chunk by chunk, in the buffers of one chunk."""

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.model import PredictingModel
from rnnframe.data.columns import Columns, count_of
from rnnframe.data.draws import Draw
from rnnframe.data.pieces import Block, Piece
from rnnframe.data.source import Source
from rnnframe.data.staging import Staging


@attrs.frozen
class Passed:
    """A chunk that was run forward: first step, data without targets, tape, working arrays, columns of the batch."""

    start: int
    block: Block
    tape: Any
    scratch: Any
    columns: Columns

    def samples(self, piece: Piece, count: int) -> Columns:
        """Return which columns of the batch the first `count` samples of a piece are."""
        if isinstance(self.columns, slice):
            return slice(self.columns.start, self.columns.start + count)
        return self.columns[piece.first : piece.first + count]


class ForwardPass:
    """Runs a network over sources in chunks of `chunk` steps (None: the network decides) and keeps its buffers."""

    def __init__(self, network: PredictingModel[Any, Any, Any], chunk: int | None) -> None:
        self.network, self._chunk = network, chunk
        self._begin()

    def _begin(self) -> None:
        self._buffers: dict[tuple[int, int], tuple[Any, Any, Any]] = {}
        self._staging = Staging()

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle no buffers: they are made of views of one another, which would be views no longer."""
        return {"network": self.network, "_chunk": self._chunk}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def reach_top(self, source: Source, given: Any | None, draw: Draw | None = None) -> Source:
        """Return what `chunks` is to read: the source itself, as there are no stages below."""
        return source

    def chunks(self, source: Source, given: Any | None, draw: Draw | None = None) -> Iterator[Passed]:
        """Run a source from a given state, or from zeros, and yield each chunk before the next overwrites it."""
        network = self.network
        (columns,) = source.deal(1)
        steps = self._chunk or network.usual_chunk(source.batch)
        steps = steps if source.steps is None else min(steps, source.steps)
        state, tape, scratch = self._buffers_for(steps, source.batch)
        network.fill_state(state, given, source.batch, columns)
        start = 0
        while start != source.steps:
            stop = start + steps if source.steps is None else min(start + steps, source.steps)
            self._staging.begin()
            block = source.block(start, stop, columns, self._staging)
            if block is None:
                return
            block = block.drawn(draw)
            network.forward(network.weights, block, state, tape, scratch)
            yield Passed(start, block, tape, scratch, columns)
            source.release(start)
            start += block.steps

    def _buffers_for(self, steps: int, batch: int) -> tuple[Any, Any, Any]:
        if (steps, batch) not in self._buffers:
            network = self.network
            self._buffers.clear()
            self._buffers[steps, batch] = (
                network.new_state(batch),
                network.new_tapes(steps, batch, "whole").make(),
                network.new_scratch(steps, batch),
            )
        return self._buffers[steps, batch]

    def final(self, source: Source) -> Vector:
        """Return the state after the last chunk that was run."""
        ((state, _, _),) = self._buffers.values()
        final: Vector = self.network.join_states([state], source.deal(1))
        return final

    def loss(self, passed: Passed, source: Source) -> tuple[float, float]:
        """Return the sum of the losses of a chunk, and that of their weights."""
        network = self.network
        block = source.with_targets(passed.start, passed.block, passed.columns, self._staging)
        pieces = network.outputs(block, passed.tape)
        return sum(network.evaluate(network.weights, piece, h, passed.scratch) for piece, h in pieces), block.count

    def losses(self, passed: Passed, source: Source) -> Array:
        """Return the loss of each step of a chunk, in the caller's order of the samples; 0 where there is none."""
        network, start = self.network, 0
        losses = np.zeros((passed.block.steps, count_of(passed.columns)))
        block = source.with_targets(passed.start, passed.block, passed.columns, self._staging)
        for piece, h in network.outputs(block, passed.tape):
            found, stop = network.losses(network.weights, piece, h, passed.scratch), start + len(h)
            if found.size:
                losses[stop - len(found) : stop, passed.samples(piece, found.shape[1])] = found
            start = stop
        return losses

    def predicted(self, passed: Passed) -> Array:
        """Return the predictions for a chunk, in the caller's order of the samples."""
        network, start = self.network, 0
        predicted = np.zeros((passed.block.steps, count_of(passed.columns), network.outputs_width), network.dtype)
        for piece, h in network.outputs(passed.block, passed.tape):
            samples = passed.samples(piece, h.shape[1])
            predicted[start : start + len(h), samples] = network.predict(network.weights, h, passed.scratch)
            start += len(h)
        return predicted
