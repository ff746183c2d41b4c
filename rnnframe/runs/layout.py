"""The names of the files in a run folder, and whether a run may be written into a folder."""

from pathlib import Path

from rnnframe.errors import RunError
from rnnframe.storage.locks import is_lock

CONFIG, METRICS, WEIGHTS = "config.toml", "metrics.jsonl", "weights.safetensors"
CHECKPOINTS, LOCK = "checkpoints", "run.lock"


def check_free(folder: Path, *, force: bool) -> None:
    """Raise `RunError` unless a run can be written into `folder`."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunError(f"{str(folder)!r} is a file; give another folder to --out")
    if is_lock(folder / LOCK) or _begun(folder):
        if not force:
            raise already_a_run(folder)
    elif any(folder.iterdir()):
        raise RunError(f"{str(folder)!r} is not empty and holds no run; give another folder to --out")


def _begun(folder: Path) -> bool:
    """Return whether a folder contains only the remains of a process that was killed while it locked the folder."""
    lock = folder / LOCK
    return [path.name for path in folder.iterdir()] == [LOCK] and lock.is_file() and not lock.stat().st_size


def already_a_run(folder: Path) -> RunError:
    """Return the error of a folder in which a run would be replaced without `force`."""
    return RunError(f"{str(folder)!r} already holds a run; resume it with --resume, or replace it with --force")
