"""A run folder: the configuration, the metrics, the weights, and checkpoints to resume from.

    config.toml              the options that reproduce the run
    metrics.jsonl            one JSON object per line, for every batch and every epoch
    weights.safetensors      the best weights so far, with the description of network and task in its metadata
    checkpoints/             00000120.safetensors: parameters, slots, carried state and progress after 120 batches
    run.lock                 locked by the process that trains

Every file is complete at any time, also on the disk (`rnnframe.storage.durable`). A checkpoint is one file: the newest
one describes one moment, and records the size of the metrics at that moment. The weights are a copy for use elsewhere.
"""

import contextlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rnnframe.errors import RunError
from rnnframe.runs.checkpoints import Checkpoint, Checkpoints
from rnnframe.runs.layout import CHECKPOINTS, CONFIG, LOCK, METRICS, WEIGHTS, already_a_run, check_free
from rnnframe.runs.replacement import put_in_place, settle, settle_and_say, stage
from rnnframe.storage.durable import Journal, check_plain, make_folder, remove, write_whole
from rnnframe.storage.locks import Lock, says_in_use
from rnnframe.storage.tensors import read_tensors, tensor_bytes
from rnnframe.storage.toml import read_toml, to_comments, to_toml


class RunFolder:
    """A run folder: `open` it to look; make a `fresh` one or `resume` one to train, one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_to(path)
        self._lock: Lock | None = None
        self._journal: Journal | None = None
        self._force = False

    @classmethod
    def fresh(cls, path: str | Path, *, force: bool = False) -> Self:
        """Return a run folder that `begin` will make; `force` replaces the run in an existing one, and only that.

        Nothing is written before `begin`. Raises `RunError` where a run may not be written there.
        """
        check_free(Path(path), force=force)
        run = cls(Path(path))
        run._force = force
        return run

    def begin(self, config: Mapping[str, Any], remarks: Iterable[str] = ()) -> None:
        """Make and lock the folder, and write the options of the run with remarks on its data; raises `RunError`.

        A run that was there before, where `force` was given, stays until the new one has `save`d its first checkpoint.
        """
        try:
            make_folder(self.path)
            self._take()
            if (self.path / CONFIG).exists():
                if not self._force:
                    raise already_a_run(self.path)
                self._write_to(stage(self.path))
            self.checkpoints.clear()
            remove(self._files / WEIGHTS)
            self.write_config(config, remarks)
            write_whole(self._files / METRICS, b"")
            self.cut_metrics(0)
        except OSError as error:
            self.close()
            raise RunError(f"cannot write run folder {str(self.path)!r}: {error.strerror or error}") from None
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Return an existing run folder for reading; raises `RunError`."""
        run = cls(Path(path))
        if not run.path.is_dir():
            raise RunError(f"there is no run folder {str(run.path)!r}; make one with `rnnframe train --out`")
        settle_and_say(run.path)
        if not (run.path / CONFIG).exists():
            raise RunError(f"{str(run.path)!r} is no run folder: it has no {CONFIG}")
        return run

    @classmethod
    def resume(cls, path: str | Path) -> Self:
        """Lock an existing run folder to continue it; raises `RunError`, also if another process trains there."""
        run = cls.open(path)
        try:
            run._take()
        except OSError as error:
            run.close()
            raise RunError(f"cannot write run folder {str(run.path)!r}: {error.strerror or error}") from None
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    @property
    def locked(self) -> bool:
        """Whether this object holds the folder's lock, so that it may write."""
        return self._lock is not None

    @property
    def in_use(self) -> bool:
        """Whether a training says that it goes on in this folder; one that was killed still says so."""
        return says_in_use(self.path / LOCK)

    def close(self) -> None:
        """Release the lock, so that other processes can train here."""
        self._write_to(self.path)
        if self._journal is not None:
            self._journal.close()
        if self._lock is not None:
            with contextlib.suppress(OSError):  # the next one to open the folder tries again
                settle(self.path)
            self._lock.release()
        self._journal = self._lock = None

    def config(self) -> dict[str, Any]:
        """Return the options of the run."""
        try:
            check_plain(self.path / CONFIG)
        except OSError as error:
            raise RunError(f"cannot read {str(self.path / CONFIG)!r}: {error.strerror or error}") from None
        return read_toml(self.path / CONFIG)

    def plugins(self) -> tuple[str, ...]:
        """Return the plugin files and modules that the run needs and that are not installed."""
        named = self.config().get("plugin", [])
        return tuple(map(str, named if isinstance(named, list) else [named]))

    def write_config(self, config: Mapping[str, Any], remarks: Iterable[str] = ()) -> None:
        """Write the options of the run, above them remarks on its data."""
        self._write(CONFIG, (to_comments(remarks) + to_toml(config)).encode())

    def save(self, checkpoint: Checkpoint, keep: int) -> None:
        """Write a checkpoint, and the weights if they are the best so far.

        The weights are written first: if writing the checkpoint fails, the resumed run reaches this point again.

        Parameters
        ----------
        checkpoint
            What to write.
        keep
            How many checkpoints to keep, in addition to the best one.

        Raises
        ------
        RunError
            If a file cannot be written; the old files then remain.
        """
        if checkpoint.best in (None, checkpoint.number):
            self._write_weights(checkpoint)
        try:
            self.checkpoints.write(checkpoint, keep)
        except OSError as error:
            raise _not_written(self.checkpoints.path(checkpoint.number), error) from None
        if self._files != self.path:
            self._replace_old()

    def _replace_old(self) -> None:
        """Put the new run, whose first checkpoint is there, into the place of the old one."""
        assert self._journal is not None
        size = self.metrics_size
        self._journal.close()
        try:
            put_in_place(self.path)
        except OSError as error:
            raise RunError(f"cannot replace the run in {str(self.path)!r}: {error.strerror or error}") from None
        self._write_to(self.path)
        self.cut_metrics(size)

    def _write_to(self, files: Path) -> None:
        self._files = files
        self.checkpoints = Checkpoints(files / CHECKPOINTS)

    def _write_weights(self, checkpoint: Checkpoint) -> None:
        about = {"model": checkpoint.model, "number": checkpoint.number, "data": checkpoint.progress.get("data")}
        self._write(WEIGHTS, tensor_bytes(checkpoint.groups["parameters"], about))

    def mend_weights(self, newest: Checkpoint) -> None:
        """Restore the best weights if a run was killed after it wrote others; raises `RunError`."""
        number = newest.number if newest.best is None else newest.best
        if self._about_weights().get("number") != number and number in self.checkpoints.numbers():
            best = newest if number == newest.number else self.checkpoints.read(number)
            if "parameters" in best.groups:
                self._write_weights(best)

    def data(self) -> Any:
        """Return the digest of the data that the run was made with; raises `RunError`.

        The best weights tell it as well as the checkpoints: a training writes its first weights before its first
        checkpoint, and someone may look between them.
        """
        about = self._about_weights()
        return about["data"] if "data" in about else self.checkpoints.readable().progress.get("data")

    def _about_weights(self) -> dict[str, Any]:
        with contextlib.suppress(RunError):
            return read_tensors(self.path / WEIGHTS, prefix="none of them")[1]
        return {}

    def load(self) -> Checkpoint:
        """Return the newest checkpoint; raises `RunError`."""
        return self.checkpoints.of_newest(self.checkpoints.read)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line to the metrics."""
        assert self._journal is not None
        try:
            self._journal.add(json.dumps(record))
        except OSError as error:
            raise _not_written(self._files / METRICS, error) from None

    @property
    def metrics_size(self) -> int:
        """Flush the metrics to the disk and return their size in bytes."""
        assert self._journal is not None
        try:
            return self._journal.sync()
        except OSError as error:
            raise _not_written(self._files / METRICS, error) from None

    def cut_metrics(self, size: int) -> None:
        """Remove the lines that were written after a checkpoint that recorded `size` bytes, and continue from there."""
        try:
            self._journal = Journal.open(self._files / METRICS, size)
        except OSError as error:
            raise RunError(f"cannot go on with {str(self._files / METRICS)!r}: {error.strerror or error}") from None

    def _take(self) -> None:
        self._lock = Lock.take(self.path / LOCK, f"run folder {str(self.path)!r}")
        settle(self.path)

    def _write(self, name: str, data: bytes) -> None:
        try:
            write_whole(self._files / name, data)
        except OSError as error:
            raise _not_written(self._files / name, error) from None


def _not_written(path: Path, error: OSError) -> RunError:
    return RunError(f"cannot write {str(path)!r}: {error.strerror or error}")
