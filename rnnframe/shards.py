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


def run_together(work: Callable[[int, Callable[[], None]], None], count: int, act: Callable[[], None]) -> None:
    """Call `work(n, meet)` for each shard n; `meet()` waits for the others, and one of them calls `act` for all.

    An error in one shard ends the others at their next meeting and is raised here.
    """
    if count == 1:
        work(0, act)
        return
    from concurrent.futures import ThreadPoolExecutor  # a slow import, not needed by `import rnnframe`

    barrier = threading.Barrier(count, action=act)

    def meet() -> None:
        barrier.wait()

    def guarded(n: int) -> None:
        try:
            work(n, meet)
        except BaseException:
            barrier.abort()
            raise

    with one_thread(), ThreadPoolExecutor(count, thread_name_prefix="rnnframe-shard") as pool:
        errors = [future.exception() for future in [pool.submit(guarded, n) for n in range(count)]]
    causes = [error for error in errors if error is not None]
    for error in sorted(causes, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
        raise error
