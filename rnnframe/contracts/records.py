"""What is told of a training while it runs, as frozen records; the lines of `metrics.jsonl` are some of them.

Losses are means, in the task's unit. Epochs count from 1; `batch` is how many batches of the epoch are done; `update`
is how many updates of the parameters were made.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs


@attrs.frozen(kw_only=True)
class StartRecord:
    """The start of a training, also where it goes on with an earlier one.

    task: the spec of the task. unit: what its losses are in. options: those of the training, by name. parameters: how
    many numbers are trained. kernels: what computes the cells. epochs, batches: how many epochs there will be, of how
    many batches each. epoch, batch, update: where the training is; batch 0 of epoch 1 for a new one. loss, count: the
    mean and the number of the losses in the running epoch so far. valid_loss, measures: of the last evaluation.
    """

    kind: str = attrs.field(default="start", init=False)
    task: str
    unit: str
    options: Mapping[str, Any]
    parameters: int
    kernels: str
    epochs: int
    batches: int
    epoch: int
    batch: int
    update: int
    loss: float
    count: float
    valid_loss: float | None
    measures: Mapping[str, float]

    def settings(self) -> dict[str, Any]:
        """Return what tools note of a training: its options, task, size and kernels, by name."""
        return {**self.options, "task": self.task, "parameters": self.parameters, "kernels": self.kernels}


@attrs.frozen(kw_only=True)
class BatchRecord:
    """A batch that was trained on.

    loss, count: the mean and the number of its losses. gradient_norm, learning_rate: of the last update. steps: real
    steps of all samples. seconds: for the batch, the wait for it included. peak_bytes: what the store held at most.
    """

    kind: str = attrs.field(default="batch", init=False)
    epoch: int
    batch: int
    update: int
    loss: float
    count: float
    gradient_norm: float
    learning_rate: float
    steps: int
    seconds: float
    peak_bytes: int

    def curves(self) -> dict[str, float]:
        """Return the numbers that tools draw over the updates, under the names that they group them by."""
        return {
            "loss/training": self.loss,
            "training/learning_rate": self.learning_rate,
            "training/gradient_norm": self.gradient_norm,
            "training/bytes_held": self.peak_bytes,
        }


@attrs.frozen(kw_only=True)
class SkippedRecord:
    """A batch that made no update, and why."""

    kind: str = attrs.field(default="skipped", init=False)
    epoch: int
    batch: int
    update: int
    reason: str


@attrs.frozen(kw_only=True)
class EvaluationRecord:
    """An evaluation in the middle of an epoch."""

    kind: str = attrs.field(default="evaluation", init=False)
    epoch: int
    batch: int
    update: int
    valid_loss: float
    measures: Mapping[str, float]


@attrs.frozen(kw_only=True)
class GradientRecord:
    """A look at the gradient after an evaluation, where the training watches gradients.

    steps: the steps of the last batch before which it was looked at. norms: for each array of the state, by name, the
    norm at these steps of the gradient of the mean loss of all later steps. spectral_radius: of each recurrent W, the
    largest absolute eigenvalue, over the columns of each gate. saturated: for each gate the share of values below 0.1
    or above 0.9. seconds, peak_bytes: what the look took, and what the store held for it.
    """

    kind: str = attrs.field(default="gradients", init=False)
    epoch: int
    update: int
    steps: Sequence[int]
    norms: Mapping[str, Sequence[float]]
    spectral_radius: Mapping[str, float]
    saturated: Mapping[str, float]
    seconds: float
    peak_bytes: int


@attrs.frozen(kw_only=True)
class EpochRecord:
    """The end of an epoch with its mean training loss and the evaluation after it.

    valid_loss, measures: None and empty where nothing is held out. skipped: batches of all epochs that made no update.
    steps_per_second: of the training so far, evaluations left out.
    """

    kind: str = attrs.field(default="epoch", init=False)
    epoch: int
    update: int
    train_loss: float
    valid_loss: float | None
    measures: Mapping[str, float]
    skipped: int
    steps_per_second: float
    peak_bytes: int


@attrs.frozen(kw_only=True)
class CheckpointRecord:
    """A checkpoint that is on the disk, whole.

    number: batches trained before it. best: whether none was better; true where nothing is held out.
    """

    kind: str = attrs.field(default="checkpoint", init=False)
    number: int
    path: str
    best: bool


@attrs.frozen(kw_only=True)
class EndRecord:
    """The end of a training.

    outcome: "finished" where the last epoch is done or patience ran out, "stopped" where somebody asked for it,
    "failed" where something was raised, which `reason` tells. valid_loss, measures: of the last evaluation.
    """

    kind: str = attrs.field(default="end", init=False)
    outcome: Literal["finished", "stopped", "failed"]
    reason: str
    epoch: int
    batch: int
    update: int
    valid_loss: float | None
    measures: Mapping[str, float]
