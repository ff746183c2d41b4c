"""Running a network forward only: evaluation, prediction, sampling. Nothing is remembered but the current state."""

import math
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays, Vector
from rnnframe.blocks import Block
from rnnframe.buffers import Scratch, Tape
from rnnframe.contracts import ROWS
from rnnframe.errors import NonFiniteError
from rnnframe.kernels import AUTO, Kernels, choose
from rnnframe.network import Network
from rnnframe.registry import default_registry
from rnnframe.sources import Source, open_inputs, open_source
from rnnframe.states import fill_state


@attrs.frozen(kw_only=True, eq=False)
class Evaluation:
    """Loss (mean over counted steps and samples), their number, and the state after the last step."""

    loss: float
    count: int
    state: Vector


@attrs.frozen
class _Passed:
    """A chunk that was run forward: its data, its top layer's h, and the working arrays at its disposal."""

    block: Block
    h: Array
    scratch: Scratch


class Inference:
    """Runs a network over sequences, chunk by chunk, in the memory of one chunk; keeps its buffers between calls."""

    def __init__(self, network: Network, chunk: int | None = None, kernels: str | Kernels = AUTO) -> None:
        self.network = network.on(choose(kernels, default_registry()))
        self._chunk = chunk
        self._buffers: dict[tuple[int, int], tuple[Vector, Tape, Scratch]] = {}

    @np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite is an error of its own
    def evaluate(self, x: Any, y: Any, state: Arrays | None = None) -> Evaluation:
        """Return the mean loss of one sequence; x, y and state as `Engine.gradients` takes them."""
        loss, count = 0.0, 0
        for passed in self._forward(open_source(x, y, self.network), state):
            targets = passed.block.y
            if targets is not None:
                loss += self.network.evaluate(self.network.weights, passed.h, targets, passed.scratch)
                count += targets.shape[0] * targets.shape[1]
        if not math.isfinite(loss):
            raise NonFiniteError(f"the loss is {loss}; the parameters are too large or not finite")
        return Evaluation(loss=loss / max(1, count), count=count, state=self._final())

    def predict(self, x: Any, state: Arrays | None = None) -> tuple[Array, Vector]:
        """Return what the head predicts at every step, [T, B, outputs], and the final state."""
        outputs = []
        for passed in self._forward(open_inputs(x, self.network), state):
            outputs.append(self.network.predict(self.network.weights, passed.h, passed.scratch).copy())
        return np.concatenate(outputs), self._final()

    def _final(self) -> Vector:
        ((state, _, _),) = self._buffers.values()
        return state.copy()

    def _forward(self, source: Source, given: Arrays | None) -> Iterator[_Passed]:
        network = self.network
        columns = slice(0, source.batch)
        steps = self._chunk or -(-ROWS // source.batch)
        steps = steps if source.steps is None else min(steps, source.steps)
        state, tape, scratch = self._buffers_for(steps, source.batch)
        fill_state(state, given, source.batch, columns)
        network.weights.derive()
        start = 0
        while start != source.steps:
            stop = start + steps if source.steps is None else min(start + steps, source.steps)
            block = source.block(start, stop, columns)
            if block is None:
                return
            source.release(start)
            h = network.forward(network.weights, block.x, state, tape, scratch)
            yield _Passed(block, h, scratch)
            start += len(block.x)

    def _buffers_for(self, steps: int, batch: int) -> tuple[Vector, Tape, Scratch]:
        if (steps, batch) not in self._buffers:
            network = self.network
            self._buffers.clear()
            self._buffers[steps, batch] = (
                network.new_state(batch),
                network.new_tape(steps, batch),
                network.new_scratch(steps, batch),
            )
        return self._buffers[steps, batch]
