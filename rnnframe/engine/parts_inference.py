"""Inference in the parts of a batch: each part in a thread of its own, and each rank of a group its own parts.

A part has the same samples as a shard of a training has where all samples end together. What the parts find is put
together in their order, by every process from the parts of all: so losses, counts and predictions have the same bits
for any number of ranks that share the parts.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, Generic, TypeVar

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.model import PredictingModel
from rnnframe.contracts.reducer import Group
from rnnframe.data.batch import Batch
from rnnframe.data.columns import split_batch
from rnnframe.data.foreign import is_stream
from rnnframe.engine.blas import one_thread
from rnnframe.engine.inference import Evaluation, Inference
from rnnframe.engine.ranks import Share, parts_of_each
from rnnframe.engine.team import Signals
from rnnframe.engine.threads import ShardThreads
from rnnframe.errors import NonFiniteError

P = TypeVar("P", bound=PredictingModel[Any, Any, Any])


@attrs.frozen(eq=False)
class Found:
    """What one part has found: loss and count, [T, B of the part, ...] arrays, and why there is no loss, if so."""

    loss: float = 0.0
    count: float = 0.0
    arrays: tuple[Array, ...] = ()
    failure: str | None = None


Judged = tuple[Evaluation | None, tuple[Array, ...], Any]
"""What a part's inference returns: an evaluation, arrays, and the state after the last step."""


class PartsInference(Generic[P]):
    """Evaluates and predicts as `Inference` does, in the parts of each batch.

    All ranks of a group call the same methods with the same batches. The state that a method returns is for the next
    call alone: a list with that of each part of this process.

    Parameters
    ----------
    network : Network
        What is run, on the kernels that it has.
    chunk : int or None
        Steps of a chunk; None leaves it to the network.
    kernels : Kernels or str
        What computes the layers, as `Inference` takes it.
    parts : int
        Parts of a batch, over all ranks.
    group : Group
        The processes that share them.
    """

    def __init__(self, network: P, chunk: int | None, kernels: Any, parts: int, group: Group) -> None:
        self.network, self._parts, self._group = network, parts, group
        self._each = parts_of_each(parts, group) if group.size > 1 else None
        self._own = [Inference(network, chunk, kernels) for _ in range(self._each or parts)]
        self._threads = ShardThreads()

    @contextmanager
    def fixed(self) -> Iterator[None]:
        """Promise that the parameters stay as they are within, as `Inference.fixed` does."""
        with ExitStack() as stack:
            for inference in self._own:
                stack.enter_context(inference.fixed())
            yield

    def evaluate(
        self,
        x: Any,
        y: Any,
        state: Any | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
        weights: Any | None = None,
    ) -> Evaluation:
        """Return the mean loss and the count of all parts, and the state of each part of this process."""

        def work(inference: Inference[P], part: Batch, before: Any) -> Judged:
            found = inference.evaluate(part.x, part.y, before, part.lengths, part.resets, part.weights)
            return found, (), found.state

        return self._evaluation(*self._run(Batch(x, y, lengths, resets, weights=weights), state, work))

    def judge(
        self,
        x: Any,
        y: Any,
        state: Any | None = None,
        lengths: Any | None = None,
        resets: Any | None = None,
        weights: Any | None = None,
    ) -> tuple[Evaluation, Array]:
        """Return what `evaluate` does and the predictions of all parts."""

        def work(inference: Inference[P], part: Batch, before: Any) -> Judged:
            found, outputs = inference.judge(part.x, part.y, before, part.lengths, part.resets, part.weights)
            return found, (outputs,), found.state

        found, states = self._run(Batch(x, y, lengths, resets, weights=weights), state, work)
        return self._evaluation(found, states), _beside(found, 0)

    def judge_steps(self, batch: Batch, state: Any | None = None) -> tuple[Evaluation, Array, Array]:
        """Return what `judge` does and the loss of each step, as `Inference.judge_steps` does."""

        def work(inference: Inference[P], part: Batch, before: Any) -> Judged:
            found, outputs, losses = inference.judge_steps(part, before)
            return found, (outputs, losses), found.state

        found, states = self._run(batch, state, work)
        return self._evaluation(found, states), _beside(found, 0), _beside(found, 1)

    def predict(
        self, x: Any, state: Any | None = None, lengths: Any | None = None, resets: Any | None = None
    ) -> tuple[Array, Any]:
        """Return the predictions of all parts, and the state of each part of this process."""

        def work(inference: Inference[P], part: Batch, before: Any) -> Judged:
            outputs, after = inference.predict(part.x, before, part.lengths, part.resets)
            return None, (outputs,), after

        found, states = self._run(Batch(x, None, lengths, resets), state, work)
        return _beside(found, 0), states

    def _run(
        self, batch: Batch, before: Sequence[Any] | None, work: Callable[[Inference[P], Batch, Any], Judged]
    ) -> tuple[list[Found], list[Any]]:
        """Run the parts of this process; return what all parts have found, and the states of these."""
        columns = [slice(0, 1)] if is_stream(batch.x) else split_batch(batch.samples, self._parts)
        share = Share(self._group, self._each, columns)
        parts = share.own if share.counts else []
        found, states = [Found()] * len(parts), [None] * len(parts)

        def run(n: int, _: Signals) -> None:
            part = batch if len(columns) == 1 else _of_columns(batch, parts[n], last=self._last_only)
            try:
                judged, arrays, states[n] = work(self._own[n], part, None if before is None else before[n])
            except NonFiniteError as error:
                found[n] = Found(failure=str(error))
            else:
                loss, count = (0.0, 0.0) if judged is None else (judged.loss, judged.count)
                found[n] = Found(loss, count, arrays)

        with nullcontext() if self._group.size == 1 else one_thread():
            if parts:
                self._threads.run(run, len(parts), lambda: None)
        return [each for of_rank in self._group.gather(found) for each in of_rank], states

    @property
    def _last_only(self) -> bool:
        head: Any = getattr(self.network, "head", None)
        return head is not None and head.loss.at == "last"

    def _evaluation(self, found: Sequence[Found], states: Any) -> Evaluation:
        """Put the losses of all parts together; raises the `NonFiniteError` of the first that has none."""
        for each in found:
            if each.failure is not None:
                raise NonFiniteError(each.failure)
        if len(found) == 1:
            return Evaluation(loss=found[0].loss, count=found[0].count, state=states)
        count = math.fsum(each.count for each in found)
        loss = math.fsum(each.loss * each.count for each in found)
        return Evaluation(loss=loss / (count or 1), count=count, state=states)


def _of_columns(batch: Batch, part: Any, *, last: bool) -> Batch:
    """Return some samples of a batch; `last` says that targets are those of the last steps alone."""

    def along(values: Any, *, has_steps: bool) -> Any:
        if values is None or not has_steps:
            return None if values is None else np.asarray(values)[part]
        return values[:, part] if isinstance(values, np.ndarray) else SomeColumns(values, part)

    weights = batch.weights
    return Batch(
        along(batch.x, has_steps=True),
        along(batch.y, has_steps=not last),
        along(batch.lengths, has_steps=False),
        along(batch.resets, has_steps=True),
        carry=batch.carry,
        weights=along(weights, has_steps=weights is not None and np.ndim(weights) == 2),
    )


@attrs.frozen(eq=False)
class SomeColumns:
    """Some samples of values that can be sliced along time alone, such as those that are made when they are read."""

    values: Any
    columns: slice

    @property
    def shape(self) -> tuple[int, ...]:
        """[T, B of the columns, ...]."""
        steps, batch, *rest = self.values.shape
        return (steps, len(range(*self.columns.indices(batch))), *rest)

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the values."""
        kind: np.dtype[Any] = np.dtype(self.values.dtype)
        return kind

    def __getitem__(self, steps: slice) -> Array:
        """Read some steps."""
        read: Array = np.asarray(self.values[steps])[:, self.columns]
        return read


def _beside(found: Sequence[Found], which: int) -> Array:
    """Return an array of all parts, [T, B, ...]; parts whose loss is not finite have none, which is told before."""
    arrays = [each.arrays[which] for each in found if each.arrays]
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=1)
