"""One call at a time: who keeps buffers between calls refuses a second call while one is at work on them."""

import threading
from contextlib import AbstractContextManager
from typing import Any

from rnnframe.errors import BusyError


class Turn:
    """A lock that refuses instead of waiting: the calls of an engine share its buffers.

    Of two threads that begin in the same instant one may wait for the other, which is as right as to be refused. The
    lock itself is the context manager, so that no interrupt comes between taking it and being sure to give it back.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the lock out: a copy starts as a turn that no call has taken."""
        return Turn, (self._what,)

    def take(self) -> AbstractContextManager[Any]:
        """Return what `with` holds during a call; raises `BusyError` while another call is at work."""
        if self._lock.locked():
            raise BusyError(
                f"this {self._what} is at work in another call, of another thread or of a function that it calls; "
                f"make one {self._what} for each"
            )
        return self._lock
