"""Where compiled code is kept: in a folder for these sources, this numba and this processor.

numba notices by itself that the file has changed in which a function stands, but not the files of what it is made of.
Here anything that has changed begins a new folder. Where nothing can be kept there is one while the process lasts.
Code is never kept where others could put theirs: see `trust`.
"""

import functools
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import llvmlite
import numba
from numba.core import config
from numba.core.compiler_lock import global_compiler_lock

from rnnframe_compiled import processor
from rnnframe_compiled.cache_files import guard
from rnnframe_compiled.trust import make_private, reason_against, users_cache

_SOURCES = Path(__file__).parent
_PREFIX = "rnnframe-"
_LONG_AGO = 30 * 24 * 3600.0  # seconds
_PLAIN = (
    "__init__.py",
    "elman_twin.py",
    "gru_twins.py",
    "joined.py",
    "kinds.py",
    "linear_twins.py",
    "lru_twin.py",
    "lstm_twin.py",
    "place.py",
    "rare.py",
    "second_process.py",
    "second_process_main.py",
    "trust.py",
    "twins.py",
)  # Python alone: a change of these leaves all code as it is


@attrs.frozen
class Place:
    """A folder for compiled code; `lasts` says whether the next process will find it."""

    folder: Path
    lasts: bool

    def note(self, what: str) -> Path:
        """Return the file whose being there tells that all the code of `what` is."""
        return self.folder / f"{what}.ready"


@functools.cache
def place() -> Place | None:
    """Return where code is kept; None where nothing can be written at all.

    That is in the folder that NUMBA_CACHE_DIR names, else in the user's cache. A folder that others own or can write to
    is refused with a line on stderr; there, and where nothing can be kept, it is a private temporary folder.
    """
    with global_compiler_lock:  # `kept` changes what numba's setting says, in whatever thread
        return _place()


@functools.cache
def _place() -> Place | None:
    name = f"{_PREFIX}{_digest(_texts())}-{_digest([processor.NAME, processor.FEATURES])}"
    base = Path(config.CACHE_DIR or users_cache() / "rnnframe")
    if _can_be_written_to(base / name):
        reason = reason_against(base / name)
        if not reason:
            _clear_away_older(base, name)
            return Place(base / name, lasts=True)
        print(
            f"rnnframe: compiled code in {str(base / name)!r} is not trusted: {reason}; compiling afresh in a "
            "temporary folder: remove it, or set NUMBA_CACHE_DIR to a folder that is yours alone",
            file=sys.stderr,
        )
    try:
        return Place(Path(_temporary().name), lasts=False)
    except OSError:
        return None


@contextmanager
def kept() -> Iterator[None]:
    """Have numba keep the code of the functions that are defined meanwhile; one thread at a time."""
    found = place()
    assert found is not None
    with global_compiler_lock:
        before, config.CACHE_DIR = config.CACHE_DIR, str(found.folder)
        try:
            yield
        finally:
            config.CACHE_DIR = before
        guard([module for name, module in list(sys.modules.items()) if name.startswith("rnnframe_compiled.")])


@functools.cache
def _temporary() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder that is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)


def _texts() -> list[str]:
    files = sorted(path for path in _SOURCES.glob("*.py") if path.name not in _PLAIN)
    sources = [path.read_text(encoding="utf-8") for path in files]
    return [numba.__version__, llvmlite.__version__, *sources]


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def _can_be_written_to(folder: Path) -> bool:
    try:
        make_private(folder)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _clear_away_older(base: Path, name: str) -> None:
    """Remove the code of other sources that was made long ago; other environments may use that of other versions."""
    for other in base.glob(f"{_PREFIX}*"):
        if not other.name.startswith(name.rpartition("-")[0]):
            with suppress(OSError):
                if time.time() - other.stat().st_mtime > _LONG_AGO and not other.is_symlink():
                    shutil.rmtree(other)
