"""A lock on a file, for one process at a time; the system releases it when the process ends."""

import os
import re
import sys
from io import FileIO
from pathlib import Path

from rnnframe.errors import RunError
from rnnframe.storage.durable import open_plain

MARK = "rnnframe run"
"""How a lock file begins; what else it holds tells who has it."""


class Lock:
    """A lock that this process holds until `release`, or until the process ends."""

    def __init__(self, file: FileIO) -> None:
        self._file = file

    @classmethod
    def take(cls, path: Path, what: str) -> "Lock":
        """Lock a file, which is created if necessary.

        Parameters
        ----------
        path
            The lock file.
        what
            What is locked, for the message.

        Raises
        ------
        RunError
            If another process holds the lock; the message contains its process number.
        OSError
            If the file cannot be opened.
        """
        file = FileIO(open_plain(path, os.O_RDWR | os.O_CREAT), "r+")
        try:
            if not lock_now(file.fileno()):
                raise RunError(f"{what} is in use by {_holder(file)}; wait until it ends, or take another folder")
            _write(file, f"{MARK}, in use by process {os.getpid()}\n")
        except BaseException:
            file.close()
            raise
        return cls(file)

    def release(self) -> None:
        """Release the lock; the file stays, since another process may be waiting for this very file."""
        if not self._file.closed:
            try:
                _write(self._file, f"{MARK}\n")
            finally:
                self._file.close()


def is_lock(path: Path) -> bool:
    """Return whether a file is the lock of a run, held or not."""
    try:
        with open(open_plain(path, os.O_RDONLY), "rb") as file:
            return file.read(len(MARK)) == MARK.encode()
    except OSError:
        return False


def says_in_use(path: Path) -> bool:
    """Return whether a lock file says that a process holds it; a process that was killed has not taken that back."""
    try:
        with open(open_plain(path, os.O_RDONLY), "rb") as file:
            return b"in use" in file.read(200)
    except OSError:
        return False


def _write(file: FileIO, text: str) -> None:
    """Replace what a lock says; on a full disk, the mark by which it is known remains."""
    file.seek(0)
    file.write(text.encode())
    file.truncate()


def _holder(file: FileIO) -> str:
    found = re.search(rb"process \d+", file.read(200))
    return found[0].decode() if found else "another process"


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def lock_now(descriptor: int) -> bool:
        """Lock an open file, and return whether no other process had it locked."""
        os.lseek(descriptor, 1 << 30, os.SEEK_SET)  # far after the text, which other processes must be able to read
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def lock_now(descriptor: int) -> bool:
        """Lock an open file, and return whether no other process had it locked."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
