"""Evaluating the network on the held-out part while it trains."""

import math

from rnnframe.contracts.kernels import NUMPY
from rnnframe.engine.inference import Inference
from rnnframe.errors import NonFiniteError
from rnnframe.runs.scoring import Score, score
from rnnframe.training.preparation import Prepared
from rnnframe.training.progress import Progress


class Validation:
    """Evaluates a network, and notes in the progress whether it is the best so far."""

    def __init__(self, prepared: Prepared) -> None:
        self._trainer = prepared.trainer
        self._chunk = prepared.options.chunk
        self._examples = prepared.data.valid
        self._goes_on = prepared.options.on_nonfinite == "skip"

    def score(self) -> Score:
        """Return how well the network does now; raises `NonFiniteError`."""
        network = self._trainer.averaged  # whose kernels were chosen
        return score(Inference(network, self._chunk, NUMPY), self._examples)

    def judge(self, progress: Progress, number: int, place: str) -> bool:
        """Evaluate after `number` batches in all; return whether no evaluation was better. `place` is for the error."""
        try:
            found = self.score()
        except NonFiniteError as error:
            if not self._goes_on:
                raise NonFiniteError(f"evaluation after {place}: {error}") from None
            return progress.judge(math.inf, {}, number)
        return progress.judge(found.loss, found.measures, number)
