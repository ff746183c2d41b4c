"""The metrics of a run, read in one pass: curves and totals, in the same memory for a run of any length."""

import json
import math
import os
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

import attrs
import numpy as np

from rnnframe.errors import RunError
from rnnframe.runs.curves import Curve
from rnnframe.runs.looks import Looks
from rnnframe.runs.metric_records import MetricRecord
from rnnframe.storage.durable import open_plain

Over = Literal["updates", "steps", "seconds"]

BLOCK = 4096  # records that are turned into arrays at once
LONGEST = 1 << 20  # bytes of a line; a record has some hundred
MOST_MEASURES = 20  # measures of an evaluation beside the loss; a run has a few


@attrs.frozen(kw_only=True)
class Best:
    """The lowest validation loss, and when it was reached.

    Parameters
    ----------
    loss
        The loss, in the unit of the task.
    update, epoch
        The number of updates and the epoch; the epoch can be unknown (None).
    """

    loss: float
    update: int
    epoch: int | None


@attrs.define(kw_only=True)
class Metrics:
    """The contents of a metrics file; a value without a record is None, and its curve is empty.

    The x of every curve is the number of updates, of steps (of all samples) or of seconds. The curves `loss` and
    `valid_loss` are in the unit of the task, `throughput` in steps (of all samples) per second, and `memory` in bytes.
    `measures` are the other numbers of evaluations, by name, and `looks` those at the gradient. Seconds are those of
    the training steps, without validation. `not_finite` is the number of batches whose loss or gradient was NaN or
    infinite.
    """

    path: Path
    loss: Curve = attrs.field(factory=Curve)
    valid_loss: Curve = attrs.field(factory=Curve)
    learning_rate: Curve = attrs.field(factory=Curve)
    gradient_norm: Curve = attrs.field(factory=Curve)
    throughput: Curve = attrs.field(factory=Curve)
    memory: Curve = attrs.field(factory=Curve)
    measures: dict[str, Curve] = attrs.field(factory=dict)
    looks: Looks = attrs.field(factory=Looks)
    batches: int = 0
    epochs: int = 0
    updates: int = 0
    steps: int | None = None
    seconds: float | None = None
    not_finite: int = 0
    last_loss: float | None = None
    train_loss: float | None = None
    last_valid_loss: float | None = None
    best: Best | None = None
    peak_bytes: int | None = None

    @property
    def steps_per_second(self) -> float | None:
        """The mean throughput."""
        return self.steps / self.seconds if self.steps and self.seconds else None


def read_metrics(path: Path, over: Over = "updates") -> Metrics:
    """Read a metrics file, which can be growing: an incomplete last line is ignored.

    Parameters
    ----------
    path
        The file.
    over
        The x-axis of the curves.

    Returns
    -------
    Metrics
        Curves and totals.

    Raises
    ------
    RunError
        If the file cannot be read or contains something else.
    """
    metrics = Metrics(path=path)
    gather = _Gather(metrics, over)
    try:
        with open(open_plain(path, os.O_RDONLY), "rb") as file:
            for number, line in _lines(file, path):
                gather.take(MetricRecord(_parsed(line, path, number), path, number))
    except OSError as error:
        raise RunError(f"cannot read {str(path)!r}: {error.strerror or error}") from None
    gather.flush()
    return metrics


def _lines(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield complete lines with their numbers, up to the end that the file had when it was opened."""
    left = os.fstat(file.fileno()).st_size
    number = 0
    while left > 0:
        line = file.readline(min(left, LONGEST))
        number, left = number + 1, left - len(line)
        if not line.endswith(b"\n"):
            if len(line) == LONGEST:
                raise RunError(f"{str(path)!r}, line {number} has more than {LONGEST:,} bytes: no metrics of a run")
            return
        yield number, line


def _parsed(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
        if isinstance(record, dict):
            return record
    except (ValueError, RecursionError):
        pass
    raise RunError(
        f"{str(path)!r}, line {number} is no record of metrics: {reprlib.repr(line.strip())}; take the line out"
    )


@attrs.define
class _Gather:
    """Receives records one by one, and adds them to the curves a block at a time."""

    metrics: Metrics
    over: Over
    rows: list[tuple[float, ...]] = attrs.field(factory=list)

    def take(self, record: MetricRecord) -> None:
        """Add a record; one of an unknown kind is ignored."""
        kind = record.values.get("kind")
        if kind == "batch":
            self._batch(record)
        elif kind == "skipped":
            self.metrics.not_finite += 1
        elif kind in ("epoch", "evaluation"):
            self._evaluation(record, ended=kind == "epoch")
        elif kind == "gradients":
            self.metrics.looks.add(record.look(self._x()))

    def _batch(self, record: MetricRecord) -> None:
        metrics = self.metrics
        metrics.batches += 1
        update, steps, seconds, peak = map(record.number, ("update", "steps", "seconds", "peak_bytes"))
        metrics.updates = metrics.batches if update is None else record.whole("update") or metrics.updates
        if steps is not None and math.isfinite(steps):
            metrics.steps = (metrics.steps or 0) + int(steps)
        if seconds is not None and math.isfinite(seconds):
            metrics.seconds = (metrics.seconds or 0.0) + seconds
        if peak is not None and math.isfinite(peak):
            metrics.peak_bytes = max(metrics.peak_bytes or 0, int(peak))
        loss = record.number("loss")
        if loss is not None:
            metrics.last_loss = loss
            metrics.not_finite += not math.isfinite(loss)
        told = (loss, record.number("learning_rate"), record.number("gradient_norm"), steps, seconds, peak)
        self.rows.append((self._x(), *(math.nan if value is None else value for value in told)))
        if len(self.rows) == BLOCK:
            self.flush()

    def _evaluation(self, record: MetricRecord, *, ended: bool) -> None:
        metrics = self.metrics
        metrics.updates = record.whole("update") or metrics.updates
        epoch = record.whole("epoch")
        if ended:
            metrics.epochs += 1
            metrics.train_loss = record.number("train_loss")
        loss = record.number("valid_loss")
        if loss is not None:
            metrics.last_valid_loss = loss
            _point(metrics.valid_loss, self._x(), loss)
            if loss < (metrics.best.loss if metrics.best else math.inf):
                metrics.best = Best(loss=loss, update=metrics.updates, epoch=epoch)
        for name, value in record.measures():
            if name in metrics.measures or len(metrics.measures) < MOST_MEASURES:
                _point(metrics.measures.setdefault(name, Curve()), self._x(), value)

    def _x(self) -> float:
        return float(getattr(self.metrics, self.over) or 0)

    def flush(self) -> None:
        """Add the collected batches to the curves."""
        if not self.rows:
            return
        x, loss, rate, norm, steps, seconds, peak = np.array(self.rows).T
        self.rows.clear()
        metrics = self.metrics
        for curve, values in (
            (metrics.loss, loss),
            (metrics.learning_rate, rate),
            (metrics.gradient_norm, norm),
            (metrics.memory, peak),
        ):
            told = ~np.isnan(values)
            curve.extend(x[told], values[told])
        timed = (steps > 0) & (seconds > 0) & np.isfinite(steps) & np.isfinite(seconds)
        metrics.throughput.extend(x[timed], steps[timed] / seconds[timed], seconds[timed])


def _point(curve: Curve, x: float, y: float) -> None:
    curve.extend(np.array([x]), np.array([y]))
