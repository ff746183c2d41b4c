"""Shards in the threads of torch's own pool.

After each operation the threads of OpenMP look for more work for some milliseconds before they sleep, and keep a core
busy meanwhile. A thread of ours would share a core with one of them; a thread of theirs is there at once.
"""

import contextvars
import ctypes
import functools
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

_Function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_HOME = os.getpid()  # where torch has its threads: a child may be the first to call `together`, and has none of them


@attrs.frozen
class _Pool:
    """The functions of the OpenMP library that torch computes with."""

    parallel: Any
    thread_number: Any
    threads: Any


@functools.cache
def _pool() -> _Pool | None:
    """Return torch's OpenMP; None where it has none that GNU's interface starts, as on macOS and Windows."""
    path = str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")
    try:
        library, held = ctypes.CDLL(path), ctypes.PyDLL(path)  # torch has loaded it: these look up what it is bound to
        pool = _Pool(library.GOMP_parallel, held.omp_get_thread_num, held.omp_get_num_threads)
    except (OSError, AttributeError):
        return None
    pool.parallel.argtypes = [_Function, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    pool.parallel.restype = None
    return pool


def together(pieces: Sequence[Callable[[], None]]) -> None:
    """Call each function in a thread of torch's, return when all have ended, and raise the first error.

    Threads of Python's do it where torch has no OpenMP, and in a child process, which has lost the threads of the pool.
    """
    pool = _pool()
    errors: list[BaseException] = []
    ended: list[None] = []

    def call(piece: Callable[[], None]) -> None:
        try:
            piece()
        except BaseException as error:
            errors.append(error)
        else:
            ended.append(None)

    calls = [functools.partial(contextvars.copy_context().run, call, piece) for piece in pieces]
    if pool is None or os.getpid() != _HOME:
        _in_threads(calls)
    else:
        _in_pool(pool, calls)
    if errors:
        raise errors[0]
    if len(ended) < len(pieces):  # an interrupt outside `call`
        raise KeyboardInterrupt


def _in_pool(pool: _Pool, calls: Sequence[Callable[[], None]]) -> None:
    """Call each function in a thread of the pool; raises what comes outside of them, of which ctypes would only print.

    An interrupt is raised in the thread that calls, number 0, wherever it is in its share. The last statement there
    calls nothing, so that no interrupt comes behind it.
    """
    came: list[BaseException] = []
    whole = [False]

    def share(_: Any) -> None:
        try:
            first, step = pool.thread_number(), pool.threads()
            for call in calls[first::step]:
                call()
        except BaseException as error:
            came.append(error)
        else:
            if not first:
                whole[0] = True

    pool.parallel(_Function(share), None, max(len(calls), torch.get_num_threads()), 0)
    if came:
        raise came[0]
    if not whole[0]:
        raise KeyboardInterrupt


def _in_threads(calls: Sequence[Callable[[], None]]) -> None:
    """Call each function in a thread of its own; an interrupt is raised when all have ended, as they share buffers.

    A join that was interrupted takes its thread for ended, so the threads say it themselves.
    """
    ended: list[None] = []
    came: list[BaseException] = []

    def work(call: Callable[[], None]) -> None:
        try:
            call()
        finally:
            ended.append(None)

    threads = [threading.Thread(target=work, args=(call,), name="rnnframe-shard") for call in calls[1:]]
    for wait in (*(thread.start for thread in threads), calls[0], *(thread.join for thread in threads)):
        try:
            wait()
        except BaseException as error:
            came.append(error)
    while len(ended) < sum(thread.ident is not None for thread in threads):
        try:
            time.sleep(0.001)
        except KeyboardInterrupt as error:
            came.append(error)
    if came:
        raise came[0]
