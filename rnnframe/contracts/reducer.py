"""Reducers: training on several processes, each with some of the parts of every batch.

A `Reducer` holds a name and options, as every class that plugins provide. It opens a `Group`: the processes that train
together, its ranks. A plugin gives a group one operation, `exchange`, by which every rank sends arrays to the others
and receives theirs. All that a training needs is made of it here, so that a sum has the same bits over every transport:

- `sum`: each rank adds up one slice of the vector of all ranks, in a fixed tree of neighbours, and hands the sum out.
  A rank sends and receives as much as in a ring, in two steps, and needs room for one more vector.
- `gather`: every rank gets the values of all ranks, in their order.
- `tell`: every rank gets the value of rank 0.

All ranks call the same operations in the same order. A rank that cannot go on ends the job with `abort`, since the
others would wait for it for ever.
"""

import abc
import atexit
import os
import pickle
import socket
import sys
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, ClassVar, NoReturn

import attrs
import numpy as np

from rnnframe.arrays import Array, aligned_empty
from rnnframe.arrays.tree import add_in_tree_into

FIRST = 512
"""Bytes of the first message of a value, its length among them; what is longer is sent in a second one."""
LENGTH = 8
"""Bytes that give the length."""


class Group(abc.ABC):
    """The processes that train together, as one of them sees it.

    Parameters
    ----------
    rank
        The number of this process, from 0.
    size
        How many there are.

    Attributes
    ----------
    hosts
        The machine of each rank, as it calls itself.
    closed
        Whether this rank has left the group in good order.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.hosts: Sequence[str] = [socket.gethostname()] * size
        self.closed = False
        self._room: Array = np.empty(0, np.uint8)

    @abc.abstractmethod
    def exchange(self, sent: Sequence[Array | None], received: Sequence[Array | None]) -> None:
        """Send `sent[r]` to each other rank r, and fill `received[r]` with what that rank sends here.

        Parameters
        ----------
        sent, received
            One contiguous array for each rank, or None where nothing goes that way; what stands at this rank itself
            is left alone. What one rank sends another one receives, in the same number of bytes.

        Raises
        ------
        GroupError
            Where a rank has ended, or does not answer in time; the message names it.
        """

    @abc.abstractmethod
    def abort(self, code: int) -> NoReturn:
        """End all processes of the job at once, this one with exit code `code`, which is not 0."""

    def close(self) -> None:
        """Leave the group in good order. Each rank calls it when its work is done."""
        self.closed = True

    def where(self, rank: int) -> str:
        """Return how a rank is called in messages: "rank 2 on node7"."""
        return f"rank {rank} on {self.hosts[rank]}"

    def meet(self) -> None:
        """Tell each other the names of the machines."""
        self.hosts = self.gather(self.hosts[self.rank])

    def sum(self, values: Array, ranks: int | None = None) -> None:
        """Replace a vector by the sum of those of all ranks, which is the same to the last bit on each of them.

        Parameters
        ----------
        values
            A contiguous vector, of the same size and dtype on each rank.
        ranks
            The first so many ranks have something to add; what the others have is ignored. All of them by default.
        """
        ranks = self.size if ranks is None else ranks
        bounds = [values.size * n // self.size for n in range(self.size + 1)]
        slices = [values[bounds[n] : bounds[n + 1]] for n in range(self.size)]
        own = slices[self.rank]
        terms = self._rows(ranks, own)
        if self.rank < ranks:
            terms[self.rank] = own
        adds = [None] * self.size if self.rank >= ranks else _filled(slices)
        self.exchange(adds, _filled([*terms, *[own[:0]] * (self.size - ranks)]))
        add_in_tree_into(own, terms)
        self.exchange(_filled([own] * self.size), _filled(slices))

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order. They are pickled: the ranks of a job trust each other."""
        return self._pass_on(value, range(self.size))

    def tell(self, value: Any) -> Any:
        """Return the value of rank 0; what the others pass is ignored."""
        return self._pass_on(value, [0])[0]

    def _pass_on(self, value: Any, senders: Sequence[int]) -> list[Any]:
        """Return the values of some ranks, which send theirs to all."""
        if self.size == 1:
            return [value]
        speaks = self.rank in senders
        mine = pickle.dumps(value, protocol=5) if speaks else b""
        whole = np.frombuffer(bytearray(len(mine).to_bytes(LENGTH, "little") + mine.ljust(FIRST - LENGTH)), np.uint8)
        first = {rank: np.empty(FIRST, np.uint8) for rank in senders}
        sent = [whole[:FIRST] if speaks else None] * self.size
        self.exchange(sent, [first.get(rank) for rank in range(self.size)])
        first[self.rank] = whole
        lengths = {rank: int.from_bytes(first[rank][:LENGTH].tobytes(), "little") for rank in senders}
        rest = {rank: np.empty(max(0, lengths[rank] + LENGTH - FIRST), np.uint8) for rank in senders}
        sent = [whole[FIRST:] if speaks and whole.size > FIRST else None] * self.size
        if any(array.size for array in rest.values()):
            self.exchange(sent, [rest[n] if n in rest and rest[n].size else None for n in range(self.size)])
        return [
            value if rank == self.rank else pickle.loads(_read(first[rank], rest[rank], lengths[rank]))
            for rank in senders
        ]

    def _rows(self, count: int, like: Array) -> list[Array]:
        """Return working arrays, each as large as `like`, which are kept for the next call."""
        if self._room.nbytes < count * like.nbytes:
            self._room = aligned_empty(count * like.nbytes, np.dtype(np.uint8))
        whole = self._room[: count * like.nbytes].view(like.dtype)
        return list(whole.reshape(count, like.size))

    def __enter__(self) -> "Group":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            self.close()

    def __deepcopy__(self, _: Any) -> "Group":
        return self  # a copy of an engine trains with the same processes


def _filled(arrays: Sequence[Array]) -> list[Array | None]:
    return [array if array.size else None for array in arrays]


def _read(first: Array, rest: Array, length: int) -> bytes:
    return (first[LENGTH:].tobytes() + rest.tobytes())[:length]


class Alone(Group):
    """The group of a process that trains by itself."""

    def __init__(self) -> None:
        super().__init__(0, 1)

    def exchange(self, sent: Sequence[Array | None], received: Sequence[Array | None]) -> None:
        """Do nothing: there is no other rank."""

    def abort(self, code: int) -> NoReturn:
        """End the process."""
        raise SystemExit(code)


@attrs.frozen(kw_only=True)
class Reducer(abc.ABC):
    """Opens the group of the processes of a job. A frozen attrs class with a `name`, as all that plugins provide."""

    name: ClassVar[str]

    @abc.abstractmethod
    def join(self) -> Group:
        """Return this process as a rank of the group of all processes that were started together.

        Raises
        ------
        UsageError
            Where it cannot be used here, with what to do about it.
        """

    def open(self) -> Group:
        """Join the group. From then on a process that ends without `Group.close` ends all of its processes.

        Raises
        ------
        UsageError
            Where it cannot be used here.
        GroupError
            Where another process does not answer.
        """
        group = self.join()
        if group.size > 1:
            end = _ending_the_job(group)
            atexit.register(end)  # where the process is ended by sys.exit, or the script forgets to close the group
            sys.excepthook = _and_then(sys.excepthook, end)  # at once: exit waits for threads
        group.meet()
        return group


Hook = Callable[[type[BaseException], BaseException, TracebackType | None], Any]


def _ending_the_job(group: Group) -> Callable[[], None]:
    process = os.getpid()

    def end() -> None:
        if not group.closed and os.getpid() == process:
            where = group.where(group.rank)
            print(
                f"rnnframe: {where} ends the job of {group.size} ranks: it has not closed its group",
                file=sys.stderr,
                flush=True,
            )
            group.abort(1)

    return end


def _and_then(before: Hook, end: Callable[[], None]) -> Hook:
    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        end()

    return hook
