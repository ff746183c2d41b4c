"""The observer `progress`: how a training goes, on stderr. One live line on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import attrs
from attrs.validators import gt

from rnnframe.plugin import Observer, Watcher, hookimpl
from rnnframe_progress.lines import LiveLine, PlainLines


@attrs.frozen(kw_only=True)
class Progress(Observer):
    """Show epoch, batch, losses, measures, throughput and memory on stderr.

    On a terminal it is a line that is rewritten; elsewhere there is a line an epoch, and one every few seconds.
    """

    name: ClassVar[str] = "progress"
    every: float = attrs.field(
        default=10.0, validator=gt(0.0), metadata={"help": "seconds between lines, where stderr is no terminal"}
    )

    def open(self, run: Path | None) -> Watcher:
        """Return what suits where stderr goes."""
        if sys.stderr is None:
            return Watcher()
        return LiveLine() if sys.stderr.isatty() else PlainLines(self.every)


@hookimpl
def rnnframe_observers() -> Iterable[type[Observer]]:
    """Provide progress."""
    return [Progress]
