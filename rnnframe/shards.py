"""Threads are shards: the batch is split into parts, and each runs the same loop on buffers of its own.

The parts meet where the schedule has an `Update`: all wait, one of them acts for all, all go on.
"""

import contextvars
import os
import threading
import weakref
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeAlias

from rnnframe.blas import one_thread

LEAST_ROWS = 4
"""Samples below which a shard is not worth a thread."""
LEAST_PRODUCTS = 1 << 18
"""Multiplications with recurrent weights in one step of a shard, below which threads wait for the interpreter's lock
longer than they work: measured for the cells of numpy on two cores."""

Work: TypeAlias = Callable[[int, Callable[[], None], Callable[[], None]], None]


def usual_shards(batch: int, recurrent: int) -> int:
    """Return the usual number of shards for a network with so many recurrent weights.

    As many as cores that this process may use, as long as each has at least 4 samples and enough to do in a step.
    """
    return max(1, min(usable_cores(), batch // LEAST_ROWS, batch * recurrent // LEAST_PRODUCTS))


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system tells
        return os.cpu_count() or 1


class StoppedError(Exception):
    """A shard was asked to end, since another one failed or the run was interrupted."""


class Crew:
    """Threads that work on shards beside the calling one; between runs they wait, and end with their crew."""

    def __init__(self) -> None:
        self._desks: list[_Desk] = []
        self._process = os.getpid()

    def run(self, work: Work, count: int, act: Callable[[], None]) -> None:
        """Call `work(n, meet, check)` for each shard n; `meet()` waits for all, and one of them calls `act` for all.

        `check()` is to be called now and then: it raises where the shard shall end. An error in one shard, or an
        interrupt here, ends the others at their next meeting or check and is raised here.
        """
        if count == 1:
            work(0, act, lambda: None)
            return
        barrier, stopped = threading.Barrier(count, action=act), threading.Event()
        ended: SimpleQueue[BaseException | None] = SimpleQueue()

        def meet() -> None:
            barrier.wait()

        def check() -> None:
            if stopped.is_set():
                raise StoppedError

        def stop() -> None:
            stopped.set()
            barrier.abort()

        def guarded(n: int) -> None:
            try:
                work(n, meet, check)
            except BaseException as error:
                stop()
                ended.put(error)
            else:
                ended.put(None)

        try:
            with one_thread():
                for n, desk in enumerate(self._staffed(count - 1), start=1):
                    desk.put(partial(contextvars.copy_context().run, guarded, n))
                guarded(0)
                errors = [ended.get() for _ in range(count)]
        except BaseException:  # an interrupt: no thread may be left at work on buffers that are used again
            stop()
            self._dismiss()
            raise
        followers = (threading.BrokenBarrierError, StoppedError)
        for error in sorted(filter(None, errors), key=lambda error: isinstance(error, followers)):
            raise error

    def _staffed(self, count: int) -> list["_Desk"]:
        """Return so many desks with a thread at each; a child process begins with none."""
        if self._process != os.getpid():
            self._desks, self._process = [], os.getpid()
        while len(self._desks) < count:
            self._desks.append(_Desk())
        return self._desks[:count]

    def _dismiss(self) -> None:
        """Wait until every thread has ended its work, and go on without them."""
        desks, self._desks = self._desks, []
        for desk in desks:
            desk.close()


class _Desk:
    """A thread and the queue from which it takes its work, one piece after the other."""

    def __init__(self) -> None:
        self._pieces: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self.put = self._pieces.put
        # A daemon, since a thread that waits shall not keep the interpreter from ending.
        self._thread = threading.Thread(target=_serve, args=(self._pieces,), name="rnnframe-shard", daemon=True)
        self._thread.start()
        weakref.finalize(self, self._pieces.put, None)

    def close(self) -> None:
        """End the thread after the work at hand."""
        self._pieces.put(None)
        self._thread.join()


def _serve(pieces: SimpleQueue[Callable[[], object] | None]) -> None:
    """Work until there is no more; what was worked on is not held while waiting."""
    while (piece := pieces.get()) is not None:
        piece()
        del piece
