"""The observer `mlflow`: a training as a run of MLflow, with options, metrics and weights (extra `mlflow`)."""

import re
import time
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

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

FLUSH_SECONDS = 10.0
"""Seconds after which metrics are sent; the end of an epoch comes sooner."""
AT_ONCE = 900
"""Metrics that are sent in one request at most; MLflow takes 1,000."""
STATUS = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
"""What MLflow calls the outcomes of a training."""


@attrs.frozen(kw_only=True)
class MLflow(Observer):
    """Record a training as a run of MLflow: its options, its metrics by update, and the weights file at the end.

    The server or database is the one that MLflow takes: that of the environment variable `MLFLOW_TRACKING_URI`.
    """

    name: ClassVar[str] = "mlflow"
    experiment: str = attrs.field(default="rnnframe", metadata={"help": "name of the experiment; made where needed"})

    def open(self, run: Path | None) -> "Tracking":
        """Return the watcher that records; raises `UsageError` where MLflow is not installed."""
        found = find_spec("mlflow")
        if found is None or found.origin is None:  # a folder `mlflow` here is no installed package
            raise UsageError(
                "observer 'mlflow' records with MLflow, which is not installed; run: pip install \"rnnframe[mlflow]\""
            )
        return Tracking(self.experiment, run)


class Tracking(Watcher):
    """Sends what is told of a training to MLflow, many metrics at a time."""

    def __init__(self, experiment: str, run: Path | None) -> None:
        self.experiment = experiment
        self.run = run
        self._waiting: list[Any] = []
        self._sent = 0.0

    def on_start(self, start: StartRecord) -> None:
        """Begin a run of MLflow with the options; a training that goes on begins another one."""
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self._metric, self._client = Metric, MlflowClient()
        known = self._client.get_experiment_by_name(self.experiment)
        number = known.experiment_id if known else self._client.create_experiment(self.experiment)
        made = self._client.create_run(number, run_name=None if self.run is None else self.run.name)
        self._id = made.info.run_id
        self._client.log_batch(self._id, params=[Param(name, str(value)) for name, value in start.settings().items()])

    def on_batch(self, batch: BatchRecord) -> None:
        """Record what the batch gave."""
        self._add(batch.update, batch.curves())

    def on_evaluation(self, evaluation: EvaluationRecord) -> None:
        """Record the validation."""
        self._add_validation(evaluation)

    def on_epoch(self, epoch: EpochRecord) -> None:
        """Record the validation at the end of an epoch, and send what waits."""
        self._add_validation(epoch)
        self._send()

    def on_end(self, end: EndRecord) -> None:
        """Send what waits and the weights, and end the run of MLflow."""
        self._send()
        if self.run is not None and (weights := self.run / "weights.safetensors").is_file():
            self._client.log_artifact(self._id, str(weights))
        self._client.set_terminated(self._id, STATUS[end.outcome])

    def _add_validation(self, record: EvaluationRecord | EpochRecord) -> None:
        measures = {"validation/" + re.sub(r"[^\w.-]", "_", name): value for name, value in record.measures.items()}
        if record.valid_loss is not None:  # something is held out
            self._add(record.update, {"loss/validation": record.valid_loss, **measures})

    def _add(self, update: int, values: Mapping[str, float]) -> None:
        now = int(time.time() * 1000)
        self._waiting += [self._metric(name, float(value), now, update) for name, value in values.items()]
        if len(self._waiting) >= AT_ONCE or time.monotonic() - self._sent > FLUSH_SECONDS:
            self._send()

    def _send(self) -> None:
        for start in range(0, len(self._waiting), AT_ONCE):
            self._client.log_batch(self._id, metrics=self._waiting[start : start + AT_ONCE])
        self._waiting.clear()
        self._sent = time.monotonic()


@hookimpl
def rnnframe_observers() -> Iterable[type[Observer]]:
    """Provide mlflow."""
    return [MLflow]
