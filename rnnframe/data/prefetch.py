"""The next item prepared in a thread while the present one is worked on."""

import collections
import threading
import weakref
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, Self, TypeVar

from rnnframe.errors import OptionError

T = TypeVar("T")

POLL_SECONDS = 5.0  # seconds that `close` waits for an item in preparation


class Prefetch(Generic[T]):
    """An iterator over the same items in the same order, each prepared by a thread before it is asked for.

    An exception of the source is raised where its item would have been returned, with its traceback, and ends the
    iteration. `close`, the end of a `with` block, and the end of the last reference stop the thread, and close the
    source if it can be closed, as a generator can. `taken` counts the items that were returned: a position to resume
    at, which does not include items that lie ready.

    Parameters
    ----------
    source : iterable
        Is read in the thread alone, and not before the first item is asked for. An item must not change while later
        ones are prepared: a source that fills the same buffers again needs `depth` + 2 of them.
    depth : int
        The most items that are read ahead, at least 1.

    Raises
    ------
    OptionError
        For a depth below 1.
    """

    def __init__(self, source: Iterable[T], depth: int = 1) -> None:
        if depth < 1:
            raise OptionError(f"depth={depth} is out of range; expected at least 1 item")
        self.taken = 0
        self._patience = POLL_SECONDS
        self._shelf = _Shelf(source, depth)
        self._thread: threading.Thread | None = None
        weakref.finalize(self, self._shelf.stop)  # the thread knows the shelf alone, so that it keeps nothing alive

    def __iter__(self) -> Self:
        return self

    def wait(self, seconds: float) -> bool:
        """Wait until the next item, the end or an error is there, for so many seconds at most; return whether it is."""
        self._begin()
        return self._shelf.wait(seconds)

    def _begin(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._shelf.fill, name="rnnframe-prefetch", daemon=True)
            self._thread.start()

    def __next__(self) -> T:
        self._begin()
        try:
            item = self._shelf.take()
        except BaseException:
            self.close()
            raise
        self.taken += 1
        return item

    def close(self) -> None:
        """Stop reading, drop what lies ready, and wait for the thread: at most as long as one item, or five seconds.

        A source that blocks for longer than that, such as a pipe without a writer, ends its thread with its next item.
        """
        self._shelf.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(self._patience)

    def leave(self) -> None:
        """Stop reading without waiting for the thread, which ends when the source has made its present item."""
        self._patience = 0.0
        self._shelf.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Shelf(Generic[T]):
    """Where the thread puts items and the reader takes them; `error` ends it once the items before are gone."""

    def __init__(self, source: Iterable[T], depth: int) -> None:
        self._source = source
        self._depth = depth
        self._items: collections.deque[T] = collections.deque()
        self._error: BaseException | None = None
        self._lock = threading.Lock()  # taken by itself: an interrupt inside Condition.__enter__ leaves it locked
        self._changed = threading.Condition(self._lock)

    def wait(self, seconds: float | None) -> bool:
        """Wait until there is something to take, and return whether there is."""
        with self._lock:
            return self._wait(seconds)

    def _wait(self, seconds: float | None) -> bool:
        """`wait` for a caller that holds the lock, which cannot be taken twice."""
        return self._changed.wait_for(lambda: bool(self._items) or self._error is not None, seconds)

    def take(self) -> T:
        """Return the next item; raises the source's exception, `StopIteration` at its end."""
        with self._lock:
            self._wait(None)
            if self._items:
                item = self._items.popleft()
                self._changed.notify_all()
                return item
            assert self._error is not None
            error, self._error = self._error, StopIteration()
        raise error

    def stop(self) -> None:
        """Drop what lies ready and let the thread end."""
        with self._lock:
            self._items.clear()
            self._error = self._error or StopIteration()
            self._changed.notify_all()

    def fill(self) -> None:
        """Read the source to its end, its failure or `stop`, an item whenever there is room. Runs in the thread."""
        try:
            self._read()
        except BaseException as error:
            self._end(error)
        else:
            self._end(StopIteration())

    def _read(self) -> None:
        items: Iterator[T] = iter(self._source)
        try:
            while self._has_room():
                try:
                    item = next(items)
                except StopIteration:
                    return
                if not self._put(item):
                    return
                del item  # it is the reader's now
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    def _has_room(self) -> bool:
        """Wait until the reader has taken enough; return False where nothing more is wanted."""
        with self._lock:
            self._changed.wait_for(lambda: self._error is not None or len(self._items) < self._depth)
            return self._error is None

    def _put(self, item: T) -> bool:
        with self._lock:
            if self._error is None:
                self._items.append(item)
                self._changed.notify_all()
            return self._error is None

    def _end(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
            self._changed.notify_all()
