"""Files that survive a crash: each is complete or absent, however the program ends, and never outside its folder.

A file is written under a temporary name, flushed to the disk and renamed. Then its folder is flushed, so that the name
is on the disk too. Only a plain file is opened: a link could lead out of the folder, and a pipe would block.
"""

import errno
import hashlib
import os
import stat
import sys
from io import FileIO
from pathlib import Path

BESIDE = ".new"
"""The ending of a file that is being written."""

_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def is_same_file(one: str | Path, other: str | Path) -> bool:
    """Tell whether two names are those of one file that is there: the same path, or a link or hard link to it."""
    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):  # one of them is not there
        return False


def open_plain(path: Path, flags: int, mode: int = 0o666) -> int:
    """Open a plain file.

    Parameters
    ----------
    path
        The file.
    flags, mode
        As for `os.open`.

    Returns
    -------
    int
        A file descriptor.

    Raises
    ------
    OSError
        If the path is a link, a folder, a pipe or a device, or if it is opened for writing and has other names (hard
        links), which may be anywhere.
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
    """Return the contents of a plain file; raises `OSError`."""
    with open(open_plain(path, os.O_RDONLY), "rb") as file:
        return file.read()


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file; raises `OSError` or `ValueError`."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_replaceable(path: Path) -> None:
    """Raise `OSError` if there is a folder, a pipe or a device in the place of a file, or a link to one."""
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file, and is not replaced")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all; a link of its name is replaced, not followed.

    Parameters
    ----------
    path
        The file.
    data
        All that it is to hold.

    Raises
    ------
    OSError
        If it cannot be written, or the path is a folder, a pipe or a device; what was there remains.
    """
    check_replaceable(path)
    beside = path.with_name(path.name + BESIDE)
    try:
        beside.unlink(missing_ok=True)  # of a process that was killed; or a link, which must not be written through
        with open(open_plain(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:  # an interrupt too
        remove(beside)
        raise
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file or link if it exists; a folder of that name is not removed."""
    if path.is_symlink() or path.is_file():
        path.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Create a folder and its parents, also on the disk; raises `OSError` if a file or a link has its name."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link; put the folder itself there")
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk, if the system can do this."""
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
    """A file to which lines are added.

    A line that a crash or a full disk left incomplete is removed when the file is opened again.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file

    @classmethod
    def open(cls, path: Path, size: int) -> "Journal":
        """Keep the first bytes of a file and continue after them; a missing one starts empty, with a line on stderr.

        Parameters
        ----------
        path
            The file.
        size
            The number of bytes to keep.

        Raises
        ------
        OSError
            If the file cannot be opened, or is shorter than `size`.
        """
        if not os.path.lexists(path):
            print(f"rnnframe: {str(path)!r} is missing; its metrics start again from here", file=sys.stderr)
            write_whole(path, b"")
            size = 0
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
        """Flush the lines to the disk and return the size of the file in bytes; raises `OSError`."""
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()
