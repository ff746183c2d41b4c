"""Threads are shards: the batch is split into parts, and each runs the same loop on buffers of its own.

At an `Update` of the schedule all shards wait for each other; the calling thread makes the update, then all go on.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from rnnframe.engine.blas import one_thread
from rnnframe.engine.team import Signals, StoppedError, Team, Work, Worker
from rnnframe.errors import UsageError

LEAST_ROWS = 4
"""Samples below which a shard is not worth a thread."""
LEAST_PRODUCTS = 1 << 18
"""Multiplications with recurrent weights in one step of a shard, below which threads wait for the interpreter's lock
longer than they work: measured for the cells of numpy on two cores."""

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


class ShardThreads:
    """Threads that work on shards beside the calling one; between runs they wait, and end with this object."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._team: Team | None = None
        self._process = os.getpid()

    def run(
        self, work: Work, count: int, on_barrier: Callable[[], None], prepare: Callable[[], None] | None = None
    ) -> None:
        """Call `work(n, signals)` for each shard n; at a barrier all wait, and `on_barrier` is called here.

        An error in one shard, or an interrupt here, ends the others at their next signal and is raised here. What all
        need is made by `prepare`, which is called here while the others wake up and come as far as `ready`.
        """
        self.settle()
        if count == 1:
            if prepare is not None:
                prepare()
            work(0, Signals(on_barrier))
            return
        self._team = team = Team(self._started(count - 1), on_barrier)
        try:
            with one_thread():
                team.begin(work, waiting=prepare is not None)
                if prepare is not None:
                    prepare()
                    team.go_on()
                work(0, Signals(team.lead, team.check))
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

    def _started(self, count: int) -> list["Worker"]:
        """Return so many threads."""
        while len(self._workers) < count:
            self._workers.append(Worker())
        return self._workers[:count]


class GivenThreads:
    """The same in threads of the caller's, for runs that make no update on the way."""

    def __init__(self, together: Together) -> None:
        self._together = together

    def run(
        self, work: Work, count: int, on_barrier: Callable[[], None], prepare: Callable[[], None] | None = None
    ) -> None:
        """Call `work(n, signals)` for each shard n, as `ShardThreads.run` does, but after `prepare`."""
        if prepare is not None:
            prepare()
        if count == 1:
            work(0, Signals(on_barrier))
            return
        stopped = False

        def check() -> None:
            if stopped:
                raise StoppedError

        def follow(n: int) -> None:
            nonlocal stopped
            try:
                work(n, Signals(_no_barrier, check))
            except StoppedError:  # another shard has failed: its error is raised
                pass
            except BaseException:
                stopped = True
                raise

        with one_thread():
            self._together([partial(follow, n) for n in range(count)])


def _no_barrier() -> None:
    raise UsageError("a store that updates on the way needs threads of the engine's")
