"""What a training reports while it runs: the lines of `metrics.jsonl`, and what the progress display shows."""

import time
from collections.abc import Mapping

import attrs


@attrs.frozen(kw_only=True)
class BatchRecord:
    """A batch that was trained on.

    Attributes
    ----------
    epoch, batch
        Number of the epoch, from 1, and of the batch in it.
    update
        Updates so far.
    loss
        Mean loss of the batch.
    gradient_norm, learning_rate
        Of the last update.
    steps
        Real steps of all samples together.
    seconds
        Time from asking for the batch to the end of its step.
    peak_bytes
        The most bytes that the store held.
    """

    kind: str = attrs.field(default="batch", init=False)
    epoch: int
    batch: int
    update: int
    loss: float
    gradient_norm: float
    learning_rate: float
    steps: int
    seconds: float
    peak_bytes: int


@attrs.frozen(kw_only=True)
class SkippedRecord:
    """A batch that was skipped, and the reason."""

    kind: str = attrs.field(default="skipped", init=False)
    epoch: int
    batch: int
    update: int
    reason: str


@attrs.frozen(kw_only=True)
class EvaluationRecord:
    """An evaluation in the middle of an epoch, after `batch` batches of it."""

    kind: str = attrs.field(default="evaluation", init=False)
    epoch: int
    batch: int
    update: int
    valid_loss: float
    measures: Mapping[str, float]


@attrs.frozen(kw_only=True)
class EpochRecord:
    """An epoch with its mean training loss and the evaluation at its end; `skipped` counts batches of all epochs."""

    kind: str = attrs.field(default="epoch", init=False)
    epoch: int
    update: int
    train_loss: float
    valid_loss: float
    measures: Mapping[str, float]
    skipped: int
    steps_per_second: float
    peak_bytes: int


@attrs.frozen(kw_only=True)
class Moment:
    """What the progress display shows after each batch; losses are in the task's unit."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    valid_loss: float | None
    measures: Mapping[str, float]
    unit: str
    steps_per_second: float
    peak_bytes: int
    kernels: str
    epoch_ended: bool


class Clock:
    """Steps per second of training, waiting for batches included; validation is left out."""

    def __init__(self) -> None:
        self.last = self._seconds = self._started = 0.0
        self._steps = 0

    def start(self) -> None:
        """Begin a batch."""
        self._started = time.perf_counter()

    def stop(self, steps: int) -> None:
        """End a batch of so many steps."""
        self.last = time.perf_counter() - self._started
        self._seconds += self.last
        self._steps += steps

    @property
    def rate(self) -> float:
        """Steps per second."""
        return self._steps / max(1e-9, self._seconds)
