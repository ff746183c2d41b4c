"""Threads are shards: the batch is split into parts, and each runs the same loop on buffers of its own.

The parts meet where the schedule has an `Update`: all wait, one of them acts for all, all go on.
"""

import itertools
import threading
from collections.abc import Callable

from rnnframe.blas import one_thread


def split_batch(batch: int, shards: int) -> list[slice]:
    """Split `batch` columns into at most `shards` parts whose sizes differ by one at most."""
    count = min(batch, shards)
    bounds = [batch * n // count for n in range(count + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]


class StoppedError(Exception):
    """A shard was asked to end, since another one failed or the run was interrupted."""


def run_together(
    work: Callable[[int, Callable[[], None], Callable[[], None]], None], count: int, act: Callable[[], None]
) -> None:
    """Call `work(n, meet, check)` for each shard n; `meet()` waits for the others, and one of them calls `act` for all.

    `check()` is to be called now and then: it raises where the shard shall end. An error in one shard, or an interrupt
    here, ends the others at their next meeting or check and is raised here.
    """
    if count == 1:
        work(0, act, lambda: None)
        return
    from concurrent.futures import ThreadPoolExecutor  # a slow import, not needed by `import rnnframe`

    barrier = threading.Barrier(count, action=act)

    stopped = threading.Event()

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
        except BaseException:
            stop()
            raise

    with one_thread(), ThreadPoolExecutor(count, thread_name_prefix="rnnframe-shard") as pool:
        futures = [pool.submit(guarded, n) for n in range(count)]
        try:
            errors = [future.exception() for future in futures]
        except BaseException:
            stop()
            raise
    followers = (threading.BrokenBarrierError, StoppedError)
    for error in sorted(filter(None, errors), key=lambda error: isinstance(error, followers)):
        raise error
