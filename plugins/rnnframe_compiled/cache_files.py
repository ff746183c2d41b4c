"""numba's files of compiled code: one for each signature of a function, with a checksum.

numba itself unpickles whatever stands in its files, and fails where that is cut off. It also keeps an index of each
function, which processes that compile at once write over each other: an entry is lost, or names a file that holds the
code of another signature. Here the name of a file is made of what is looked for, and the file says it again. A damaged
one is compiled again, a full disk is no error.
"""

import functools
import hashlib
import pickle
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from numba.core.caching import IndexDataCacheFile

_DIGEST = hashlib.sha256
_SIZE = _DIGEST().digest_size


class DamagedError(Exception):
    """A file is not what was written."""


class CheckedFiles(IndexDataCacheFile):  # type: ignore[misc]  # numba has no types
    """The code of one function: a file for each key, which is a signature, a processor and what the function is."""

    def load(self, key: Any) -> Any:
        """Return the code, None where it is to be compiled."""
        try:
            *about, data = self._read(self._path_of(key))
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever unpickling may raise
            tell(self._cache_path, f"{type(error).__name__}: {error}", "compiling it again")
            return None
        return data if about == [self._version, self._source_stamp, key] else None

    def save(self, key: Any, data: Any) -> None:
        """Keep the code where that can be done."""
        try:
            self._write(self._path_of(key), (self._version, self._source_stamp, key, data))
        except OSError as error:
            tell(self._cache_path, error.strerror or str(error), "it is not kept, and compiled again next time")
        except Exception as error:
            tell(self._cache_path, f"{type(error).__name__}: {error}", "it is not kept")

    def flush(self) -> None:
        """Leave all files: they are written over as they are made again."""

    def _path_of(self, key: Any) -> str:
        name = self._index_name.removesuffix(".nbi")
        path: str = self._data_path(f"{name}.{_DIGEST(repr(key).encode()).hexdigest()[:16]}.nbc")
        return path

    def _read(self, path: str) -> Any:
        with open(path, "rb") as file:
            content = file.read()
        data, digest = content[:-_SIZE], content[-_SIZE:]
        if not data or _DIGEST(data).digest() != digest:
            raise DamagedError(f"{path!r} is damaged")
        return pickle.loads(data)

    def _write(self, path: str, value: Any) -> None:
        data = self._dump(value)
        with self._open_for_write(path) as file:
            file.write(data + _DIGEST(data).digest())


@functools.cache
def tell(folder: str, reason: str, fate: str) -> None:
    """Say once on stderr what is wrong with kept code, and what is done about it."""
    print(f"rnnframe: compiled code in {folder!r} cannot be used ({reason}); {fate}", file=sys.stderr)


def guard(modules: Iterable[ModuleType]) -> None:
    """Have the files of all compiled functions in these modules checked."""
    for module in modules:
        for value in list(vars(module).values()):
            guard_files(value)


def guard_files(function: Any) -> None:
    """Have the files of a compiled function checked; anything else is left as it is."""
    files = getattr(getattr(getattr(function, "dispatcher", function), "_cache", None), "_cache_file", None)
    if type(files) is IndexDataCacheFile:
        files.__class__ = CheckedFiles
