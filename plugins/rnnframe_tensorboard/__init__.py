"""The observer `tensorboard`: the metrics of a training as events that TensorBoard shows (extra `tensorboard`)."""

import contextlib
import time
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

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

FOLDER = "tensorboard"
"""Where the events are by default, in the run folder."""
FLUSH_SECONDS = 10.0
"""Seconds after which what was written reaches the file; the end of an epoch comes sooner."""


@attrs.frozen(kw_only=True)
class TensorBoard(Observer):
    """Write losses, measures, learning rate, gradient norm, throughput and memory for TensorBoard, by update.

    `tensorboard --logdir RUN` shows them. A training that goes on adds to them; what an interrupted one wrote beyond
    its last checkpoint is not shown.
    """

    name: ClassVar[str] = "tensorboard"
    path: str | None = attrs.field(
        default=None, metadata={"help": "folder of the events; none: the folder tensorboard in the run folder"}
    )

    def open(self, run: Path | None) -> "Events":
        """Return the writer of events; raises `UsageError` where it is not installed or has no folder."""
        if find_spec("tensorboardX") is None:
            raise UsageError(
                "observer 'tensorboard' writes with tensorboardX, which is not installed; "
                'run: pip install "rnnframe[tensorboard]"'
            )
        if self.path is not None:
            return Events(Path(self.path))
        if run is None:
            raise UsageError(
                "observer 'tensorboard' writes into the run folder, and there is none; "
                "give --out RUN, or tensorboard:path=FOLDER"
            )
        if (folder := run / FOLDER).is_symlink() or (folder.is_dir() and any(map(Path.is_symlink, folder.iterdir()))):
            raise UsageError(
                f"observer 'tensorboard' would follow a link out of the run folder, at {str(folder)!r}; remove it, or "
                "give tensorboard:path=FOLDER"
            )
        return Events(folder)


class Events(Watcher):
    """Writes event files into a folder, in the thread that trains: what goes wrong is raised where it happens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._flushed = 0.0

    def on_start(self, start: StartRecord) -> None:
        """Begin a file behind the updates so far; later ones of an earlier file are not shown any more."""
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto import event_pb2, summary_pb2

        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self.folder.mkdir(parents=True, exist_ok=True)
        # Files are named after the second they begin in, and two trainings may begin in one.
        self._writer = EventsWriter(str(self.folder / "events"), f".{start.update:012}")
        log = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._writer.write_event(self._event(wall_time=time.time(), step=start.update + 1, session_log=log))

    def on_batch(self, batch: BatchRecord) -> None:
        """Write what the batch gave."""
        values = batch.curves()
        if batch.seconds > 0:
            values["training/steps_per_second"] = batch.steps / batch.seconds
        self._add(batch.update, values)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._flush()

    def on_evaluation(self, evaluation: EvaluationRecord) -> None:
        """Write the validation."""
        self._add_validation(evaluation)

    def on_epoch(self, epoch: EpochRecord) -> None:
        """Write the validation at the end of an epoch."""
        self._add_validation(epoch)
        self._flush()

    def on_end(self, end: EndRecord) -> None:
        """Close the file."""
        self._writer.close()

    def _add_validation(self, record: EvaluationRecord | EpochRecord) -> None:
        measures = {"validation/" + name.replace(" ", "_"): value for name, value in record.measures.items()}
        if record.valid_loss is not None:  # something is held out
            self._add(record.update, {"loss/validation": record.valid_loss, **measures})

    def _add(self, update: int, values: Mapping[str, float]) -> None:
        summary = self._summary(value=[self._summary.Value(tag=tag, simple_value=v) for tag, v in values.items()])
        try:
            self._writer.write_event(self._event(wall_time=time.time(), step=update, summary=summary))
        except OSError:
            self._give_up()
            raise

    def _flush(self) -> None:
        try:
            self._writer.flush()
        except OSError:
            self._give_up()
            raise
        self._flushed = time.monotonic()

    def _give_up(self) -> None:
        """Close the file, whose last bytes cannot be written."""
        with contextlib.suppress(OSError):
            self._writer.close()


@hookimpl
def rnnframe_observers() -> Iterable[type[Observer]]:
    """Provide tensorboard."""
    return [TensorBoard]
