"""The watcher that writes the metrics of a run: one line a record."""

from typing import Any

import attrs

from rnnframe.contracts.observer import Watcher
from rnnframe.contracts.records import BatchRecord, EpochRecord, EvaluationRecord, GradientRecord, SkippedRecord
from rnnframe.runs.folder import RunFolder


class MetricsFile(Watcher):
    """Writes `metrics.jsonl` of a run folder; raises `RunError` where it cannot be written."""

    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def on_batch(self, batch: BatchRecord) -> None:
        """Write a line."""
        self._add(batch)

    def on_skipped(self, skipped: SkippedRecord) -> None:
        """Write a line."""
        self._add(skipped)

    def on_evaluation(self, evaluation: EvaluationRecord) -> None:
        """Write a line."""
        self._add(evaluation)

    def on_epoch(self, epoch: EpochRecord) -> None:
        """Write a line."""
        self._add(epoch)

    def on_gradients(self, gradients: GradientRecord) -> None:
        """Write a line."""
        self._add(gradients)

    def _add(self, record: Any) -> None:
        self._run.append(attrs.asdict(record))
