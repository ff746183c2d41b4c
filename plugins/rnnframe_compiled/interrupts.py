"""Ctrl-C while code is compiled or loaded.

LLVM calls Python back to keep what it has made; there an exception is printed and lost, with what was to be kept. What
is left half-made can crash when the program ends. So interrupts wait until a few functions are whole, a second or two.
"""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def made_whole() -> Iterator[None]:
    """Let an interrupt come when what is compiled meanwhile is whole.

    Where others have a handler of their own, or in another thread than the main one, nothing changes.
    """
    theirs = signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    if theirs or threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def wait(number: int, frame: Any) -> None:
        came.append(number)

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if came:
        raise KeyboardInterrupt
