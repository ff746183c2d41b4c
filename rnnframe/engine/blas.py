"""How many threads BLAS uses: one while shards run, whose threads are the parallelism.

Two kinds of threads on the same cores wait for each other: with OpenBLAS at two threads a busy core makes products up
to twenty times slower. numpy's wheels bring their own OpenBLAS; where another BLAS is used, its threads stay as they
are (set OMP_NUM_THREADS or the like before starting).
"""

import ctypes
import functools
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_lock = threading.Lock()
_users: "weakref.WeakSet[_User]" = weakref.WeakSet()
_before: int | None = None  # what was set before the first user came; None: BLAS is as it was set


class _User:
    """Who needs BLAS at one thread; one that an interrupt has cut off on its way out is gone with its frame."""


NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_")
"""What numpy's wheels call the functions of their OpenBLAS."""


def _functions(*names: str) -> tuple[Any, ...] | None:
    """Return functions of numpy's OpenBLAS."""
    package = Path(np.__file__).parent
    for file in (*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")):
        try:
            library = ctypes.CDLL(str(file))  # numpy has loaded it: this is a handle to the same one
        except OSError:
            continue
        for pattern in NAMES:
            found = tuple(getattr(library, pattern.format(name), None) for name in names)
            if None not in found:
                return found
    return None


@functools.cache
def _controls() -> tuple[Any, Any] | None:
    """Return the functions of numpy's OpenBLAS that get and set its number of threads."""
    found = _functions("get_num_threads", "set_num_threads")
    return None if found is None else (found[0], found[1])


@functools.cache
def kernel() -> str:
    """Return which BLAS computes products, and for which processor: last bits depend on it; "" where it is unknown."""
    found = _functions("get_config", "get_corename")
    if found is None:
        return ""
    for function in found:
        function.restype = ctypes.c_char_p
    config, core = (function().decode(errors="replace") for function in found)
    return " ".join([*config.split()[:2], core])


def threads() -> int | None:
    """Return how many threads BLAS uses now; None where it does not say."""
    controls = _controls()
    return None if controls is None else int(controls[0]())


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS at one thread; what was set before comes back when the last user leaves."""
    global _before
    controls = _controls()
    if controls is None:
        yield
        return
    get, put = controls
    user = _User()
    with _lock:
        if _before is None:
            _before = get()
        put(1)
        _users.add(user)
    try:
        yield
    finally:
        with _lock:
            _users.discard(user)
            if not _users and _before is not None:
                put(_before)
                _before = None
