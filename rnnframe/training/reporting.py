"""Telling observers how a training goes, so that one that fails harms nobody but itself."""

import contextlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self, TypeAlias

from rnnframe.contracts.observer import Observer, Watcher
from rnnframe.contracts.records import (
    BatchRecord,
    CheckpointRecord,
    EndRecord,
    EpochRecord,
    EvaluationRecord,
    GradientRecord,
    SkippedRecord,
    StartRecord,
)
from rnnframe.errors import RnnframeError, UsageError
from rnnframe.registry.registry import Registry

Observing: TypeAlias = str | Observer | Watcher
"""Who may be told: a spec such as "tensorboard", an observer, or a watcher of one's own."""


class Watchers(Watcher):
    """Tells several watchers, in order; one that raises is left out, which is told once on stderr.

    `own` are told first and unguarded: what they raise, such as the run's metrics that cannot be written, ends the
    training.
    """

    def __init__(self) -> None:
        self.own: list[Watcher] = []
        self._guarded: list[tuple[str, Watcher]] = []

    @classmethod
    def open(cls, observers: Iterable[Observing], run: Path | None, registry: Registry) -> Self:
        """Open observers for a training; raises `UsageError` for one that cannot be used here."""
        watchers = cls()
        for given in observers:
            if isinstance(given, Watcher):
                watchers._guarded.append((f"watcher {type(given).__name__} of {type(given).__module__}", given))
                continue
            observer = registry.observer(given)
            name = registry.describe("observer", type(observer))
            try:
                opened = observer.open(run)
                if not isinstance(opened, Watcher):  # a plugin may return anything
                    raise TypeError(f"open() returned {opened!r}, which is no rnnframe.plugin.Watcher")
            except UsageError:
                raise
            except Exception as error:
                _leave_out(name, error)
            else:
                watchers._guarded.append((name, opened))
        return watchers

    def on_start(self, start: StartRecord) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.on_start(start))

    def on_batch(self, batch: BatchRecord) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.on_batch(batch))

    def on_skipped(self, skipped: SkippedRecord) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.on_skipped(skipped))

    def on_evaluation(self, evaluation: EvaluationRecord) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.on_evaluation(evaluation))

    def on_epoch(self, epoch: EpochRecord) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.on_epoch(epoch))

    def on_gradients(self, gradients: GradientRecord) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.on_gradients(gradients))

    def on_checkpoint(self, checkpoint: CheckpointRecord) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.on_checkpoint(checkpoint))

    def on_end(self, end: EndRecord) -> None:
        """Tell all."""
        self._tell(lambda watcher: watcher.on_end(end))

    def _tell(self, event: Callable[[Watcher], None]) -> None:
        for watcher in self.own:
            event(watcher)
        for name, watcher in list(self._guarded):
            try:
                event(watcher)
            except Exception as error:
                self._guarded = [entry for entry in self._guarded if entry[1] is not watcher]
                _leave_out(name, error)


def _leave_out(name: str, error: Exception) -> None:
    reason = str(error) if isinstance(error, RnnframeError) else f"{type(error).__name__}: {error}"
    line = " ".join(reason.split())
    if sys.stderr is not None:  # as where a program was started without one
        with contextlib.suppress(OSError, ValueError):  # or it is full, or closed: the progress line is left out so
            print(f"rnnframe: {name} is left out of the rest of this training: {line}", file=sys.stderr, flush=True)
