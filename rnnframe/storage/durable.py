"""Files that survive: whole or not there, whatever ends the program in between, and never anywhere else.

A file is written beside its place, flushed to the disk and renamed, and then its folder is flushed, so that the name is
on the disk too. What is opened must be a file of its own: a link would lead out of the folder, a pipe would wait.
"""

import errno
import os
import stat
from io import FileIO
from pathlib import Path

BESIDE = ".new"
"""The ending of a file that is being written."""

_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def open_plain(path: Path, flags: int, mode: int = 0o666) -> int:
    """Return a descriptor of a plain file; raises `OSError` where there is a link, a folder, a pipe or a device.

    Nor is a file opened for writing that has other names, which may lie anywhere (hard links).
    """
    try:
        descriptor = os.open(path, flags | _FLAGS, mode)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link; put the file itself there") from None
        raise
    about = os.fstat(descriptor)
    if stat.S_ISREG(about.st_mode) and (about.st_nlink == 1 or not flags & (os.O_WRONLY | os.O_RDWR)):
        return descriptor
    os.close(descriptor)
    if stat.S_ISREG(about.st_mode):
        raise OSError(errno.EMLINK, "it has other names (hard links), which would change too; put a copy there")
    raise OSError(errno.EINVAL, "it is no file")


def check_plain(path: Path) -> None:
    """Raise `OSError` unless `path` is a plain file that can be read."""
    os.close(open_plain(path, os.O_RDONLY))


def read_whole(path: Path) -> bytes:
    """Return what a plain file holds; raises `OSError`."""
    with open(open_plain(path, os.O_RDONLY), "rb") as file:
        return file.read()


def write_whole(path: Path, data: bytes) -> None:
    """Make `path` a file that holds `data`; raises `OSError`, and then what was there before is there still."""
    beside = path.with_name(path.name + BESIDE)
    try:
        beside.unlink(missing_ok=True)  # of a process that was killed; or a link, which must not be written through
        with open(open_plain(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        remove(beside)
        raise
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file (or a link itself) that may be there; a folder of that name is left alone."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, on the disk too; raises `OSError` where a file or a link is in its place."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link; put the folder itself there")
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk, where the system can."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have no such thing
            raise
    finally:
        os.close(descriptor)


class Journal:
    """A file that lines are added to; a line that is torn by a crash or a full disk is cut off by the next opening."""

    def __init__(self, file: FileIO) -> None:
        self._file = file

    @classmethod
    def open(cls, path: Path, size: int) -> "Journal":
        """Keep the first `size` bytes of a file and go on from there; raises `OSError`, also where it is shorter."""
        file = FileIO(open_plain(path, os.O_RDWR | os.O_APPEND), "ab")
        try:
            there = os.fstat(file.fileno()).st_size
            if there < size:
                raise OSError(errno.EINVAL, f"it has {there} bytes, at the last checkpoint {size}; put it back")
            file.truncate(size)
        except OSError:
            file.close()
            raise
        return cls(file)

    def add(self, line: str) -> None:
        """Write a line; raises `OSError`."""
        data = (line + "\n").encode()
        written = self._file.write(data)
        if written != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def sync(self) -> int:
        """Flush the lines to the disk and return how many bytes there are; raises `OSError`."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
