"""Which folders compiled code is read from: its files hold pickles and machine code, and reading them runs them.

So a folder must be the user's own, and nobody else may be able to write to it, to what is in it, or to rename it.
"""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path


def users_cache() -> Path:
    """Return the folder for the caches of this user."""
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else home / ".cache"  # a relative one is to be ignored, says XDG


def make_private(folder: Path) -> None:
    """Make a folder that is the user's alone, and its parents; raises `OSError`."""
    for each in (*reversed(folder.parents), folder):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


def reason_against(folder: Path) -> str:
    """Return in words why code must not be read from a folder; nothing where it may.

    Windows keeps the folders of a user from others by itself, and has no modes to look at.
    """
    if not hasattr(os, "getuid"):
        return ""
    found = (reason for reason in _reasons(folder) if reason)
    return next(found, "")


def _reasons(folder: Path) -> Iterator[str]:
    real = Path(os.path.realpath(folder))
    for parent in real.parents:
        yield _reason(parent, os.stat(parent), parent=True)
    yield _reason(real, os.stat(real))
    for place, folders, files in os.walk(real):
        for name in (*folders, *files):
            path = Path(place, name)
            try:
                yield _reason(path, os.lstat(path))
            except FileNotFoundError:  # another process has put its final name to a file
                continue


def _reason(path: Path, about: os.stat_result, *, parent: bool = False) -> str:
    """Say what is wrong with a path. Groups are looked at where they are not the user's own."""
    mode, own = about.st_mode, about.st_uid in (os.getuid(), 0)
    if stat.S_ISLNK(mode):
        return f"{str(path)!r} is a link"
    if not own or (about.st_uid == 0 and os.getuid() and not parent):
        return f"{str(path)!r} belongs to user {about.st_uid}"
    if parent and mode & stat.S_ISVTX:
        return ""  # as in /tmp: nobody renames what is another's
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and about.st_gid not in (os.getgid(), 0)):
        return f"others can write to {str(path)!r} (mode {stat.S_IMODE(mode):04o})"
    return ""
