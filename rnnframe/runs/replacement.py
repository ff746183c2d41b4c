"""A run that takes the place of another one in its folder: the old run stays whole until the new one has begun.

    replacement.new/         the new run: its options, metrics, weights and first checkpoint, while they are written
    replacement/             the same, complete; from here on the new run counts

One rename decides. A process that is killed before it leaves the old run, untouched; one that is killed after it leaves
a replacement, whose files are then moved to their places by whoever opens the folder next. Every step can be repeated.
"""

import contextlib
import os
import sys
from pathlib import Path

from rnnframe.errors import RunError
from rnnframe.runs.checkpoints import Checkpoints
from rnnframe.runs.layout import CHECKPOINTS, CONFIG, LOCK, METRICS, WEIGHTS
from rnnframe.storage.durable import BESIDE, make_folder, remove, sync_folder
from rnnframe.storage.locks import Lock

REPLACEMENT = "replacement"
"""The folder with a run that replaces the one around it."""
FILES = (WEIGHTS, METRICS, CONFIG)


def stage(folder: Path) -> Path:
    """Return a new folder, within a run folder that this process has locked, for the run to come.

    Raises `OSError`, also where something in the run folder could not be replaced later.
    """
    for name in FILES:
        if (folder / name).is_dir():
            raise IsADirectoryError(0, f"{str(folder / name)!r} is a folder; remove it")
    make_folder(folder / CHECKPOINTS)
    staged = folder / (REPLACEMENT + BESIDE)
    make_folder(staged)
    return staged


def put_in_place(folder: Path) -> None:
    """Let the staged run replace the old one; raises `OSError`."""
    os.rename(folder / (REPLACEMENT + BESIDE), folder / REPLACEMENT)
    sync_folder(folder)
    _move(folder)


def settle(folder: Path) -> bool | None:
    """Finish or remove what a process that was killed has left in a folder that this process has locked.

    Returns
    -------
    bool or None
        Whether the new run has replaced the old one; None if there was nothing to settle.

    Raises
    ------
    OSError
        If a file cannot be moved or removed.
    """
    staged = folder / (REPLACEMENT + BESIDE)
    found = None
    if os.path.lexists(folder / REPLACEMENT):
        _move(folder)
        found = True
    if os.path.lexists(staged):
        _remove(staged)
        found = bool(found)
    Checkpoints(folder / CHECKPOINTS).sweep()
    for name in FILES:
        remove(folder / (name + BESIDE))
    return found


def settle_and_say(folder: Path) -> None:
    """Settle what was left in a folder that nobody trains in, and say on stderr which run is there now.

    Raises `RunError` where a new run is there and cannot be put into its place.
    """
    if not any(os.path.lexists(folder / name) for name in (REPLACEMENT, REPLACEMENT + BESIDE)):
        return
    complete = os.path.lexists(folder / REPLACEMENT)
    try:
        lock = Lock.take(folder / LOCK, f"run folder {str(folder)!r}")
        try:
            settled = settle(folder)
        finally:
            lock.release()
    except (RunError, OSError) as error:
        if not complete:  # the old run can be read as it is
            return
        why = getattr(error, "strerror", None) or error
        raise RunError(f"{str(folder)!r} holds a new run that is not in its place yet: {why}") from None
    if settled is not None:
        which = "the new run was complete and has replaced it" if settled else "it stays, and can be resumed"
        print(f"rnnframe: the run in {str(folder)!r} was being replaced (--force); {which}", file=sys.stderr)


def _move(folder: Path) -> None:
    """Move a complete replacement to its place, the options last: what is still to be moved is not there yet."""
    begun, old = folder / REPLACEMENT, Checkpoints(folder / CHECKPOINTS)
    _check_own(begun)
    new = Checkpoints(begun / CHECKPOINTS)
    for number in new.numbers():  # one: while it is here, those in its place are the old run's
        old.clear()
        make_folder(old.folder)
        os.replace(new.path(number), old.path(number))
        sync_folder(old.folder)
    for name in FILES:
        with contextlib.suppress(FileNotFoundError):  # moved before
            os.replace(begun / name, folder / name)
    sync_folder(folder)
    _remove(begun)


def _remove(staged: Path) -> None:
    """Remove the files of a run, and their folders."""
    _check_own(staged)
    checkpoints = Checkpoints(staged / CHECKPOINTS)
    checkpoints.clear()
    for name in FILES:
        remove(staged / name)
        remove(staged / (name + BESIDE))
    with contextlib.suppress(FileNotFoundError):
        checkpoints.folder.rmdir()
    staged.rmdir()
    sync_folder(staged.parent)


def _check_own(staged: Path) -> None:
    """Raise `OSError` where a folder is a link, which would lead out of the run folder."""
    for path in (staged, staged / CHECKPOINTS):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise NotADirectoryError(0, f"{str(path)!r} is no folder of a run; remove it")
