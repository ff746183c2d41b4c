"""The metrics of a run as TensorBoard reads them, written while it trains (extra `tensorboard`)."""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rnnframe.errors import UsageError

FOLDER = "tensorboard"
"""Where the events are, in the run folder."""
OF_BATCHES = {
    "loss": "loss/training",
    "learning_rate": "training/learning_rate",
    "gradient_norm": "training/gradient_norm",
    "peak_bytes": "training/bytes_held",
}


def check_installed() -> None:
    """Raise `UsageError` if the writer is not installed."""
    if find_spec("tensorboardX") is None:
        raise UsageError(
            '--tensorboard writes with tensorboardX, which is not installed; run: pip install "rnnframe[tensorboard]"'
        )


class Events:
    """Event files of a run: each record of its metrics as scalars, by the number of updates."""

    def __init__(self, run: Path, updates: int) -> None:
        """Continue after so many updates; TensorBoard hides what an interrupted training wrote after them."""
        check_installed()
        from tensorboardX import SummaryWriter

        # Files are named after the second they begin in, and two trainings may begin in one.
        self._writer = SummaryWriter(str(run / FOLDER), purge_step=updates + 1, filename_suffix=f".{updates:012}")

    def add(self, record: Mapping[str, Any]) -> None:
        """Add a record of the metrics."""
        for tag, value in scalars(record):
            self._writer.add_scalar(tag, value, record["update"])

    def close(self) -> None:
        """Write the remaining events and end the writer's thread."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def scalars(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield tags and values of a record for TensorBoard."""
    if record["kind"] == "batch":
        for name, tag in OF_BATCHES.items():
            yield tag, record[name]
        if record["seconds"] > 0:
            yield "training/steps_per_second", record["steps"] / record["seconds"]
    elif record["kind"] in ("evaluation", "epoch"):
        yield "loss/validation", record["valid_loss"]
        for name, value in record["measures"].items():
            yield "validation/" + name.replace(" ", "_"), value
