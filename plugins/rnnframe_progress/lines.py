"""The lines that show a training, and where they stand."""

import itertools
import os
import sys
import time
from collections.abc import Iterator

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
from rnnframe_progress.fitting import Part, fitted

BAR = 16
"""Columns of the bar of a live line."""
MEASURES = 8
"""Measures that a line shows at most, however wide it may be: a table may have hundreds of columns."""
ROOM_FOR_A_BAR = 120
"""Columns from which on a live line has a bar in front."""


class Line(Watcher):
    """Gathers what a line shows: the mean loss of the running epoch, the last evaluation, and the throughput."""

    def on_start(self, start: StartRecord) -> None:
        """Take the place where the training is."""
        self.start = start
        self.epoch, self.batch = start.epoch, start.batch
        self._loss_sum, self._count = start.loss * start.count, start.count
        self._valid_loss, self._measures = start.valid_loss, start.measures
        self._steps, self._seconds, self._timed = 0, 0.0, 0
        self._peak_bytes = 0

    def on_batch(self, batch: BatchRecord) -> None:
        """Add a batch to the means, and show the line."""
        self._reach(batch.epoch, batch.batch)
        self._loss_sum += batch.loss * batch.count
        self._count += batch.count
        self._steps += batch.steps
        self._seconds += batch.seconds
        self._timed += 1
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

    @property
    def width(self) -> int | None:
        """Columns that a line may take; None where nobody knows."""
        return None

    @property
    def done(self) -> int:
        """Batches of all epochs that are done."""
        return (self.epoch - 1) * self.start.batches + self.batch

    @property
    def total(self) -> int:
        """Batches of the whole training."""
        return self.start.epochs * self.start.batches

    def text(self, loss: float) -> str:
        """Return the line: all of it where there is room, what matters most where there is not."""
        start, valid = self.start, self._valid_loss
        rate = self._steps / max(1e-9, self._seconds)
        parts = [
            Part(f"epoch {self.epoch}/{start.epochs}"),
            Part(f"batch {self.batch}/{start.batches}", rank=1),
            Part(f"loss {_number(loss)}"),
            Part(f"valid {_number(valid)} {start.unit}", shorter=f"valid {_number(valid)}", rank=2)
            if valid is not None
            else Part(start.unit, rank=2),
            *self._measured(),
            Part(f"{rate:,.0f} steps/s"),
            Part(f"store {human_bytes(self._peak_bytes)}", rank=1000),
            Part(f"kernels {start.kernels}", rank=1001),
        ]
        if self._timed:
            parts.append(Part(f"{_clock(self._seconds / self._timed * (self.total - self.done))} left"))
        return fitted(parts, self.width)

    def _measured(self) -> Iterator[Part]:
        for n, (name, value) in enumerate(itertools.islice(self._measures.items(), MEASURES)):
            yield Part(f"{name} {value:.4g}", rank=3 + n)
        if len(self._measures) > MEASURES:
            yield Part(f"and {len(self._measures) - MEASURES:,} more", rank=3 + MEASURES)

    def _reach(self, epoch: int, batch: int) -> None:
        if epoch != self.epoch:
            self._loss_sum, self._count = 0.0, 0
        self.epoch, self.batch = epoch, batch


def _number(loss: float) -> str:
    return f"{loss:.3f}" if abs(loss) < 1e5 else f"{loss:.4g}"


def _clock(seconds: float) -> str:
    """Return a time as 1:05 or 2:03:04."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class PlainLines(Line):
    """Lines on stderr: one an epoch, and one every `every` seconds; as wide as COLUMNS says, where it is set."""

    def __init__(self, every: float) -> None:
        self._every = every

    @property
    def width(self) -> int | None:
        """What COLUMNS says."""
        columns = os.environ.get("COLUMNS", "")
        return int(columns) or None if columns.isdecimal() and len(columns) < 10 else None

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
        from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
        from rich.table import Column

        console = Console(stderr=True)
        text = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="crop"))
        columns: list[ProgressColumn] = [text]
        self._beside = 0
        if console.width >= ROOM_FOR_A_BAR:
            columns.insert(0, BarColumn(bar_width=BAR))
            self._beside = BAR + 1
        self._progress = Progress(*columns, console=console, refresh_per_second=5, transient=True)
        self._task = self._progress.add_task("", total=None)
        self._progress.start()

    @property
    def width(self) -> int | None:
        """What the terminal has beside the bar; its last column stays free, or some terminals begin a new row."""
        return self._progress.console.width - self._beside - 1

    def show(self, text: str) -> None:
        """Rewrite the line."""
        self._progress.update(self._task, completed=self.done, total=self.total, description=text)

    def keep(self, text: str) -> None:
        """Leave the line above the one that is rewritten."""
        self.show(text)
        self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def on_end(self, end: EndRecord) -> None:
        """Give the terminal back."""
        self._progress.stop()
