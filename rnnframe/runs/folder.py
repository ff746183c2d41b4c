"""A run folder: the configuration, the metrics, the weights, and checkpoints to go on from.

    config.toml              the options that reproduce the run
    metrics.jsonl            one JSON object a line, for every batch and every epoch
    weights.safetensors      the best weights so far, with what the network and its task are made of in its metadata
    checkpoints/             00000120.safetensors: parameters, slots, carried state and progress after 120 batches
    run.lock                 locked by the process that trains

Every file is there whole at any time, also on the disk (`rnnframe.durable`). A checkpoint is one file: whichever is the
newest tells of one moment, and says how much of the metrics was written by then. The weights are a copy for use
elsewhere, written after it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rnnframe.errors import RunError
from rnnframe.runs.checkpoints import Checkpoint, Checkpoints
from rnnframe.storage.durable import BESIDE, Journal, check_plain, make_folder, remove, write_whole
from rnnframe.storage.locks import Lock, is_lock
from rnnframe.storage.tensors import read_tensors, tensor_bytes
from rnnframe.storage.toml import read_toml, to_toml

CONFIG, METRICS, WEIGHTS, CHECKPOINTS, LOCK = (
    "config.toml",
    "metrics.jsonl",
    "weights.safetensors",
    "checkpoints",
    "run.lock",
)


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

    def begin(self, config: Mapping[str, Any]) -> None:
        """Make and lock the folder, and write the options of the run; raises `RunError`.

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
            self.write_config(config)
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
        """Return an existing run folder to look at; raises `RunError`."""
        run = cls(Path(path))
        if not run.path.is_dir():
            raise RunError(f"there is no run folder {str(run.path)!r}; make one with `rnnframe train --out`")
        if not (run.path / CONFIG).exists():
            raise RunError(f"{str(run.path)!r} is no run folder: it has no {CONFIG}")
        return run

    @classmethod
    def resume(cls, path: str | Path) -> Self:
        """Lock an existing run folder to go on with it; raises `RunError`, also where another process trains there."""
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

    def close(self) -> None:
        """Let other processes train here."""
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

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write the options of the run."""
        self._write(CONFIG, to_toml(config).encode())

    def save(self, checkpoint: Checkpoint, keep: int) -> None:
        """Write a checkpoint, of which the last `keep` and the best stay, and the weights if none were better.

        The weights come first: where the checkpoint is not written any more, the run comes by here again. Raises
        `RunError`; then all that was there before is there still.
        """
        if checkpoint.best in (None, checkpoint.number):
            self._write_weights(checkpoint)
        try:
            self.checkpoints.write(checkpoint, keep)
        except OSError as error:
            where = str(self.checkpoints.path(checkpoint.number))
            raise RunError(f"cannot write {where!r}: {error.strerror or error}") from None

    def _write_weights(self, checkpoint: Checkpoint) -> None:
        about = {"model": checkpoint.model, "number": checkpoint.number}
        self._write(WEIGHTS, tensor_bytes(checkpoint.groups["parameters"], about))

    def mend_weights(self, newest: Checkpoint) -> None:
        """Put the best weights back where a run was killed after writing others; raises `RunError`."""
        number = newest.number if newest.best is None else newest.best
        try:
            _, about = read_tensors(self.path / WEIGHTS, prefix="none of them")
        except RunError:
            about = {}
        if about.get("number") != number and number in self.checkpoints.numbers():
            best = newest if number == newest.number else self.checkpoints.read(number)
            if "parameters" in best.groups:
                self._write_weights(best)

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

    def metrics_size(self) -> int:
        """Return the bytes of the metrics so far, which are on the disk from now on."""
        assert self._journal is not None
        try:
            return self._journal.sync()
        except OSError as error:
            raise RunError(f"cannot write {str(self.path / METRICS)!r}: {error.strerror or error}") from None

    def cut_metrics(self, size: int) -> None:
        """Drop the lines that were written after a checkpoint which knew `size` bytes, and go on from there."""
        try:
            self._journal = Journal.open(self.path / METRICS, size)
        except OSError as error:
            raise RunError(f"cannot go on with {str(self.path / METRICS)!r}: {error.strerror or error}") from None

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
    """Raise `RunError` unless a run may be written into `folder`."""
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
    """Tell whether all there is in a folder is what a process left that was killed while it locked it."""
    lock = folder / LOCK
    return [path.name for path in folder.iterdir()] == [LOCK] and lock.is_file() and not lock.stat().st_size


def _already(folder: Path) -> RunError:
    return RunError(f"{str(folder)!r} already holds a run; resume it with --resume, or replace it with --force")
