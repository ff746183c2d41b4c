"""A group of ranks that are threads of one process: what exchange means, in plain numpy."""

import threading
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, NoReturn, TypeVar

import numpy as np

from rnnframe.errors import GroupError
from rnnframe.plugin import Group

T = TypeVar("T")
SECONDS = 60


class EndedError(Exception):
    """The job was ended by another rank."""


class ThreadGroup(Group):
    """A rank that is a thread; arrays travel as copies in queues."""

    def __init__(self, rank: int, size: int, queues: dict[tuple[int, int], "SimpleQueue[Any]"]) -> None:
        super().__init__(rank, size)
        self.hosts = [f"node{n}" for n in range(size)]
        self.sent_bytes = 0
        self._queues = queues

    def exchange(self, sent: Sequence[Any], received: Sequence[Any]) -> None:
        assert len(sent) == len(received) == self.size
        for rank, array in enumerate(sent):
            if array is not None and rank != self.rank:
                self.sent_bytes += array.nbytes
                self._queues[self.rank, rank].put(array.copy())
        for rank, array in enumerate(received):
            if array is not None and rank != self.rank:
                try:
                    arrived = self._queues[rank, self.rank].get(timeout=SECONDS)
                except Empty:
                    raise GroupError(f"{self.where(rank)} does not answer") from None
                if arrived is None:
                    raise EndedError
                assert arrived.nbytes == array.nbytes
                array.view(np.uint8)[...] = arrived.view(np.uint8)

    def abort(self, code: int) -> NoReturn:
        for rank in range(self.size):
            self._queues[self.rank, rank].put(None)
        raise EndedError


def each_rank(size: int, work: Callable[[Group], T]) -> list[T]:
    """Return what `work` returns on each of `size` ranks; the first error of a rank ends them all and is raised."""
    queues = {(a, b): SimpleQueue() for a in range(size) for b in range(size)}
    groups = [ThreadGroup(rank, size, queues) for rank in range(size)]
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def run(group: ThreadGroup) -> None:
        try:
            results[group.rank] = work(group)
        except EndedError:
            pass
        except BaseException as error:
            errors.append(error)
            for other in range(size):
                queues[group.rank, other].put(None)

    threads = [threading.Thread(target=run, args=(group,)) for group in groups]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[rank] for rank in range(size)]
