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
from rnnframe.data.draws import Draw
from rnnframe.data.source import Source
from rnnframe.data.turn import Turn
from rnnframe.engine.forward import Passed
from rnnframe.engine.staged_forward import forward_pass
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
    draw : Draw or None
        What random masks follow from, for predictions with masks; None for none.
    """

    def __init__(
        self,
        network: P,
        chunk: int | None = None,
        kernels: str | Kernels = AUTO,
        registry: Registry | None = None,
        draw: Draw | None = None,
    ) -> None:
        self.network = network.on(choose(kernels, registry or network.registry or default_registry()))
        self.draw = draw
        self._pass = forward_pass(self.network, chunk)
        self._fixed = 0  # how many contexts promise it
        self._turn = Turn("inference")

    def __getstate__(self) -> dict[str, Any]:
        """Copy and pickle no promise and no turn: those of a copy begin with it."""
        return {**self.__dict__, "_fixed": 0, "_turn": Turn("inference")}

    @contextmanager
    def fixed(self) -> Iterator[None]:
        """Promise that the parameters stay as they are within: what is computed from them is computed once.

        Without it that is done at every call, since parameters may be written to in between; for a step or two of a
        few samples it takes most of the time.
        """
        if not self._fixed:
            self.network.derive_forward(self.draw)
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
            source, chunks = self._forward(self.network.open(Batch(x, y, lengths, resets, weights=weights)), state)
            for passed in chunks:
                found, counted = self._pass.loss(passed, source)
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
        evaluation, outputs, parts = self._judge(batch, state, self._pass.losses)
        losses = np.concatenate(parts)
        behind = len(outputs) - len(losses)
        return evaluation, outputs, np.pad(losses, ((0, behind), (0, 0))) if behind else losses

    @np.errstate(over="ignore", invalid="ignore")  # as above
    def _judge(
        self, batch: Batch, state: Any | None, of_steps: Callable[[Passed, Source], L]
    ) -> tuple[Evaluation, Array, list[L]]:
        loss: float = 0.0
        count: float = 0
        parts: list[Array] = []
        found_of_steps: list[L] = []
        with self._turn.take():
            source, chunks = self._forward(self.network.open(batch), state)
            for passed in chunks:
                found, counted = self._pass.loss(passed, source)
                loss, count = loss + found, count + counted
                found_of_steps.append(of_steps(passed, source))
                parts.append(self._pass.predicted(passed))
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
            batch = Batch(x, None, lengths, resets)
            source, chunks = self._forward(self.network.open_inputs(batch), state)
            parts = [self._pass.predicted(passed) for passed in chunks]
            return self._joined(parts, batch.x, source), self._pass.final(source)

    def _evaluation(self, loss: float, count: float, source: Source) -> Evaluation:
        if not math.isfinite(loss):
            raise NonFiniteError(f"the loss is {loss}; the parameters are too large or not finite")
        return Evaluation(loss=loss / (count or 1), count=count, state=self._pass.final(source))

    def _joined(self, parts: list[Array], x: Any, source: Source) -> Array:
        """Return the predictions for all steps of x."""
        behind = 0 if source.steps is None else np.shape(x)[0] - source.steps
        if behind:
            parts.append(np.zeros((behind, *parts[-1].shape[1:]), self.network.dtype))
        return np.concatenate(parts)

    def _forward(self, source: Source, state: Any | None) -> tuple[Source, Iterator[Passed]]:
        """Return the chunks of a source and, in a network of stages, what the last of them reads in its place."""
        if not self._fixed:
            self.network.derive_forward(self.draw)
        top = self._pass.reach_top(source, state, self.draw)
        return top, self._pass.chunks(top, state, self.draw)
