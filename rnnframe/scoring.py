"""Judging a network on examples, and predicting for them; nothing is remembered but the current state."""

from collections.abc import Iterator, Mapping

import attrs

from rnnframe.arrays import Arrays
from rnnframe.errors import DataError
from rnnframe.inference import Inference
from rnnframe.tasks import Examples, Predicted


@attrs.frozen(kw_only=True)
class Score:
    """Mean loss, the number of losses that it is the mean of, and what else the task measures."""

    loss: float
    count: int
    measures: Mapping[str, float]


def score(inference: Inference, examples: Examples) -> Score:
    """Return how well a network does; raises `DataError` for examples without any targets.

    A batch without targets is run for its state.
    """
    loss, count = 0.0, 0
    state: Arrays | None = None
    for batch in examples.batches():
        before = state if batch.carry else None
        if batch.y is None:
            _, state = inference.predict(batch.x, before, batch.lengths, batch.resets)
            continue
        outcome = inference.evaluate(batch.x, batch.y, before, batch.lengths, batch.resets)
        loss, count, state = loss + outcome.loss * outcome.count, count + outcome.count, outcome.state
    if not count:
        raise DataError(f"{examples.name} has no targets to judge by; add them, or use `rnnframe predict`")
    return Score(
        loss=loss / count,
        count=count,
        measures=dict(examples.measure(predictions(inference, examples))),
    )


def predictions(inference: Inference, examples: Examples) -> Iterator[Predicted]:
    """Yield what a network predicts, batch by batch."""
    state: Arrays | None = None
    for batch in examples.batches():
        outputs, state = inference.predict(batch.x, state if batch.carry else None, batch.lengths, batch.resets)
        yield Predicted(batch, outputs)
