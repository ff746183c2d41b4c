"""Running a network forward only: evaluation, prediction, sampling. Nothing is remembered but the current state."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import attrs
import numpy as np

from rnnframe.arrays import Array, Vector
from rnnframe.contracts.kernels import AUTO, Kernels
from rnnframe.contracts.model import PredictingModel
from rnnframe.data.batch import Batch
from rnnframe.data.columns import Columns, count_of
from rnnframe.data.pieces import Block, Piece
from rnnframe.data.source import Source
from rnnframe.data.staging import Staging
from rnnframe.engine.turn import Turn
from rnnframe.errors import NonFiniteError
from rnnframe.registry.kernels import choose
from rnnframe.registry.registry import Registry, default_registry

P = TypeVar("P", bound=PredictingModel[Any, Any, Any])
L = TypeVar("L")


@attrs.frozen(kw_only=True, eq=False)
class Evaluation:
    """What an evaluation gives back.

    Parameters
    ----------
    loss : float
        The mean loss.
    count : float
        The sum of the weights of the losses: their number, where each counts once.
    state : Vector
        The state after the last step: name -> [B, width].
    """

    loss: float
    count: float
    state: Vector


@attrs.frozen
class _Passed:
    """A chunk that was run forward: first step, data without targets, tape, working arrays, columns of the batch."""

    start: int
    block: Block
    tape: Any
    scratch: Any
    columns: Columns


class Inference(Generic[P]):
    """Runs a network forward over sequences, in the memory of one chunk; it keeps its buffers between calls.

    While a call is at work another one raises `BusyError`.

    Parameters
    ----------
    network : Network
        What is run.
    chunk : int or None
        Steps of a chunk; None leaves it to the network.
    kernels : Kernels or str
        What computes the layers, as `Engine` takes it.
    registry : Registry or None
        Where names are looked up; by default the network's own.
    """

    def __init__(
        self,
        network: P,
        chunk: int | None = None,
        kernels: str | Kernels = AUTO,
        registry: Registry | None = None,
    ) -> None:
        self.network = network.on(choose(kernels, registry or network.registry or default_registry()))
        self._chunk = chunk
        self._buffers: dict[tuple[int, int], tuple[Any, Any, Any]] = {}
        self._staging = Staging()
        self._fixed = 0  # how many contexts promise it
        self._turn = Turn("inference")

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle no buffers: they are made of views of one another, which would be views no longer."""
        return {**self.__dict__, "_buffers": {}, "_staging": Staging(), "_fixed": 0, "_turn": Turn("inference")}

    @contextmanager
    def fixed(self) -> Iterator[None]:
        """Promise that the parameters stay as they are within: what is computed from them is computed once.

        Without it that is done at every call, since parameters may be written to in between; for a step or two of a
        few samples it takes most of the time.
        """
        if not self._fixed:
            self.network.derive_forward()
        self._fixed += 1
        try:
            yield
        finally:
            self._fixed -= 1

    @np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite is an error of its own
    def evaluate(
        self,
        x: Any,
        y: Any,
        state: Any | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
        weights: Any | None = None,
    ) -> Evaluation:
        """Return the mean loss, count and final state of one sequence.

        Parameters
        ----------
        x, y, state, lengths, resets, weights
            As `Engine.gradients` takes them.

        Raises
        ------
        DataError, NonFiniteError
            For what does not fit, and for a loss that is not finite.
        """
        loss: float = 0.0
        count: float = 0
        with self._turn.take():
            source = self.network.open(Batch(x, y, lengths, resets, weights=weights))
            for passed in self._forward(source, state):
                found, counted = self._loss(passed, source)
                loss, count = loss + found, count + counted
            return self._evaluation(loss, count, source)

    def judge(
        self,
        x: Any,
        y: Any,
        state: Any | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
        weights: Any | None = None,
    ) -> tuple[Evaluation, Array]:
        """Return what `evaluate` does and the predictions that `predict` returns, of one pass."""
        batch = Batch(x, y, lengths, resets, weights=weights)
        evaluation, outputs, _ = self._judge(batch, state, lambda passed, source: None)
        return evaluation, outputs

    def judge_steps(self, batch: Batch, state: Any | None = None) -> tuple[Evaluation, Array, Array]:
        """Return what `judge` does and the loss of each step, [T, B] in float64, before any weight.

        It is 0 where there is none. The losses are computed from what the predictions are made of, not from those.
        """
        evaluation, outputs, parts = self._judge(batch, state, self._losses)
        losses = np.concatenate(parts)
        behind = len(outputs) - len(losses)
        return evaluation, outputs, np.pad(losses, ((0, behind), (0, 0))) if behind else losses

    @np.errstate(over="ignore", invalid="ignore")  # as above
    def _judge(
        self, batch: Batch, state: Any | None, of_steps: Callable[[_Passed, Source], L]
    ) -> tuple[Evaluation, Array, list[L]]:
        loss: float = 0.0
        count: float = 0
        parts: list[Array] = []
        found_of_steps: list[L] = []
        with self._turn.take():
            source = self.network.open(batch)
            for passed in self._forward(source, state):
                found, counted = self._loss(passed, source)
                loss, count = loss + found, count + counted
                found_of_steps.append(of_steps(passed, source))
                parts.append(self._predicted(passed))
            return self._evaluation(loss, count, source), self._joined(parts, batch.x, source), found_of_steps

    @np.errstate(over="ignore")  # an input that overflows is an error of its own
    def predict(
        self, x: Any, state: Any | None = None, lengths: Any | None = None, resets: Any | None = None
    ) -> tuple[Array, Vector]:
        """Return the predictions of one sequence and its final state.

        Parameters
        ----------
        x, state, lengths, resets
            As `Engine.gradients` takes them.

        Returns
        -------
        tuple of Array and Vector
            The predictions [T, B, outputs], zero behind the end of a sample, and the state after the last step.

        Raises
        ------
        DataError
            For what does not fit.
        """
        with self._turn.take():
            source = self.network.open_inputs(Batch(x, None, lengths, resets))
            parts = [self._predicted(passed) for passed in self._forward(source, state)]
            return self._joined(parts, x, source), self._final(source)

    def _loss(self, passed: _Passed, source: Source) -> tuple[float, float]:
        """Return the sum of the losses of a chunk, and that of their weights."""
        network = self.network
        block = source.with_targets(passed.start, passed.block, passed.columns, self._staging)
        pieces = network.outputs(block, passed.tape)
        return sum(network.evaluate(network.weights, piece, h, passed.scratch) for piece, h in pieces), block.count

    def _losses(self, passed: _Passed, source: Source) -> Array:
        """Return the loss of each step of a chunk, in the caller's order of the samples; 0 where there is none."""
        network, start = self.network, 0
        losses = np.zeros((passed.block.steps, count_of(passed.columns)))
        block = source.with_targets(passed.start, passed.block, passed.columns, self._staging)
        for piece, h in network.outputs(block, passed.tape):
            found, stop = network.losses(network.weights, piece, h, passed.scratch), start + len(h)
            if found.size:
                losses[stop - len(found) : stop, self._columns(passed, piece)[: found.shape[1]]] = found
            start = stop
        return losses

    def _evaluation(self, loss: float, count: float, source: Source) -> Evaluation:
        if not math.isfinite(loss):
            raise NonFiniteError(f"the loss is {loss}; the parameters are too large or not finite")
        return Evaluation(loss=loss / (count or 1), count=count, state=self._final(source))

    def _joined(self, parts: list[Array], x: Any, source: Source) -> Array:
        """Return the predictions for all steps of x."""
        behind = 0 if source.steps is None else np.shape(x)[0] - source.steps
        if behind:
            parts.append(np.zeros((behind, *parts[-1].shape[1:]), self.network.dtype))
        return np.concatenate(parts)

    def _predicted(self, passed: _Passed) -> Array:
        """Return the predictions for a chunk, in the caller's order of the samples."""
        network, start = self.network, 0
        predicted = np.zeros((passed.block.steps, count_of(passed.columns), network.outputs_width), network.dtype)
        for piece, h in network.outputs(passed.block, passed.tape):
            predicted[start : start + len(h), self._columns(passed, piece)] = network.predict(
                network.weights, h, passed.scratch
            )
            start += len(h)
        return predicted

    @staticmethod
    def _columns(passed: _Passed, piece: Piece) -> Array:
        """Return which columns of the batch the samples of a piece are."""
        if isinstance(passed.columns, slice):
            return np.arange(passed.columns.start, passed.columns.stop)
        return passed.columns[piece.first :]

    def _final(self, source: Source) -> Vector:
        ((state, _, _),) = self._buffers.values()
        final: Vector = self.network.join_states([state], source.deal(1))
        return final

    def _forward(self, source: Source, given: Any | None) -> Iterator[_Passed]:
        network = self.network
        (columns,) = source.deal(1)
        steps = self._chunk or network.usual_chunk(source.batch)
        steps = steps if source.steps is None else min(steps, source.steps)
        state, tape, scratch = self._buffers_for(steps, source.batch)
        network.fill_state(state, given, source.batch, columns)
        if not self._fixed:
            network.derive_forward()
        start = 0
        while start != source.steps:
            stop = start + steps if source.steps is None else min(start + steps, source.steps)
            self._staging.begin()
            block = source.block(start, stop, columns, self._staging)
            if block is None:
                return
            network.forward(network.weights, block, state, tape, scratch)
            yield _Passed(start, block, tape, scratch, columns)
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
