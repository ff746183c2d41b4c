"""The lines that show a training, and where they stand."""

import sys
import time
from collections.abc import Mapping

from rnnframe.plugin import (
    BatchRecord,
    EndRecord,
    EpochRecord,
    EvaluationRecord,
    SkippedRecord,
    StartRecord,
    Watcher,
    human_bytes,
)


class Line(Watcher):
    """Gathers what a line shows: the mean loss of the running epoch, the last evaluation, and the throughput."""

    def on_start(self, start: StartRecord) -> None:
        """Take the place where the training is."""
        self.start = start
        self.epoch, self.batch = start.epoch, start.batch
        self._loss_sum, self._count = start.loss * start.count, start.count
        self._valid_loss, self._measures = start.valid_loss, start.measures
        self._steps, self._seconds = 0, 0.0
        self._peak_bytes = 0

    def on_batch(self, batch: BatchRecord) -> None:
        """Add a batch to the means, and show the line."""
        self._reach(batch.epoch, batch.batch)
        self._loss_sum += batch.loss * batch.count
        self._count += batch.count
        self._steps += batch.steps
        self._seconds += batch.seconds
        self._peak_bytes = batch.peak_bytes
        self.show(self.text(self._loss_sum / max(1, self._count)))

    def on_skipped(self, skipped: SkippedRecord) -> None:
        """Show the line of a batch that gave no loss."""
        self._reach(skipped.epoch, skipped.batch)
        self.show(self.text(self._loss_sum / max(1, self._count)))

    def on_evaluation(self, evaluation: EvaluationRecord) -> None:
        """Take the losses for the lines that follow."""
        self._valid_loss, self._measures = evaluation.valid_loss, evaluation.measures

    def on_epoch(self, epoch: EpochRecord) -> None:
        """Show the line of the whole epoch, and leave it."""
        self._valid_loss, self._measures = epoch.valid_loss, epoch.measures
        self.keep(self.text(epoch.train_loss))

    def show(self, text: str) -> None:
        """Show the present line."""

    def keep(self, text: str) -> None:
        """Show a line that stays."""

    def text(self, loss: float) -> str:
        """Return the line."""
        start = self.start
        rate = self._steps / max(1e-9, self._seconds)
        return (
            f"epoch {self.epoch}/{start.epochs}  batch {self.batch}/{start.batches}  loss {loss:.3f}"
            f"{_evaluated(self._valid_loss, self._measures, start.unit)}  {rate:,.0f} steps/s  "
            f"store {human_bytes(self._peak_bytes)}  kernels {start.kernels}"
        )

    def _reach(self, epoch: int, batch: int) -> None:
        if epoch != self.epoch:
            self._loss_sum, self._count = 0.0, 0
        self.epoch, self.batch = epoch, batch


def _evaluated(valid_loss: float | None, measures: Mapping[str, float], unit: str) -> str:
    valid = "" if valid_loss is None else f"  valid {valid_loss:.3f}"
    return f"{valid} {unit}" + "".join(f"  {name} {value:.4g}" for name, value in measures.items())


class PlainLines(Line):
    """Lines on stderr: one an epoch, and one every `every` seconds."""

    def __init__(self, every: float) -> None:
        self._every = every

    def on_start(self, start: StartRecord) -> None:
        """Begin to count the seconds."""
        super().on_start(start)
        self._last = time.monotonic()

    def show(self, text: str) -> None:
        """Print the line if it is time."""
        if time.monotonic() - self._last > self._every:
            self.keep(text)

    def keep(self, text: str) -> None:
        """Print the line."""
        self._last = time.monotonic()
        print(text, file=sys.stderr, flush=True)


class LiveLine(Line):
    """A line that is rewritten at most five times a second; those of ended epochs stay."""

    def on_start(self, start: StartRecord) -> None:
        """Take the last line of the terminal."""
        super().on_start(start)
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(bar_width=16),
            TextColumn("{task.description}", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            refresh_per_second=5,
            transient=True,
        )
        self._task = self._progress.add_task("", total=None)
        self._progress.start()

    def show(self, text: str) -> None:
        """Rewrite the line."""
        total = self.start.epochs * self.start.batches
        done = (self.epoch - 1) * self.start.batches + self.batch
        self._progress.update(self._task, completed=done, total=total, description=text)

    def keep(self, text: str) -> None:
        """Leave the line above the one that is rewritten."""
        self.show(text)
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def on_end(self, end: EndRecord) -> None:
        """Give the terminal back."""
        self._progress.stop()
