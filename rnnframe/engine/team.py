"""The shards of one run as they work side by side, and the signals by which they hear from each other.

An interrupt (Ctrl-C) is raised in the main thread between any two instructions. So nothing here uses `threading.Event`,
`Barrier` or `Condition`: an interrupt inside one of them leaves its lock locked for ever. What has happened stands in
plain fields, a `SimpleQueue` only wakes who waits for it, and to end the threads of a run can be tried again.
"""

import contextvars
import threading
import weakref
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TypeAlias

import attrs


def _nothing() -> None:
    """Wait for nothing."""


@attrs.frozen
class Signals:
    """What a shard calls while it works, to hear from the others.

    Parameters
    ----------
    barrier : function ()
        Waits until all shards have called it, and something was done between them.
    check : function ()
        Is to be called now and then; it raises where the shard must end.
    ready : function ()
        Waits, the first time, until what all shards need is made.
    """

    barrier: Callable[[], None]
    check: Callable[[], None] = _nothing
    ready: Callable[[], None] = _nothing


Work: TypeAlias = Callable[[int, Signals], None]
"""What a shard does, by its number."""


class StoppedError(Exception):
    """A shard was asked to end, since another one failed or the run was interrupted."""


class Team:
    """The shards of one run: the calling thread, which leads, and workers 1, 2, ...

    `_ended` and `_arrived` say what the workers have done; every entry of `_news` only asks to look at them again.
    """

    def __init__(self, workers: list["Worker"], on_barrier: Callable[[], None]) -> None:
        self._workers = dict(enumerate(workers, start=1))
        self._on_barrier = on_barrier
        self._stopped = False
        self._meetings = 0
        self._arrived = dict.fromkeys(self._workers, 0)
        self._ended: dict[int, BaseException | None] = {}
        self._news: SimpleQueue[None] = SimpleQueue()

    def begin(self, work: Work, *, waiting: bool) -> None:
        """Give every worker its shard; `waiting` tells whether its `ready` waits for `go_on`."""
        for n, worker in self._workers.items():
            worker.put(partial(contextvars.copy_context().run, self._follow, n, work, waiting))

    def go_on(self) -> None:
        """Let all workers go on that wait, or as soon as they do."""
        for worker in self._workers.values():
            worker.put(_go_on)

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
        self.go_on()

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

    def _follow(self, n: int, work: Work, waiting: bool) -> None:
        """Work on shard n, in the thread of a worker."""

        def ready() -> None:
            nonlocal waiting
            if waiting:
                waiting = False
                self._wait(n)

        def barrier() -> None:
            ready()  # the word that it waits for is not the one of this meeting
            self._meet(n)

        try:
            work(n, Signals(barrier, self.check, ready))
        except BaseException as error:
            self._stopped = True
            self._end(n, error)
        else:
            self._end(n, None)

    def _meet(self, n: int) -> None:
        self._arrived[n] += 1
        self._news.put(None)
        self._wait(n)

    def _wait(self, n: int) -> None:
        if not self._workers[n].may_go_on():
            raise StoppedError

    def _end(self, n: int, error: BaseException | None) -> None:
        self._ended.setdefault(n, error)
        self._news.put(None)


class Worker:
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
