"""Where blocks of inputs and targets come from: arrays that are sliced, or streams that are read once.

A source hands out blocks of whole steps for a range of batch columns. It checks what it hands out, block by block, so
that nothing is read before its time. Slices of one range must hold the same numbers each time they are taken; a stream
holds what it has read until its readers release it.
"""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.errors import DataError, ScheduleError
from rnnframe.network import Network
from rnnframe.schedule import Grid


@attrs.frozen
class Block:
    """Inputs of some steps, and the targets `y` of the last len(y) of them (None where none counts).

    `waits` tells whether the block stays with its chunk's tape: a view of the caller's data, which costs nothing. Any
    other is dropped, and made anew when its chunk is reversed.
    """

    x: Array
    y: Array | None
    waits: bool = False

    @property
    def steps(self) -> int:
        """Steps of the block."""
        return len(self.x)

    @property
    def count(self) -> int:
        """The number of losses: counted steps times samples."""
        return 0 if self.y is None else len(self.y) * self.x.shape[1]


class Source(Protocol):
    """What the loop reads from. `steps` is None where the length is not known.

    `data_bytes` are those of blocks that the source has held at once at most.
    """

    steps: int | None
    batch: int
    data_bytes: int

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


def open_source(x: Any, y: Any, network: Network, readers: int) -> Source:
    """Return a source over arrays, or over iterators of blocks (`readers` shards read the same stream)."""
    if _is_stream(x):
        return Stream(x, y, network, readers)
    if y is None:
        raise DataError("y is missing; give the targets as an array, or pairs (x, y) in an iterator as x")
    return Sequence(x, y, network)


def open_inputs(x: Any, network: Network) -> Source:
    """Return a source of inputs alone; a stream is one of pairs (x, y) here too."""
    return Stream(x, None, network, readers=1) if _is_stream(x) else Sequence(x, None, network)


def _is_stream(x: Any) -> bool:
    return isinstance(x, Iterator) or (isinstance(x, Iterable) and not hasattr(x, "__getitem__"))


def _as_array(value: Any, what: str) -> Any:
    """Leave anything sliceable that has a shape and a numpy dtype as it is; make an array of the rest."""
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(f"{what} is a masked array, and masks are not heeded; fill it or cut out what is masked")
    if hasattr(value, "shape") and isinstance(getattr(value, "dtype", None), np.dtype):
        return value
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(f"{what} is no rectangular array: {error}") from None


class _Checker:
    """What a network takes: shapes by `check_inputs` and `check_pair`, values by `inputs` and `targets`."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.dtype = network.dtype

    def check_inputs(self, x: Any) -> None:
        kind, want = x.dtype.kind, self.network.inputs
        if kind not in "fiub":
            raise DataError(f"x holds {x.dtype}; expected row numbers (integers [T, B]) or numbers [T, B, {want}]")
        if len(x.shape) == 2 and kind not in "iu":
            raise DataError(f"x has shape {list(x.shape)} and holds {x.dtype}; floats need the shape [T, B, {want}]")
        if len(x.shape) not in (2, 3):
            raise DataError(f"x has shape {list(x.shape)}; expected [T, B] of integers or [T, B, {want}]")
        if len(x.shape) == 3 and x.shape[2] != want:
            raise DataError(f"x has {x.shape[2]} inputs a step; the network was made with inputs={want}")
        if 0 in x.shape:
            raise DataError(f"x has shape {list(x.shape)}; expected at least one step, sample and input")

    @np.errstate(over="ignore")  # what overflows on its way to float32 is infinite there, and refused as such
    def inputs(self, x: Any, start: int) -> Array:
        """Return a block of inputs in the network's dtype (row numbers stay integers), contiguous and checked."""
        if len(x.shape) == 2:
            block = np.ascontiguousarray(x)
            low, high = int(block.min()), int(block.max())
            if low < 0 or high >= self.network.inputs:
                wrong = low if low < 0 else high
                raise DataError(
                    f"x holds {wrong} in steps {start} to {start + len(block) - 1}; "
                    f"a network with inputs={self.network.inputs} takes 0 to {self.network.inputs - 1}"
                )
            return block
        block = np.ascontiguousarray(x, self.dtype)
        if not np.isfinite(block.sum()) and not np.isfinite(block).all():
            step = start + int(np.argwhere(~np.isfinite(block))[0][0])
            raise DataError(f"x holds NaN or infinite values, the first at step {step}; remove or replace them")
        return block

    @np.errstate(over="ignore")
    def targets(self, y: Any) -> Array:
        return self.network.head.targets(np.ascontiguousarray(y), self.dtype)

    def check_pair(self, x: Any, y: Any) -> Any:
        """Check that y belongs to x and return it with the dimensions that the head's targets have."""
        head = self.network.head
        every = head.at == "every"
        lead = tuple(x.shape[:2]) if every else tuple(x.shape[1:2])
        wanted = ["T", "B"] if every else ["B"]
        dims = len(lead) + head.target_dims - 1
        if len(y.shape) == dims - 1 and head.width == 1:
            y = np.asarray(y)[..., None]
        if len(y.shape) != dims:
            shape = ", ".join([*wanted, *(["outputs"] if head.target_dims == 2 else [])])
            raise DataError(f"y has shape {list(y.shape)}; head {head.name} at={head.at} takes [{shape}]")
        if tuple(y.shape[: len(lead)]) != lead:
            raise DataError(
                f"x and y differ in {' or '.join(wanted)}: x begins with {list(x.shape[:2])}, y {list(y.shape)}"
            )
        return y


class Sequence:
    """A source over arrays, or anything that has a shape and a dtype and can be sliced along time."""

    steps: int | None
    data_bytes: int = 0

    def __init__(self, x: Any, y: Any, network: Network) -> None:
        self._checker = _Checker(network)
        self._x = _as_array(x, "x")
        self._checker.check_inputs(self._x)
        self._last_only = network.head.at == "last"
        self._y = None if y is None else self._checker.check_pair(self._x, _as_array(y, "y"))
        self.length = int(self._x.shape[0])
        self.steps = self.length
        self.batch = int(self._x.shape[1])

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

    def __init__(self, x: Any, y: Any, network: Network, readers: int) -> None:
        if network.head.at == "last":
            raise DataError("a stream has no known last step; use a head with at=every, or arrays")
        if y is not None and not _is_stream(y):
            raise DataError(
                f"x is an iterator and y a {type(y).__name__}; give both as iterators, or pairs (x, y) as x"
            )
        self._checker = _Checker(network)
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
        self._readers = min(readers, self.batch)  # no shard is without a sample

    def _pull(self) -> tuple[Array, Array] | None:
        pair = next(self._pairs, _END)
        if pair is _END:
            self._pairs = iter(())  # the end is the same for every reader, even where an iterator goes on after it
            return None
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            found = type(pair).__name__ + (f" of {len(pair)}" if isinstance(pair, tuple | list) else "")
            raise DataError(f"a stream yields pairs (x, y) of blocks, not {found}")
        x, y = _as_array(pair[0], "x"), _as_array(pair[1], "y")
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
