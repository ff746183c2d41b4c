"""Watches a piece of work: does it touch a file outside of a folder, load a pickle, run a program, open a socket?

Python itself reports what is done (PEP 578), before it is done and whatever path led there.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
CHANGES = {  # event -> how many of its first arguments are paths
    "os.chmod": 1,
    "os.chown": 1,
    "os.link": 2,
    "os.mkdir": 1,
    "os.remove": 1,
    "os.rename": 2,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.truncate": 1,
    "os.utime": 1,
}
NEVER = ("pickle.find_class", "marshal.loads", "os.exec", "os.posix_spawn", "os.system", "socket.connect")
NEVER += ("subprocess.Popen",)
OWN = ("<frozen importlib", f"{os.sep}numba{os.sep}")  # modules, and machine code that was compiled before
_watching: list[tuple[Path, list[str]]] = []
_hooked: list[bool] = []


@contextmanager
def guarded(folder: Path) -> Iterator[list[str]]:
    """Collect what is done that must not be: writing outside `folder`, and what no data ever may bring about."""
    if not _hooked:
        sys.addaudithook(_see)
        _hooked.append(True)
    found: list[str] = []
    _watching.append((folder.resolve(), found))
    try:
        yield found
    finally:
        _watching.pop()


def _see(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching:
        return
    folder, found = _watching[-1]
    if event in NEVER:
        if not _called_by(*OWN):
            found.append(f"{event} {arguments[:2]}")
    elif event == "open":
        if _called_by(*OWN[1:]):
            return
        path, mode, flags = arguments
        if flags & WRITING or (isinstance(mode, str) and set(mode) & set("wax+")):
            _check(event, path, folder, found, follow=not flags & os.O_NOFOLLOW)
    elif event in CHANGES:
        for path in arguments[: CHANGES[event]]:
            _check(event, path, folder, found, follow=event in ("os.chmod", "os.truncate"))


def _called_by(*files: str) -> bool:
    """Tell whether code of one of these files is at work."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if any(file in frame.f_code.co_filename for file in files):
            return True
        frame = frame.f_back
    return False


def _check(event: str, path: Any, folder: Path, found: list[str], *, follow: bool) -> None:
    if isinstance(path, int) or path == os.devnull or "__pycache__" in Path(os.fsdecode(path)).parts:
        return
    name = Path(os.fsdecode(path)).absolute()
    real = Path(os.path.realpath(name)) if follow else Path(os.path.realpath(name.parent)) / name.name
    if folder != real and folder not in real.parents:
        found.append(f"{event} {real}")
