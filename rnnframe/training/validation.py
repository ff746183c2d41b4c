"""Evaluating the network on the held-out part while it trains."""

import math
import zlib

from rnnframe.contracts.dataset import Examples
from rnnframe.contracts.kernels import NUMPY
from rnnframe.engine.parts_inference import PartsInference
from rnnframe.errors import GroupError, NonFiniteError, UsageError
from rnnframe.runs.scoring import Score, score
from rnnframe.training.preparation import Prepared
from rnnframe.training.progress import Progress


class Validation:
    """Evaluates a network, and notes in the progress whether it is the best so far."""

    def __init__(self, prepared: Prepared) -> None:
        self._trainer = prepared.trainer
        self._group = prepared.trainer.engine.group
        self._chunk, self._parts = prepared.options.chunk, prepared.options.shards or 1
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
        """Return how well the network does on examples; raises `NonFiniteError`. The ranks of a group share the work.

        Rank 0 has the last word, so that all go on alike. Raises `GroupError` where the parameters of a rank are
        others, as on processors that round otherwise.
        """
        self.check_parameters()
        found: Score | NonFiniteError
        try:
            network = self._trainer.averaged  # whose kernels were chosen
            found = score(PartsInference(network, self._chunk, NUMPY, self._parts, self._group), examples)
        except NonFiniteError as error:
            found = error
        found = self._group.tell(found)
        if isinstance(found, NonFiniteError):
            raise found
        return found

    def check_parameters(self) -> None:
        """Raise `GroupError` where the parameters of a rank are not those of rank 0."""
        group, parameters = self._group, self._trainer.engine.network.parameters
        sums = group.gather(zlib.crc32(parameters.flat.tobytes()) if group.size > 1 else 0)
        other = next((rank for rank, each in enumerate(sums) if each != sums[0]), None)
        if other is not None:
            raise GroupError(
                f"the parameters of {group.where(other)} are not those of {group.where(0)}, as where processors or "
                "versions of numpy differ; train on machines of one kind"
            )

    def judge(self, progress: Progress, number: int, place: str) -> bool:
        """Evaluate after `number` batches in all; return whether no evaluation was better. `place` is for the error.

        Where nothing is held out there is nothing to evaluate, and no moment is better than another.
        """
        if self._examples is None:
            self.check_parameters()
            return False
        try:
            found = self._judged(self._examples)
        except NonFiniteError as error:
            if not self._goes_on:
                raise NonFiniteError(f"evaluation after {place}: {error}") from None
            return progress.judge(math.inf, {}, number)
        return progress.judge(found.loss, found.measures, number)
