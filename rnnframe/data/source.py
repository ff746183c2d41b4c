"""`Source`: where blocks of inputs and targets come from. `Reader`: a source as one shard reads it.

A source returns blocks of whole steps for a range of batch columns. It checks each block when it is read, so
that nothing is read earlier than needed. Slices of one range must hold the same numbers each time they are taken; a
stream holds what it has read until its readers release it.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Protocol

import attrs

from rnnframe.data.columns import Columns
from rnnframe.data.cuts import Cuts
from rnnframe.data.draws import Draw
from rnnframe.data.pieces import Block
from rnnframe.data.staging import Staging
from rnnframe.schedules.grid import Grid


class Source(Protocol):
    """What the loop reads from.

    Attributes
    ----------
    steps : int or None
        The length; None where it is unknown.
    batch : int
        Samples.
    data_bytes : int
        The most bytes of blocks that the source has held at once.
    """

    steps: int | None
    batch: int
    data_bytes: int

    def deal(self, shards: int) -> list[Columns]:
        """Return the columns of each of at most `shards` parts of the batch, as `split_batch` sizes them.

        Each part is to be read by a reader of its own; without a call there is one.
        """
        ...

    def ends(self, columns: Columns) -> list[int]:
        """Return the steps at which the samples of a part of `deal` end, rising; none where all end together."""
        ...

    def cuts(self, columns: Columns) -> Cuts | None:
        """Return where a part of `deal` is cut; None where it is not, or where that is not known before it is read."""
        ...

    def block(self, start: int, stop: int, columns: Columns, staging: Staging) -> Block | None:
        """Return the steps [start, stop) of a part of `deal`, or fewer or None where the source ends before.

        It has no targets yet. What of the inputs cannot be viewed is in `staging`.
        """
        ...

    def again(self, start: int, block: Block, columns: Columns, staging: Staging) -> Block:
        """Return a block that was read before, of which only its steps are known; its values are not checked again."""
        ...

    def with_targets(self, start: int, block: Block, columns: Columns, staging: Staging) -> Block:
        """Return a block with its targets."""
        ...

    def release(self, start: int) -> None:
        """Record that one reader will not ask for the block from `start` on again."""
        ...


@attrs.frozen
class Reader:
    """A source as the loop of one shard reads it: some columns of the batch, chunk by chunk.

    Parameters
    ----------
    source : Source
        What is read.
    grid : Grid
        How time is cut into chunks.
    columns : slice or Array
        The samples of the shard.
    staging : Staging
        Memory for what must be copied.
    check : function ()
        Is called before each block, and raises where the shard must end.
    draw : Draw or None
        What random masks of the run follow from.
    ready : function () or None
        Is called before a block is handed out to be run, and waits until it can be.
    """

    source: Source
    grid: Grid
    columns: Columns
    staging: Staging
    check: Callable[[], None]
    draw: Draw | None = None
    ready: Callable[[], None] | None = None

    def release(self, chunk: int) -> None:
        """Release the block of a chunk, which is not read again."""
        self.source.release(self.grid.span(chunk)[0])

    def again(self, chunk: int, waiting: Block, *, losses: bool) -> Block:
        """Return a block that was read before, kept or read again, with targets where losses count."""
        self.check()
        start, block = self.grid.span(chunk)[0], waiting
        self.staging.begin()
        if not waiting.retained:
            block = self.source.again(start, waiting, self.columns, self.staging)
        if losses:
            block = self.source.with_targets(start, block, self.columns, self.staging)
        return block.drawn(self.draw)

    def blocks(self, start: int, stop: int | None) -> Iterator[Block]:
        """Yield the blocks of the chunks [start, stop), stop=None until the end; fewer where the source ends before."""
        last = self.grid.chunks if stop is None else stop
        for chunk in itertools.count(start):
            if chunk == last:
                return
            self.check()
            self.staging.begin()
            block = self.source.block(*self.grid.span(chunk), self.columns, self.staging)
            if block is None:
                return
            if self.ready is not None:
                self.ready()
            yield block.drawn(self.draw)
