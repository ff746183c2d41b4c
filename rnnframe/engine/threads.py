"""Threads are shards: the batch is split into parts, and each runs the same loop on buffers of its own.

At an `Update` of the schedule all shards wait for each other; the calling thread makes the update, then all go on.

An interrupt (Ctrl-C) is raised in the main thread between any two instructions. So nothing here uses `threading.Event`,
`Barrier` or `Condition`: an interrupt inside one of them leaves its lock locked for ever. What has happened stands in
plain fields, a `SimpleQueue` only wakes who waits for it, and to end the threads of a run can be tried again.
"""

import contextvars
import os
import threading
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import TypeAlias

from rnnframe.engine.blas import one_thread
from rnnframe.errors import UsageError

LEAST_ROWS = 4
"""Samples below which a shard is not worth a thread."""
LEAST_PRODUCTS = 1 << 18
"""Multiplications with recurrent weights in one step of a shard, below which threads wait for the interpreter's lock
longer than they work: measured for the cells of numpy on two cores."""

Work: TypeAlias = Callable[[int, Callable[[], None], Callable[[], None]], None]
Together: TypeAlias = Callable[[Sequence[Callable[[], None]]], None]
"""Calls each function in a thread of its own, returns when all have ended, and raises the first error."""


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
        self._team: _Team | None = None
        self._process = os.getpid()

    def run(self, work: Work, count: int, on_barrier: Callable[[], None]) -> None:
        """Call `work(n, barrier, check)` for each shard n; at `barrier()` all wait, and `on_barrier` is called here.

        `check()` is to be called now and then: it raises where the shard must end. An error in one shard, or an
        interrupt here, ends the others at their next barrier or check and is raised here.
        """
        self.settle()
        if count == 1:
            work(0, on_barrier, lambda: None)
            return
        self._team = team = _Team(self._started(count - 1), on_barrier)
        try:
            with one_thread():
                team.begin(work)
                work(0, team.lead, team.check)
                team.wait()
        except StoppedError:  # another shard has failed: its error is raised below
            pass
        finally:
            self.settle()
        errors = team.errors()
        if errors:
            raise errors.pop(0)  # nothing here holds it, so that the buffers of the run are freed with it

    def settle(self) -> None:
        """Wait until no thread is at work any more, also where an interrupt has ended an earlier attempt."""
        if self._process != os.getpid():  # a child process begins with no threads
            self._workers, self._team, self._process = [], None, os.getpid()
        if self._team is not None:
            self._team.end()
            self._team = None

    def _started(self, count: int) -> list["_Worker"]:
        """Return so many threads."""
        while len(self._workers) < count:
            self._workers.append(_Worker())
        return self._workers[:count]


class GivenThreads:
    """The same in threads of the caller's, for runs that make no update on the way."""

    def __init__(self, together: Together) -> None:
        self._together = together

    def run(self, work: Work, count: int, on_barrier: Callable[[], None]) -> None:
        """Call `work(n, barrier, check)` for each shard n, as `ShardThreads.run` does."""
        if count == 1:
            work(0, on_barrier, lambda: None)
            return
        stopped = False

        def check() -> None:
            if stopped:
                raise StoppedError

        def follow(n: int) -> None:
            nonlocal stopped
            try:
                work(n, _no_barrier, check)
            except StoppedError:  # another shard has failed: its error is raised
                pass
            except BaseException:
                stopped = True
                raise

        with one_thread():
            self._together([partial(follow, n) for n in range(count)])


def _no_barrier() -> None:
    raise UsageError("a store that updates on the way needs threads of the engine's")


class _Team:
    """The shards of one run: the calling thread, which leads, and workers 1, 2, ...

    `_ended` and `_arrived` say what the workers have done; every entry of `_news` only asks to look at them again.
    """

    def __init__(self, workers: list["_Worker"], on_barrier: Callable[[], None]) -> None:
        self._workers = dict(enumerate(workers, start=1))
        self._on_barrier = on_barrier
        self._stopped = False
        self._meetings = 0
        self._arrived = dict.fromkeys(self._workers, 0)
        self._ended: dict[int, BaseException | None] = {}
        self._news: SimpleQueue[None] = SimpleQueue()

    def begin(self, work: Work) -> None:
        """Give every worker its shard."""
        for n, worker in self._workers.items():
            worker.put(partial(contextvars.copy_context().run, self._follow, n, work))

    def check(self) -> None:
        """Raise `StoppedError` where the shards must end."""
        if self._stopped:
            raise StoppedError

    def lead(self) -> None:
        """Wait for all workers, do what is to be done between them, and let them go on."""
        self._meetings += 1
        while min(self._arrived.values()) < self._meetings:
            self.check()
            self._news.get()
        self.check()
        self._on_barrier()
        for worker in self._workers.values():
            worker.put(_go_on)

    def wait(self) -> None:
        """Wait until all workers have ended, or one has failed."""
        while len(self._ended) < len(self._workers) and not self._stopped:
            self._news.get()

    def end(self) -> None:
        """Ask all workers to end, and wait until they have. An attempt that was interrupted can be repeated."""
        if len(self._ended) < len(self._workers):
            self._stopped = True
            for n, worker in self._workers.items():
                worker.put(partial(self._end, n, None))
            while len(self._ended) < len(self._workers):
                self._news.get()

    def errors(self) -> list[BaseException]:
        """Return what the workers failed with, and hold it no longer; those that were asked to end come last."""
        ended, self._ended = self._ended, dict.fromkeys(self._workers)
        failed = [error for error in ended.values() if error is not None]
        return sorted(failed, key=lambda error: isinstance(error, StoppedError))

    def _follow(self, n: int, work: Work) -> None:
        """Work on shard n, in the thread of a worker."""
        try:
            work(n, partial(self._meet, n), self.check)
        except BaseException as error:
            self._stopped = True
            self._end(n, error)
        else:
            self._end(n, None)

    def _meet(self, n: int) -> None:
        self._arrived[n] += 1
        self._news.put(None)
        if not self._workers[n].may_go_on():
            raise StoppedError

    def _end(self, n: int, error: BaseException | None) -> None:
        self._ended.setdefault(n, error)
        self._news.put(None)


class _Worker:
    """A thread and the queue from which it takes its work, one piece after the other."""

    def __init__(self) -> None:
        self._pieces: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self.put = self._pieces.put
        # A daemon: a thread that waits must not keep the interpreter from ending.
        thread = threading.Thread(target=_serve, args=(self._pieces,), name="rnnframe-shard", daemon=True)
        weakref.finalize(self, self._pieces.put, None)
        thread.start()

    def may_go_on(self) -> bool:
        """Wait for the next word to this worker, in its thread: to go on, or to end."""
        word = self._pieces.get()
        if word is None:
            self.put(None)  # for the loop of the thread
        return word is _go_on


def _go_on() -> None:
    """What a worker that waits for the others finds in its queue when they are there."""


def _serve(pieces: SimpleQueue[Callable[[], object] | None]) -> None:
    """Work until there is no more; what was worked on is not held while waiting."""
    while (piece := pieces.get()) is not None:
        piece()
        del piece
