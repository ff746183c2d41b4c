"""Judging a network on examples, and predicting for them; nothing is remembered but the current state."""

from collections.abc import Iterator, Mapping

import attrs

from rnnframe.errors import DataError
from rnnframe.inference import Inference
from rnnframe.network import Network
from rnnframe.tasks import Examples, Predicted


@attrs.frozen(kw_only=True)
class Score:
    """Mean loss, the number of losses that it is the mean of, and what else the task measures."""

    loss: float
    count: int
    measures: Mapping[str, float]


def score(network: Network, examples: Examples, chunk: int | None = None) -> Score:
    """Return how well a network does; raises `DataError` for examples without targets."""
    inference, loss, count, state = Inference(network, chunk), 0.0, 0, None
    for batch in examples.batches():
        if batch.y is None:
            raise DataError(f"{examples.name} has no targets to judge by; add them, or use `rnnframe predict`")
        outcome = inference.evaluate(batch.x, batch.y, state if batch.carry else None)
        loss, count, state = loss + outcome.loss * outcome.count, count + outcome.count, outcome.state
    return Score(
        loss=loss / max(1, count),
        count=count,
        measures=dict(examples.measure(predictions(network, examples, chunk))),
    )


def predictions(network: Network, examples: Examples, chunk: int | None = None) -> Iterator[Predicted]:
    """Yield what a network predicts, batch by batch."""
    inference, state = Inference(network, chunk), None
    for batch in examples.batches():
        outputs, state = inference.predict(batch.x, state if batch.carry else None)
        yield Predicted(batch, outputs)
