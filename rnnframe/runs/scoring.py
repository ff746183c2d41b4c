"""Judging a network on examples, and predicting for them; nothing is remembered but the current state."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import attrs

from rnnframe.arrays import Arrays
from rnnframe.contracts.dataset import Examples, Predicted
from rnnframe.data.batch import Batch
from rnnframe.engine.inference import Evaluation, Inference
from rnnframe.engine.parts_inference import PartsInference
from rnnframe.errors import DataError
from rnnframe.network.network import Network
from rnnframe.runs.confusion import Confusion

Judging: TypeAlias = Inference[Network] | PartsInference[Network]
"""What runs the network."""


@attrs.frozen(kw_only=True)
class Score:
    """Mean loss, the number of losses that it is the mean of, and what else the task measures.

    confusion: which class was taken for which, where the task puts examples into classes.
    """

    loss: float
    count: float
    measures: Mapping[str, float]
    confusion: Confusion | None = None


def score(inference: Judging, examples: Examples) -> Score:
    """Return how well a network does; raises `DataError` for examples without any targets that can be judged.

    A batch without targets is run for its state.
    """
    if examples.unjudged is not None:
        raise DataError(examples.unjudged)
    if all(batch.y is None for batch in examples.batches()):
        raise DataError(f"{examples.name} has no targets to judge by; add them, or use `rnnframe predict`")
    with inference.fixed():
        judge = _Judge(inference, examples)
        measures = dict(examples.measure(judge.predictions()))
        judge.finish()
    return Score(loss=judge.loss / (judge.count or 1), count=judge.count, measures=measures, confusion=judge.confusion)


class _Judge:
    """Goes through examples once and adds up their losses; it predicts as far as a measure asks for it."""

    def __init__(self, inference: Judging, examples: Examples) -> None:
        self.loss, self.count = 0.0, 0.0
        self._inference = inference
        self._examples = examples
        self.confusion = Confusion(examples.classes) if examples.classes else None
        self._batches = iter(examples.batches())
        self._state: Any | None = None

    def predictions(self) -> Iterator[Predicted]:
        """Yield what the network predicts, batch by batch."""
        for batch in self._batches:
            before = self._state if batch.carry else None
            predicted, judged, self._state = _predicted(self._inference, self._examples, batch, before)
            if judged is not None:
                self._add(judged)
                if self.confusion is not None:
                    self.confusion.add(*self._examples.decisions(predicted))
            yield predicted

    def finish(self) -> None:
        """Go through the batches that no measure has asked for, without predictions where these are not needed."""
        if self.confusion is not None:
            for _ in self.predictions():
                pass
        for batch in self._batches:
            before = self._state if batch.carry else None
            if batch.y is None:
                _, self._state = self._inference.predict(batch.x, before, batch.lengths, batch.resets)
            else:
                self._add(
                    self._inference.evaluate(batch.x, batch.y, before, batch.lengths, batch.resets, batch.weights)
                )

    def _add(self, judged: Evaluation) -> None:
        self.loss, self.count = self.loss + judged.loss * judged.count, self.count + judged.count
        self._state = judged.state


def predictions(inference: Inference[Network], examples: Examples) -> Iterator[Predicted]:
    """Yield what a network predicts, batch by batch; its parameters stay as they are until the last one."""
    state: Arrays | None = None
    with inference.fixed():
        for batch in examples.batches():
            before = state if batch.carry else None
            if examples.wants_losses:
                predicted, _, state = _predicted(inference, examples, batch, before)
            else:
                outputs, state = inference.predict(batch.x, before, batch.lengths, batch.resets)
                predicted = Predicted(batch, outputs)
            yield predicted


def _predicted(
    inference: Judging, examples: Examples, batch: Batch, state: Any | None
) -> tuple[Predicted, Evaluation | None, Any]:
    """Return what is predicted for a batch, how good it is where there are targets, and the state after it."""
    if batch.y is None:
        outputs, after = inference.predict(batch.x, state, batch.lengths, batch.resets)
        return Predicted(batch, outputs), None, after
    if examples.wants_losses:
        judged, outputs, losses = inference.judge_steps(batch, state)
        return Predicted(batch, outputs, losses), judged, judged.state
    judged, outputs = inference.judge(batch.x, batch.y, state, batch.lengths, batch.resets, batch.weights)
    return Predicted(batch, outputs), judged, judged.state
