"""The observer `wandb`: a training as a run of Weights & Biases, also without a network (extra `wandb`)."""

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import attrs

from rnnframe.plugin import (
    BatchRecord,
    EndRecord,
    EpochRecord,
    EvaluationRecord,
    Observer,
    StartRecord,
    UsageError,
    Watcher,
    hookimpl,
)


@attrs.frozen(kw_only=True)
class WeightsAndBiases(Observer):
    """Record a training as a run of Weights & Biases: its options, its metrics by update, the weights at the end.

    The account and the mode are those that wandb takes: `WANDB_MODE=offline` writes files, which `wandb sync` sends
    later. The files are in the run folder, or where `WANDB_DIR` says.
    """

    name: ClassVar[str] = "wandb"
    project: str = attrs.field(default="rnnframe", metadata={"help": "name of the project"})

    def open(self, run: Path | None) -> "Recording":
        """Return the watcher that records; raises `UsageError` where wandb is not installed."""
        found = find_spec("wandb")
        if found is None or found.origin is None:  # a folder `wandb`, which offline runs make, is no package
            raise UsageError(
                "observer 'wandb' records with wandb, which is not installed; run: pip install \"rnnframe[wandb]\""
            )
        return Recording(self.project, run)


class Recording(Watcher):
    """Hands what is told of a training to wandb, which sends it in a process of its own."""

    def __init__(self, project: str, run: Path | None) -> None:
        self.project = project
        self.run = run

    def on_start(self, start: StartRecord) -> None:
        """Begin a run of wandb with the options; a training that goes on begins another one."""
        import wandb

        self._artifact = wandb.Artifact
        self._recorded = wandb.init(
            project=self.project,
            name=None if self.run is None else self.run.name,
            dir=os.environ.get("WANDB_DIR") or self.run,
            config=start.settings(),
            settings=wandb.Settings(console="off", silent=True),
        )

    def on_batch(self, batch: BatchRecord) -> None:
        """Record what the batch gave."""
        self._recorded.log(batch.curves(), step=batch.update)

    def on_evaluation(self, evaluation: EvaluationRecord) -> None:
        """Record the validation."""
        self._log_validation(evaluation)

    def on_epoch(self, epoch: EpochRecord) -> None:
        """Record the validation at the end of an epoch."""
        self._log_validation(epoch)

    def on_end(self, end: EndRecord) -> None:
        """Hand over the weights, and wait until wandb has all of it."""
        if self.run is not None and (weights := self.run / "weights.safetensors").is_file():
            artifact = self._artifact("weights", "model")
            artifact.add_file(str(weights))
            self._recorded.log_artifact(artifact)
        self._recorded.finish(exit_code=int(end.outcome == "failed"))

    def _log_validation(self, record: EvaluationRecord | EpochRecord) -> None:
        measures = {f"validation/{name}": value for name, value in record.measures.items()}
        if record.valid_loss is not None:  # something is held out
            self._recorded.log({"loss/validation": record.valid_loss, **measures}, step=record.update)


@hookimpl
def rnnframe_observers() -> Iterable[type[Observer]]:
    """Provide wandb."""
    return [WeightsAndBiases]
