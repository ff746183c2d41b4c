"""Where blocks of inputs and targets come from: arrays that are sliced, or streams that are read once.

A source hands out blocks of whole steps for a range of batch columns. It checks what it hands out, block by block, so
that nothing is read before its time. Slices of one range must hold the same numbers each time they are taken; a stream
holds what it has read until its readers release it.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.blocks import Checker, as_array, check_lengths, check_resets
from rnnframe.columns import Columns, count_of, deal_by_length, split_batch
from rnnframe.copies import Copies
from rnnframe.errors import DataError
from rnnframe.network import Network
from rnnframe.pieces import Block, Piece, Span, cut
from rnnframe.schedule import Grid
from rnnframe.streams import Stream, is_stream


class Source(Protocol):
    """What the loop reads from. `steps` is None where the length is not known.

    `data_bytes` are those of blocks that the source has held at once at most.
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

    def block(self, start: int, stop: int, columns: Columns, copies: Copies) -> Block | None:
        """Return the steps [start, stop) of a part of `deal`, or fewer or None where the source ends before.

        It has no targets yet. What of the inputs cannot be viewed is in `copies`.
        """
        ...

    def again(self, start: int, block: Block, columns: Columns, copies: Copies) -> Block:
        """Return a block that was had before, and of which the spans are left; its values are not checked again."""
        ...

    def with_targets(self, start: int, block: Block, columns: Columns, copies: Copies) -> Block:
        """Return a block with its targets."""
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
    columns: Columns
    copies: Copies
    check: Callable[[], None]

    def release(self, chunk: int) -> None:
        """Let go of the block of a chunk, which is not read again."""
        self.source.release(self.grid.span(chunk)[0])

    def again(self, chunk: int, waiting: Block, *, losses: bool) -> Block:
        """Return a block that was read before, from where it waits or anew, with targets where losses count."""
        self.check()
        start, block = self.grid.span(chunk)[0], waiting
        self.copies.begin()
        if not waiting.waits:
            block = self.source.again(start, waiting, self.columns, self.copies)
        return self.source.with_targets(start, block, self.columns, self.copies) if losses else block

    def blocks(self, start: int, stop: int | None) -> Iterator[Block]:
        """Yield the blocks of the chunks [start, stop), stop=None until the end; fewer where the source ends before."""
        last = self.grid.chunks if stop is None else stop
        for chunk in itertools.count(start):
            if chunk == last:
                return
            self.check()
            self.copies.begin()
            block = self.source.block(*self.grid.span(chunk), self.columns, self.copies)
            if block is None:
                return
            yield block


def open_source(x: Any, y: Any, network: Network, lengths: Any | None = None, resets: Any | None = None) -> Source:
    """Return a source over arrays, or over iterators of blocks."""
    if is_stream(x):
        return _stream(x, y, network, lengths, resets)
    if y is None:
        raise DataError("y is missing; give the targets as an array, or pairs (x, y) in an iterator as x")
    return Sequence(x, y, network, lengths, resets)


def open_inputs(x: Any, network: Network, lengths: Any | None = None, resets: Any | None = None) -> Source:
    """Return a source of inputs alone; a stream is one of pairs (x, y) here too."""
    if is_stream(x):
        return _stream(x, None, network, lengths, resets)
    return Sequence(x, None, network, lengths, resets)


def _stream(x: Any, y: Any, network: Network, lengths: Any | None, resets: Any | None) -> Stream:
    if lengths is not None or resets is not None:
        name = "lengths" if resets is None else "resets"
        raise DataError(f"{name} go with arrays; a stream is cut by what it yields itself: (x, y, resets)")
    return Stream(x, y, network)


class Sequence:
    """A source over arrays, or anything that has a shape and a dtype and can be sliced along time.

    lengths: the steps of each sample [B], what stands behind them is not looked at. resets: booleans [T, B], where a
    sample begins anew. Samples of different lengths are dealt in the order in which they end, so that those that
    still run are the last columns of a part, and so that the parts have about as many steps each.
    """

    steps: int | None
    data_bytes: int = 0

    def __init__(self, x: Any, y: Any, network: Network, lengths: Any | None = None, resets: Any | None = None) -> None:
        self._checker = Checker(network)
        self._x = as_array(x, "x")
        self._checker.check_inputs(self._x)
        self._input_dtype = self._checker.input_dtype(self._x)
        self._apart = network.layers[0].cell.takes_columns(network.inputs)
        self._last_only = network.head.at == "last"
        self._y = None if y is None else self._checker.check_pair(self._x, as_array(y, "y"))
        ends = None if lengths is None else check_lengths(lengths, self._x)
        self._resets = None if resets is None else check_resets(resets, self._x)
        self.length = int(self._x.shape[0] if ends is None else ends.max())
        self._ends = None if ends is None or ends.min() == self.length else ends  # None: all end with the last step
        self.steps = self.length
        self.batch = int(self._x.shape[1])

    def deal(self, shards: int) -> list[Columns]:
        """Return slices, or the numbers of columns with those that end first in front."""
        parts = split_batch(self.batch, shards)
        if self._ends is None:
            return [*parts]
        return deal_by_length(self._ends, [part.stop - part.start for part in parts])

    def ends(self, columns: Columns) -> list[int]:
        """Return the lengths of these samples, unless all have the same."""
        found: list[int] = [] if self._ends is None else self._ends[columns].tolist()
        return found

    def block(self, start: int, stop: int, columns: Columns, copies: Copies) -> Block | None:
        """Return the steps [start, stop); arrays of the right dtype and order are viewed, not copied."""
        steps = min(stop, self.length) - start
        spans = self._spans(start, steps, columns)
        pieces = self._pieces(start, steps, spans, columns, copies)
        for span, piece in zip(spans, pieces, strict=True):
            self._checker.check_values(piece.x, start + span.start)
            if self._y is not None:  # they are looked at now, so that no sweep is made for nothing
                self._targets(
                    start + span.start, start + span.stop, _running(span, columns), span.ending, copies, apart=True
                )
        return Block(steps, spans, pieces, waits=all(_shares(piece.x, self._x) for piece in pieces))

    def again(self, start: int, block: Block, columns: Columns, copies: Copies) -> Block:
        """Return the steps from `start` on that the block had."""
        return Block(block.steps, block.spans, self._pieces(start, block.steps, block.spans, columns, copies))

    def _spans(self, start: int, steps: int, columns: Columns) -> list[Span]:
        resets = None if self._resets is None else np.asarray(self._resets[start : start + steps][:, columns])
        ends = None if self._ends is None else self._ends[columns] - start
        return list(cut(steps, count_of(columns), ends, resets))

    def _pieces(self, start: int, steps: int, spans: Iterable[Span], columns: Columns, copies: Copies) -> list[Piece]:
        x = self._x[start : start + steps]  # read at once, wherever it comes from
        return [self._piece(x, span, _running(span, columns), copies) for span in spans]

    def _piece(self, x: Any, span: Span, running: Columns, copies: Copies) -> Piece:
        inputs = copies.of(x[span.start : span.stop], running, self._input_dtype, apart=self._apart)
        return Piece(inputs, None, span.first, span.fresh)

    def with_targets(self, start: int, block: Block, columns: Columns, copies: Copies) -> Block:
        """Return the block with the targets of its steps, checked."""
        return block.with_targets(
            self._targets(start + span.start, start + span.stop, _running(span, columns), span.ending, copies)
            for span in block.spans
        )

    def _targets(
        self, start: int, stop: int, running: Columns, ending: int, copies: Copies, *, apart: bool = False
    ) -> Array | None:
        """Return the targets of the steps [start, stop): all of them, or those of samples whose last step is there."""
        assert self._y is not None  # where losses are asked for
        if not self._last_only:
            steps = self._y[start:stop]
            return self._checker.targets(copies.of(steps, running, np.dtype(steps.dtype), apart=apart))
        if isinstance(running, slice):  # which end together
            return self._checker.targets(self._y[running][None]) if stop == self.length else None
        return self._checker.targets(self._y[running[:ending]][None]) if ending else None

    def release(self, start: int) -> None:
        """Nothing is held: the arrays are the caller's."""


def _running(span: Span, columns: Columns) -> Columns:
    return columns if isinstance(columns, slice) else columns[span.first :]


def _shares(part: Array, given: Any) -> bool:
    return isinstance(given, np.ndarray) and np.may_share_memory(part, given)
