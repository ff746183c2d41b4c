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


@functools.cache
def _controls() -> tuple[Any, Any] | None:
    """Return the functions of numpy's OpenBLAS that get and set its number of threads."""
    package = Path(np.__file__).parent
    for file in (*package.parent.glob("numpy.libs/*openblas*"), *package.glob(".dylibs/*openblas*")):
        try:
            library = ctypes.CDLL(str(file))  # numpy has loaded it: this is a handle to the same one
        except OSError:
            continue
        for name in ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads64_"):
            get, put = (getattr(library, name.format(verb), None) for verb in ("get", "set"))
            if get is not None and put is not None:
                return get, put
    return None


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
