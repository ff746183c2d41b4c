"""numba's files of compiled code, with a checksum: a damaged one is compiled again, a full disk is no error.

numba itself unpickles whatever stands in its files, and fails where that is cut off.
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


class CheckedFiles(IndexDataCacheFile):  # type: ignore[misc]
    """The index and the code of one function."""

    def load(self, key: Any) -> Any:
        """Return the code, None where it is to be compiled."""
        try:
            return super().load(key)
        except Exception as error:  # whatever unpickling may raise
            tell(self._cache_path, f"{type(error).__name__}: {error}", "compiling it again")
            return None

    def save(self, key: Any, data: Any) -> None:
        """Keep the code where that can be done."""
        try:
            super().save(key, data)
        except OSError as error:
            tell(self._cache_path, error.strerror or str(error), "it is not kept, and compiled again next time")
        except Exception:  # a damaged index, which was told above
            try:
                self.flush()
                super().save(key, data)
            except Exception as error:
                tell(self._cache_path, f"{type(error).__name__}: {error}", "it is not kept")

    def _load_index(self) -> Any:
        try:
            version, stamp, overloads = self._read(self._index_path)
        except FileNotFoundError:
            return {}
        return overloads if (version, stamp) == (self._version, self._source_stamp) else {}

    def _save_index(self, overloads: Any) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def _load_data(self, name: str) -> Any:
        return self._read(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._write(self._data_path(name), data)

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
        for value in vars(module).values():
            guard_files(value)


def guard_files(function: Any) -> None:
    """Have the files of a compiled function checked; anything else is left as it is."""
    files = getattr(getattr(function, "_cache", None), "_cache_file", None)
    if type(files) is IndexDataCacheFile:
        files.__class__ = CheckedFiles
