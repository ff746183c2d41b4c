"""The first lines of a text, which may be compressed."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from typing import IO

from rnnframe.plugin import DataError

COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
"""The ends of the names of compressed files that pandas reads with what Python brings."""

HEAD = 1 << 16
"""Bytes that are looked at."""


def first_text(path: str) -> str:
    """Return the first whole lines of a file as text, up to 64 KiB; raises `DataError`."""
    try:
        with _opened(path) as file:
            raw = file.read(HEAD)
    except (EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, gzip.BadGzipFile) as error:
        raise DataError(f"data file {path!r} is damaged: {error}") from None
    if len(raw) == HEAD and b"\n" in raw:
        raw = raw[: raw.rindex(b"\n") + 1]
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if len(raw) == HEAD and error.start >= HEAD - 3:  # a character that was cut in two
            return raw[: error.start].decode("utf-8-sig")
        raise DataError(
            f"data file {path!r} is no UTF-8 text: byte 0x{raw[error.start]:02x} at offset {error.start}; convert it"
        ) from None


def _opened(path: str) -> IO[bytes]:
    name = path.lower()
    if name.endswith(".gz"):
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if name.endswith(".bz2"):
        return bz2.open(path, "rb")
    if name.endswith(".xz"):
        return lzma.open(path, "rb")
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            if len(members) != 1:
                raise DataError(f"data file {path!r} holds {len(members)} files; give one with a single file in it")
            with archive.open(members[0]) as member:
                return io.BytesIO(member.read(HEAD))
    return open(path, "rb")
