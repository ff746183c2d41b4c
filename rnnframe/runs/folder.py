"""A run folder: the configuration, the metrics, the weights, and checkpoints to resume from.

    config.toml              the options that reproduce the run
    metrics.jsonl            one JSON object per line, for every batch and every epoch
    weights.safetensors      the best weights so far, with the description of network and task in its metadata
    checkpoints/             00000120.safetensors: parameters, slots, carried state and progress after 120 batches
    run.lock                 locked by the process that trains

Every file is complete at any time, also on the disk (`rnnframe.storage.durable`). A checkpoint is one file: the newest
one describes one moment, and records the size of the metrics at that moment. The weights are a copy for use elsewhere.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rnnframe.errors import RunError
from rnnframe.runs.checkpoints import Checkpoint, Checkpoints
from rnnframe.storage.durable import BESIDE, Journal, check_plain, make_folder, remove, write_whole
from rnnframe.storage.locks import Lock, is_lock, says_in_use
from rnnframe.storage.tensors import read_tensors, tensor_bytes
from rnnframe.storage.toml import read_toml, to_comments, to_toml

CONFIG, METRICS, WEIGHTS = "config.toml", "metrics.jsonl", "weights.safetensors"
CHECKPOINTS, LOCK = "checkpoints", "run.lock"


class RunFolder:
    """A run folder: `open` it to look; make a `fresh` one or `resume` one to train, one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = Checkpoints(path / CHECKPOINTS)
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

        The run that was there before is removed where `force` was given.
        """
        try:
            make_folder(self.path)
            self._take()
            if not self._force and (self.path / CONFIG).exists():
                raise _already(self.path)
            self.checkpoints.clear()  # first, so that none is ever found beside the configuration of another run
            for name in (WEIGHTS, METRICS):
                remove(self.path / name)
            self.write_config(config, remarks)
            write_whole(self.path / METRICS, b"")
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
            raise RunError(f"there is not a run folder {str(run.path)!r}; make one with `rnnframe train --out`")
        if not (run.path / CONFIG).exists():
            raise RunError(f"{str(run.path)!r} is not a run folder: it has no {CONFIG}")
        return run

    @classmethod
    def resume(cls, path: str | Path) -> Self:
        """Lock an existing run folder to continue it; raises `RunError`, also if another process trains there."""
        run = cls.open(path)
        try:
            run._take()
        except OSError as error:
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
        if self._journal is not None:
            self._journal.close()
        if self._lock is not None:
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
            where = str(self.checkpoints.path(checkpoint.number))
            raise RunError(f"cannot write {where!r}: {error.strerror or error}") from None

    def _write_weights(self, checkpoint: Checkpoint) -> None:
        about = {"model": checkpoint.model, "number": checkpoint.number, "data": checkpoint.progress.get("data")}
        self._write(WEIGHTS, tensor_bytes(checkpoint.groups["parameters"], about))

    def mend_weights(self, newest: Checkpoint) -> None:
        """Restore the best weights if a run was killed after it wrote others; raises `RunError`."""
        number = newest.number if newest.best is None else newest.best
        try:
            _, about = read_tensors(self.path / WEIGHTS, prefix="none of them")
        except RunError:
            about = {}
        if about.get("number") != number and number in self.checkpoints.numbers():
            best = newest if number == newest.number else self.checkpoints.read(number)
            if "parameters" in best.groups:
                self._write_weights(best)

    def data(self) -> Any:
        """Return the digest of the data that the run was made with; raises `RunError`.

        The best weights tell it as well as the checkpoints: a training writes its first weights before its first
        checkpoint, and someone may look between them.
        """
        try:
            _, about = read_tensors(self.path / WEIGHTS, prefix="none of them")
        except RunError:
            about = {}
        return about["data"] if "data" in about else self.checkpoints.readable().progress.get("data")

    def load(self) -> Checkpoint:
        """Return the newest checkpoint; raises `RunError`."""
        return self.checkpoints.of_newest(self.checkpoints.read)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line to the metrics."""
        assert self._journal is not None
        try:
            self._journal.add(json.dumps(record))
        except OSError as error:
            raise RunError(f"cannot write {str(self.path / METRICS)!r}: {error.strerror or error}") from None

    @property
    def metrics_size(self) -> int:
        """Flush the metrics to the disk and return their size in bytes."""
        assert self._journal is not None
        try:
            return self._journal.sync()
        except OSError as error:
            raise RunError(f"cannot write {str(self.path / METRICS)!r}: {error.strerror or error}") from None

    def cut_metrics(self, size: int) -> None:
        """Remove the lines that were written after a checkpoint that recorded `size` bytes, and continue from there."""
        try:
            self._journal = Journal.open(self.path / METRICS, size)
        except OSError as error:
            raise RunError(f"cannot continue {str(self.path / METRICS)!r}: {error.strerror or error}") from None

    def _take(self) -> None:
        self._lock = Lock.take(self.path / LOCK, f"run folder {str(self.path)!r}")
        self.checkpoints.sweep()
        for name in (CONFIG, METRICS, WEIGHTS):
            remove(self.path / (name + BESIDE))

    def _write(self, name: str, data: bytes) -> None:
        try:
            write_whole(self.path / name, data)
        except OSError as error:
            raise RunError(f"cannot write {str(self.path / name)!r}: {error.strerror or error}") from None


def check_free(folder: Path, *, force: bool) -> None:
    """Raise `RunError` unless a run can be written into `folder`."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{str(folder)!r} is a file; give another folder to --out")
    if is_lock(folder / LOCK) or _begun(folder):
        if not force:
            raise _already(folder)
    elif any(folder.iterdir()):
        raise RunError(f"{str(folder)!r} is not empty and holds no run; give another folder to --out")


def _begun(folder: Path) -> bool:
    """Return whether a folder contains only the remains of a process that was killed while it locked the folder."""
    lock = folder / LOCK
    return [path.name for path in folder.iterdir()] == [LOCK] and lock.is_file() and not lock.stat().st_size


def _already(folder: Path) -> RunError:
    return RunError(f"{str(folder)!r} already holds a run; resume it with --resume, or replace it with --force")
