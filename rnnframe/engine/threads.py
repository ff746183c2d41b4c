"""Threads are shards: the batch is split into parts, and each runs the same loop on buffers of its own.

At an `Update` of the schedule all shards wait for each other; one of them makes the update, then all go on.
"""

import contextvars
import os
import threading
import weakref
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeAlias

from rnnframe.engine.blas import one_thread

LEAST_ROWS = 4
"""Samples below which a shard is not worth a thread."""
LEAST_PRODUCTS = 1 << 18
"""Multiplications with recurrent weights in one step of a shard, below which threads wait for the interpreter's lock
longer than they work: measured for the cells of numpy on two cores."""

Work: TypeAlias = Callable[[int, Callable[[], None], Callable[[], None]], None]


def usual_shards(batch: int, recurrent_work: int) -> int:
    """Return the usual number of shards for a network with so many recurrent weights.

    As many as cores that this process may use, as long as each has at least 4 samples and enough to do in a step.
    """
    return max(1, min(usable_cores(), batch // LEAST_ROWS, batch * recurrent_work // LEAST_PRODUCTS))


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system tells
        return os.cpu_count() or 1


class StoppedError(Exception):
    """A shard was asked to end, since another one failed or the run was interrupted."""


class ShardThreads:
    """Threads that work on shards beside the calling one; between runs they wait, and end with this object."""

    def __init__(self) -> None:
        self._workers: list[_Worker] = []
        self._process = os.getpid()

    def run(self, work: Work, count: int, on_barrier: Callable[[], None]) -> None:
        """Call `work(n, barrier, check)` for each shard n; at `barrier()` all wait, and one calls `on_barrier`.

        `check()` is to be called now and then: it raises where the shard must end. An error in one shard, or an
        interrupt here, ends the others at their next barrier or check and is raised here.
        """
        if count == 1:
            work(0, on_barrier, lambda: None)
            return
        barrier, stopped = threading.Barrier(count, action=on_barrier), threading.Event()
        ended: SimpleQueue[BaseException | None] = SimpleQueue()

        def wait() -> None:
            barrier.wait()

        def check() -> None:
            if stopped.is_set():
                raise StoppedError

        def stop() -> None:
            stopped.set()
            barrier.abort()

        def guarded(n: int) -> None:
            try:
                work(n, wait, check)
            except BaseException as error:
                stop()
                ended.put(error)
            else:
                ended.put(None)

        try:
            with one_thread():
                for n, worker in enumerate(self._started(count - 1), start=1):
                    worker.put(partial(contextvars.copy_context().run, guarded, n))
                guarded(0)
                errors = [ended.get() for _ in range(count)]
        except BaseException:  # an interrupt: no thread may be left at work on buffers that are used again
            stop()
            self._end()
            raise
        followers = (threading.BrokenBarrierError, StoppedError)
        for error in sorted(filter(None, errors), key=lambda error: isinstance(error, followers)):
            raise error

    def _started(self, count: int) -> list["_Worker"]:
        """Return so many threads; a child process begins with none."""
        if self._process != os.getpid():
            self._workers, self._process = [], os.getpid()
        while len(self._workers) < count:
            self._workers.append(_Worker())
        return self._workers[:count]

    def _end(self) -> None:
        """Wait until every thread has ended its work, and go on without them."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.close()


class _Worker:
    """A thread and the queue from which it takes its work, one piece after the other."""

    def __init__(self) -> None:
        self._pieces: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self.put = self._pieces.put
        # A daemon: a thread that waits must not keep the interpreter from ending.
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
