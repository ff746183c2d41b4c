"""Where blocks of inputs and targets come from: arrays that are sliced, or streams that are read once.

A source hands out blocks of whole steps for a range of batch columns. It checks what it hands out, block by block, so
that nothing is read before its time. Slices of one range must hold the same numbers each time they are taken; a stream
holds what it has read until its readers release it.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import attrs
import numpy as np

from rnnframe.blocks import Block, Checker, as_array
from rnnframe.errors import DataError
from rnnframe.network import Network
from rnnframe.schedule import Grid
from rnnframe.streams import Stream, is_stream


class Source(Protocol):
    """What the loop reads from. `steps` is None where the length is not known.

    `data_bytes` are those of blocks that the source has held at once at most.
    """

    steps: int | None
    batch: int
    data_bytes: int

    def share(self, readers: int) -> None:
        """Take note that so many readers will ask for each block; one unless told."""
        ...

    def block(self, start: int, stop: int, columns: slice) -> Block | None:
        """Return the steps [start, stop), or fewer or None where the source ends before."""
        ...

    def release(self, start: int) -> None:
        """Take note that one reader will not ask for the block from `start` on again."""
        ...


@attrs.frozen
class Reader:
    """A source as one shard's loop reads it: some batch columns, chunk by chunk of a grid.

    `check` is called before each block and raises where the shard shall end.
    """

    source: Source
    grid: Grid
    columns: slice
    check: Callable[[], None]

    def block(self, chunk: int) -> Block | None:
        """Return the block of a chunk, or what there is of it; None where the source ended before."""
        return self.source.block(*self.grid.span(chunk), self.columns)

    def release(self, chunk: int) -> None:
        """Let go of the block of a chunk, which is not read again."""
        self.source.release(self.grid.span(chunk)[0])

    def again(self, chunk: int, waited: Block | None, *, losses: bool) -> Block:
        """Return a block that was read before, from where it waited or anew; without targets where no loss counts."""
        self.check()
        block = waited or self.block(chunk)
        assert block is not None  # it was there before
        return block if losses else Block(block.x, None)

    def blocks(self, start: int, stop: int | None) -> Iterator[Block]:
        """Yield the blocks of the chunks [start, stop), stop=None until the end; fewer where the source ends before."""
        last = self.grid.chunks if stop is None else stop
        for chunk in itertools.count(start):
            if chunk == last:
                return
            self.check()
            block = self.block(chunk)
            if block is None:
                return
            yield block


def open_source(x: Any, y: Any, network: Network) -> Source:
    """Return a source over arrays, or over iterators of blocks."""
    if is_stream(x):
        return Stream(x, y, network)
    if y is None:
        raise DataError("y is missing; give the targets as an array, or pairs (x, y) in an iterator as x")
    return Sequence(x, y, network)


def open_inputs(x: Any, network: Network) -> Source:
    """Return a source of inputs alone; a stream is one of pairs (x, y) here too."""
    return Stream(x, None, network) if is_stream(x) else Sequence(x, None, network)


class Sequence:
    """A source over arrays, or anything that has a shape and a dtype and can be sliced along time."""

    steps: int | None
    data_bytes: int = 0

    def __init__(self, x: Any, y: Any, network: Network) -> None:
        self._checker = Checker(network)
        self._x = as_array(x, "x")
        self._checker.check_inputs(self._x)
        self._last_only = network.head.at == "last"
        self._y = None if y is None else self._checker.check_pair(self._x, as_array(y, "y"))
        self.length = int(self._x.shape[0])
        self.steps = self.length
        self.batch = int(self._x.shape[1])

    def share(self, readers: int) -> None:
        """Nothing is held for anyone."""

    def block(self, start: int, stop: int, columns: slice) -> Block | None:
        """Return the steps [start, stop); arrays of the right dtype and order are viewed, not copied."""
        x = self._checker.inputs(self._x[start:stop][:, columns], start)
        is_view = isinstance(self._x, np.ndarray) and np.may_share_memory(x, self._x)
        if self._y is None or (self._last_only and stop < self.length):
            return Block(x, None, waits=is_view)
        y = self._checker.targets(self._y[columns][None] if self._last_only else self._y[start:stop][:, columns])
        return Block(x, y, waits=is_view and isinstance(self._y, np.ndarray) and np.may_share_memory(y, self._y))

    def release(self, start: int) -> None:
        """Nothing is held: the arrays are the caller's."""
