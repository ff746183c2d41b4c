"""An observer for rnnframe: the losses of every epoch as a CSV file, for a spreadsheet.

Replace what is written with what you want to show, store or send: `Watcher` has a method for every event.
"""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import attrs

from rnnframe.plugin import EpochRecord, Observer, StartRecord, UsageError, Watcher, hookimpl

COLUMNS = "update", "epoch", "training", "validation"


@attrs.frozen(kw_only=True)
class Example(Observer):
    """Write the training and the validation loss of every epoch to a CSV file."""

    name: ClassVar[str] = "example"
    path: str | None = attrs.field(default=None, metadata={"help": "the file; by default losses.csv in the run folder"})

    def open(self, run: Path | None) -> Watcher:
        """Return the writer; raises `UsageError` where there is no file to write to."""
        if self.path is not None:
            return LossFile(Path(self.path))
        if run is None:
            raise UsageError(f"observer {self.name!r} has no run folder; give --out RUN, or {self.name}:path=FILE")
        return LossFile(run / "losses.csv")


class LossFile(Watcher):
    """Writes a row after each epoch."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def on_start(self, start: StartRecord) -> None:
        """Begin the file. A training that is resumed keeps the rows up to its checkpoint."""
        kept = [row for row in self._rows() if int(row["update"]) <= start.update] if start.update else []
        with self._path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)

    def on_epoch(self, epoch: EpochRecord) -> None:
        """Add a row."""
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([epoch.update, epoch.epoch, epoch.train_loss, epoch.valid_loss])

    def _rows(self) -> list[dict[str, str]]:
        if not self._path.exists():
            return []
        with self._path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))


@hookimpl
def rnnframe_observers() -> Iterable[type[Observer]]:
    """Provide the observer."""
    return [Example]
