"""Evaluating the network on the held-out part while it trains."""

import math

from rnnframe.contracts.dataset import Examples
from rnnframe.contracts.kernels import NUMPY
from rnnframe.engine.inference import Inference
from rnnframe.errors import NonFiniteError, UsageError
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
        """Return how well the network does now; raises `NonFiniteError`, or `UsageError` where nothing is held out."""
        if self._examples is None:
            raise UsageError(
                "nothing is held out (held_out=0); judge the model on a file: training.model.evaluate(FILE)"
            )
        return self._judged(self._examples)

    def _judged(self, examples: Examples) -> Score:
        network = self._trainer.averaged  # whose kernels were chosen
        return score(Inference(network, self._chunk, NUMPY), examples)

    def judge(self, progress: Progress, number: int, place: str) -> bool:
        """Evaluate after `number` batches in all; return whether no evaluation was better. `place` is for the error.

        Where nothing is held out there is nothing to evaluate, and no moment is better than another.
        """
        if self._examples is None:
            return False
        try:
            found = self._judged(self._examples)
        except NonFiniteError as error:
            if not self._goes_on:
                raise NonFiniteError(f"evaluation after {place}: {error}") from None
            return progress.judge(math.inf, {}, number)
        return progress.judge(found.loss, found.measures, number)
