"""The progress of a training: one live line on a terminal, plain lines elsewhere."""

import sys
import time
from types import TracebackType
from typing import Self

from rnnframe.sizes import human_bytes
from rnnframe.training.records import Moment

EVERY = 10.0  # seconds between plain lines; the end of an epoch always gets one


def line_of(moment: Moment) -> str:
    """Return a moment as text."""
    valid = "" if moment.valid_loss is None else f"  valid {moment.valid_loss:.3f}"
    measures = "".join(f"  {name} {value:.4g}" for name, value in moment.measures.items())
    return (
        f"epoch {moment.epoch}/{moment.epochs}  batch {moment.batch}/{moment.batches}  "
        f"loss {moment.loss:.3f}{valid} {moment.unit}{measures}  {moment.steps_per_second:,.0f} steps/s  "
        f"store {human_bytes(moment.peak_bytes)}  kernels {moment.kernels}"
    )


class PlainProgress:
    """Lines on stderr: one an epoch, and one every ten seconds."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def show(self, moment: Moment) -> None:
        """Print the moment if it is time."""
        now = time.monotonic()
        if moment.epoch_ended or now - self._last > EVERY:
            self._last = now
            print(line_of(moment), file=sys.stderr, flush=True)


class LiveProgress:
    """A line that is rewritten at most five times a second; ended epochs stay."""

    def __init__(self) -> None:
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

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, moment: Moment) -> None:
        """Rewrite the line."""
        total = moment.epochs * moment.batches
        done = (moment.epoch - 1) * moment.batches + moment.batch
        text = line_of(moment)
        self._progress.update(self._task, completed=done, total=total, description=text)
        if moment.epoch_ended:
            self._progress.console.print(text, markup=False, highlight=False, soft_wrap=True)


class NoProgress(PlainProgress):
    """Nothing."""

    def show(self, moment: Moment) -> None:
        """Print nothing."""


def progress_for(*, quiet: bool) -> PlainProgress | LiveProgress:
    """Return the progress that suits where stderr goes."""
    if quiet:
        return NoProgress()
    return LiveProgress() if sys.stderr.isatty() else PlainProgress()
