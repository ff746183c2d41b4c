"""Sources that are read once: iterators of blocks, whose length nobody knows."""

import itertools
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.blocks import Block, Checker, as_array
from rnnframe.errors import DataError, ScheduleError
from rnnframe.network import Network


def is_stream(x: Any) -> bool:
    """Whether x is read once, from its beginning, and cannot be sliced."""
    return isinstance(x, Iterator) or (isinstance(x, Iterable) and not hasattr(x, "__getitem__"))


_END = object()


def _paired(x: Iterable[Any], y: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of blocks; raises `DataError` where one iterator ends before the other."""
    for pair in itertools.zip_longest(x, y, fillvalue=_END):
        if any(part is _END for part in pair):
            short, long = "xy" if pair[0] is _END else "yx"
            raise DataError(f"the stream {short} ends before the stream {long}; give as many blocks of both")
        yield pair


@attrs.define
class _Held:
    """What was read of a stream for one chunk, and how many readers have not released it."""

    x: Array
    y: Array
    readers: int

    @property
    def nbytes(self) -> int:
        """Bytes of x and y."""
        return int(self.x.nbytes + self.y.nbytes)


class Stream:
    """A source over iterators of blocks of any length: pairs (x, y), or x and y in two iterators.

    Blocks are cut and joined to the lengths that the loop asks for; nothing is read before its step is due. What was
    read is held until every reader has released it, since it cannot be had again: as it came, or in the network's dtype
    where that is smaller.
    """

    steps: int | None = None

    def __init__(self, x: Any, y: Any, network: Network) -> None:
        if network.head.at == "last":
            raise DataError("a stream has no known last step; use a head with at=every, or arrays")
        if y is not None and not is_stream(y):
            raise DataError(
                f"x is an iterator and y a {type(y).__name__}; give both as iterators, or pairs (x, y) as x"
            )
        self._checker = Checker(network)
        self._pairs: Iterator[Any] = iter(x) if y is None else _paired(x, y)
        self._lock = threading.Lock()
        self._held: dict[int, _Held] = {}  # by the first step
        self.held_bytes = 0
        self.data_bytes = 0
        self._next = 0  # the first step that was not read
        self._rest: tuple[Array, Array] | None = self._pull()
        if self._rest is None:
            raise DataError("the stream is empty; expected at least one block (x, y)")
        self.batch = int(self._rest[0].shape[1])
        self._readers = 1

    def share(self, readers: int) -> None:
        """Hold each block until so many readers have released it."""
        self._readers = readers

    def _pull(self) -> tuple[Array, Array] | None:
        pair = next(self._pairs, _END)
        if pair is _END:
            self._pairs = iter(())  # the end is the same for every reader, even where an iterator goes on after it
            return None
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            found = type(pair).__name__ + (f" of {len(pair)}" if isinstance(pair, tuple | list) else "")
            raise DataError(f"a stream yields pairs (x, y) of blocks, not {found}")
        x, y = as_array(pair[0], "x"), as_array(pair[1], "y")
        self._checker.check_inputs(x)
        return x, self._checker.check_pair(x, y)

    def block(self, start: int, stop: int, columns: slice) -> Block | None:
        """Return steps that come next or are held; every reader asks for the same ranges, the new ones in order."""
        with self._lock:
            held = self._held.get(start) or self._read(start, stop - start)
        if held is None:
            return None
        x, y = held.x[:, columns], held.y[:, columns]
        return Block(self._checker.inputs(x, start), self._checker.targets(y))

    def release(self, start: int) -> None:
        """Let go of the block that began at `start` once every reader has."""
        with self._lock:
            held = self._held[start]
            held.readers -= 1
            if not held.readers:
                self.held_bytes -= self._held.pop(start).nbytes

    def _read(self, start: int, steps: int) -> _Held | None:
        if start < self._next:
            raise ScheduleError(f"the schedule runs step {start} of a stream again after its tape was released")
        parts: list[tuple[Array, Array]] = []
        while steps:
            self._rest = self._rest or self._pull()
            if self._rest is None:
                break
            x, y = self._rest
            if x.shape[1] != self.batch:
                raise DataError(f"a block of the stream has batch {x.shape[1]}, the first one had {self.batch}")
            parts.append((np.array(x[:steps]), np.array(y[:steps])))  # the iterator may use its buffers again
            self._rest = (x[steps:], y[steps:]) if len(x) > steps else None
            steps -= len(parts[-1][0])
        if not parts:
            return None
        x, y = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        held = _Held(_smaller(self._checker.inputs(x, start), x), _smaller(self._checker.targets(y), y), self._readers)
        self._next = start + len(x)
        self._held[start] = held
        self.held_bytes += held.nbytes
        self.data_bytes = max(self.data_bytes, self.held_bytes)
        return held


def _smaller(ready: Array, given: Array) -> Array:
    return given if given.nbytes < ready.nbytes else ready
