"""Where compiled code is kept: in a folder for these sources, this numba and this processor.

numba notices by itself that the file has changed in which a function stands, but not the files of what it is made of.
Here anything that has changed begins a new folder. Where nothing can be kept there is one while the process lasts.
"""

import functools
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import llvmlite
import numba
from numba.core import config
from numba.misc.appdirs import AppDirs

from rnnframe_compiled import processor

_SOURCES = Path(__file__).parent
_PREFIX = "rnnframe-"
_PLAIN = (
    "__init__.py",
    "elman_twin.py",
    "gru_twins.py",
    "kinds.py",
    "lstm_twin.py",
    "place.py",
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
    """Return where code is kept: the first of these folders that can be written to; None where none can.

    NUMBA_CACHE_DIR, the __pycache__ beside the sources, the user's cache, a temporary folder.
    """
    name = f"{_PREFIX}{_digest(_texts())}-{_digest([processor.NAME, processor.FEATURES])}"
    beside = _SOURCES / "__pycache__"
    users = Path(AppDirs(appname="numba", appauthor=False).user_cache_dir)
    for base in (Path(config.CACHE_DIR), beside, users) if config.CACHE_DIR else (beside, users):
        if _can_be_written_to(base / name):
            if base == beside:
                _clear_away_older(base, name)
            return Place(base / name, lasts=True)
    try:
        return Place(Path(_temporary().name), lasts=False)
    except OSError:
        return None


@contextmanager
def kept() -> Iterator[None]:
    """Have numba keep the code of the functions that are defined meanwhile."""
    found = place()
    assert found is not None
    before, config.CACHE_DIR = config.CACHE_DIR, str(found.folder)
    try:
        yield
    finally:
        config.CACHE_DIR = before


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
        os.makedirs(folder, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


def _clear_away_older(base: Path, name: str) -> None:
    """Remove the code of earlier sources; that of other processors stays, since many machines may share the folder."""
    for other in base.glob(f"{_PREFIX}*"):
        if not other.name.startswith(name.rpartition("-")[0]):
            with suppress(OSError):
                shutil.rmtree(other)
