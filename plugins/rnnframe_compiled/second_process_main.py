"""What a helper does: it compiles what it is told to, and ends when its pipe does: see `second_process`."""

import os
import pickle
import queue
import signal
import struct
import sys
import threading
from typing import NoReturn

from rnnframe_compiled import _compiled
from rnnframe_compiled.place import place


def serve(folder: str) -> NoReturn:
    """Compile twins and what they share, as the standard input says, and write a line after each.

    Nothing is done where another folder than that named would take the code.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it tells of an interrupt, and ends it
    replies, nothing = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    tasks: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(tasks,), daemon=True).start()
    found, warm = place(), _compiled().warm
    if found is None or not found.lasts or str(found.folder) != folder:
        os._exit(1)
    while True:
        warm.warm_up(*pickle.loads(tasks.get()))
        os.write(replies, b"done\n")


def _read(tasks: "queue.SimpleQueue[bytes]") -> None:
    """Queue what is read; end the process with its input, in the middle of whatever it does."""
    given = sys.stdin.buffer
    while len(size := given.read(8)) == 8:
        (count,) = struct.unpack("<Q", size)
        tasks.put(given.read(count))
    os._exit(0)
