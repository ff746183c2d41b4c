"""Reading data files: what is wrong with one is told on one line, and nothing in it is ever run."""

import errno
import hashlib
import io
import os
import stat
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from rnnframe.plugin import Array, DataError


def read_bytes(path: str) -> bytes:
    """Return what a file holds; raises `DataError`."""
    try:
        refuse_device(path)
        raw = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"cannot read data file {path!r}: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name
        raise DataError(f"cannot read data file {path!r}: {error}") from None
    if not raw:
        raise DataError(f"data file {path!r} is empty")
    return raw


def refuse_device(path: str) -> None:
    """Raise `OSError` for a device such as /dev/zero, and where there is nothing."""
    mode = os.stat(path).st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "it is a device, which may have no end; give a file, or - for standard input")


def read_lines(path: str) -> list[str]:
    """Return the lines of a UTF-8 text file; raises `DataError`."""
    raw = read_bytes(path)
    try:
        return raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(
            f"data file {path!r} is no UTF-8 text: byte 0x{raw[error.start]:02x} at offset {error.start}; convert it"
        ) from None


def read_npz(path: str) -> dict[str, Array]:
    """Return the arrays of a NPZ file by name; raises `DataError`, also for arrays of Python objects."""
    raw = read_bytes(path)
    try:
        file = np.load(io.BytesIO(raw), allow_pickle=False)
        if not isinstance(file, np.lib.npyio.NpzFile):
            raise DataError(f"data file {path!r} holds a single array; write it with numpy.savez(file, x=...)")
        return {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"data file {path!r} is damaged or no NPZ of plain arrays: {error}") from None


def digest(arrays: Iterable[Array | str]) -> str:
    """Return what tells arrays and texts apart (SHA-256 over names, types, shapes and values)."""
    total = hashlib.sha256()
    for array in arrays:
        if isinstance(array, str):
            total.update(array.encode("utf-8", "surrogatepass") + b"\0")
        else:
            total.update(f"{array.dtype} {array.shape}\0".encode())
            total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def is_number(text: str) -> bool:
    """Whether a text of a data file is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def quoted(text: str) -> str:
    """Return a text as an option of a task takes it: in double quotes where a mark in it would part it."""
    return f'"{text}"' if any(mark in text for mark in ',;"') else text
