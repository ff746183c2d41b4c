"""Where the bytes of a text are read from: a file, a piece at a time, or memory."""

import os
import stat
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Protocol

from rnnframe.plugin import DataError
from rnnframe_tasks.files import refuse_device

BLOCK = 1 << 18  # bytes that are gone through at once


class ByteSource(Protocol):
    """Bytes that can be read anywhere, as often as wanted, by any thread. `name` tells people which."""

    name: str
    size: int

    def read(self, offset: int, size: int) -> bytes:
        """Return `size` bytes; raises `DataError` where they cannot be had."""
        ...


class HeldBytes:
    """Bytes in memory."""

    def __init__(self, raw: bytes, name: str) -> None:
        self.name = name
        self.size = len(raw)
        self._raw = raw

    def read(self, offset: int, size: int) -> bytes:
        """Return a part."""
        return self._raw[offset : offset + size]


class FileBytes:
    """The bytes of a plain file, which must not change meanwhile. It is closed with the last reference."""

    def __init__(self, path: str) -> None:
        self.name = path
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # closed by the finalizer
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._stamp = self._look()
        self.size = self._stamp[0]

    def _look(self) -> tuple[int, int]:
        about = os.fstat(self._file.fileno())
        return about.st_size, about.st_mtime_ns

    def read(self, offset: int, size: int) -> bytes:
        """Return a part; raises `DataError` where the file has changed or cannot be read."""
        try:
            with self._lock:
                self._file.seek(offset)
                raw = self._file.read(size)
                if len(raw) == size and self._look() == self._stamp:
                    return raw
        except OSError as error:
            raise unreadable(self.name, error) from None
        raise DataError(f"data file {self.name!r} has changed while it was read; start again, on a file that stays")


def open_bytes(path: str) -> ByteSource:
    """Return the bytes of a plain file as they are asked for; of a pipe or standard input (-) all at once.

    Raises `DataError`.
    """
    try:
        if path == "-":
            return HeldBytes(sys.stdin.buffer.read(), "standard input")
        refuse_device(path)
        if stat.S_ISREG(os.stat(path).st_mode):
            return FileBytes(path)
        with open(path, "rb") as file:
            return HeldBytes(file.read(), path)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise unreadable(path, error) from None


def unreadable(path: str, error: OSError | ValueError) -> DataError:
    """Return the error for a file that the system does not read."""
    return DataError(f"cannot read data file {path!r}: {getattr(error, 'strerror', None) or error}")


def blocks(source: ByteSource, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield all bytes from `offset` on in pieces, each with where it begins."""
    for start in range(offset, source.size, BLOCK):
        yield start, source.read(start, min(BLOCK, source.size - start))
