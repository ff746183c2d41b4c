"""A second process that compiles some of the code while this one compiles the rest, into the same folder.

numba compiles one function at a time in a process, whatever its threads. The helper is given tasks (a twin, or what
twins share) from the end of a list whose beginning this process compiles. It is there for speed alone: what it has not
compiled when this process is done with the rest, for whatever reason, this process compiles. It ends with what it was
started for, and with the process that started it, however that ends.
"""

import json
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rnnframe.plugin import lock_now
from rnnframe_compiled.place import Place

_LOCK = "helper.lock"
"""The file that is locked while a process has a helper: of several that begin together, as ranks do, one has one."""
_PATIENCE = 2.0
"""Seconds that a helper is waited for at least, when all else is done."""
_PROGRAM = (
    "import json, sys; folder, sys.path[:] = json.loads(sys.argv[1]); "
    "from rnnframe_compiled.second_process_main import serve; serve(folder)"
)


def has_free_core() -> bool:
    """Tell whether there is a core beside that of this process, on a machine that is not all at work."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return cores > 1 and load < cores


class Helper:
    """A process that compiles the last of some tasks, one after the other, while it is a context.

    Parameters
    ----------
    folder : Path
        Where code is kept: one that lasts, and that is trusted.
    tasks : deque
        What is to be compiled, of which it takes the last as long as there are some.
    """

    def __init__(self, folder: Path, tasks: "deque[Any]") -> None:
        paths = [path for path in sys.path if isinstance(path, str)]
        words = [sys.executable, *_flags(), "-c", _PROGRAM, json.dumps([str(folder), paths])]
        self._begun, self._tasks = time.perf_counter(), tasks
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._feeder = threading.Thread(target=self._feed, daemon=True)

    def __enter__(self) -> Self:
        self._feeder.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Wait for the task that it is at, but not for long; then end it."""
        try:
            if kind is None:
                self._feeder.join(max(_PATIENCE, time.perf_counter() - self._begun))
        finally:
            self._tasks.clear()
            self._process.kill()
            self._process.wait()
            self._feeder.join()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(OSError):
                    assert pipe is not None
                    pipe.close()

    def _feed(self) -> None:
        """Hand it tasks, each when it has done the one before."""
        given, replies = self._process.stdin, self._process.stdout
        assert given is not None
        assert replies is not None
        with suppress(OSError, IndexError):  # it has ended; there is nothing more to do
            while True:
                task = pickle.dumps(self._tasks.pop())
                given.write(struct.pack("<Q", len(task)) + task)
                given.flush()
                if not replies.readline():
                    return


def _is_python(program: str) -> bool:
    """Tell whether a program is Python's own, and no other one that it is part of."""
    return Path(program or "").name.lower().startswith("python") and not getattr(sys, "frozen", False)


def _flags() -> list[str]:
    """Return the options of Python that keep a process from importing what this one would not."""
    flags = sys.flags
    chosen = {"-E": flags.ignore_environment, "-s": flags.no_user_site, "-S": flags.no_site}
    return ["-I"] if flags.isolated else ["-P", *(flag for flag, is_set in chosen.items() if is_set)]


@contextmanager
def helped(found: Place | None, tasks: "deque[Any]") -> Iterator[None]:
    """Have a helper do the last of these tasks meanwhile, where there can be one and no other process has one.

    It needs a core that is free for it, and a folder whose code this process will load.
    """
    if len(tasks) < 2 or found is None or not found.lasts or not has_free_core() or not _is_python(sys.executable):
        yield
        return
    with _alone(found.folder / _LOCK) as alone:
        helper = None
        if alone:
            with suppress(OSError):  # no process can be started
                helper = Helper(found.folder, tasks)
        if helper is None:
            yield
            return
        with helper:
            yield


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Lock a file, and tell whether no other process has it locked; the system unlocks it when this process ends."""
    with ExitStack() as stack:
        alone = False
        with suppress(OSError):  # the folder cannot be written to, or knows no locks
            alone = lock_now(stack.enter_context(path.open("ab")).fileno())
        yield alone
