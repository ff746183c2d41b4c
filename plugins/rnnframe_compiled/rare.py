"""Kernels that many trainings never call: each is compiled when it is first called, and that is told on stderr.

An engine asks for those that it knows it will call before it begins: see `Kernels.prepare_run`.
"""

import functools
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from rnnframe_compiled.interrupts import made_whole
from rnnframe_compiled.making import kernel
from rnnframe_compiled.place import place

_one_at_a_time = threading.RLock()
"""Held while one is made ready: threads that need it meanwhile wait, and nothing is told twice."""


class Rare:
    """A kernel that Python alone calls; its first argument is a unit."""

    def __init__(self, function: Callable[..., Any], what: str) -> None:
        functools.update_wrapper(self, function)
        self.dispatcher, self._what = kernel(function), what
        self._name = f"{function.__module__}.{function.__name__}"
        self._ready: set[type] = set()

    @property
    def signatures(self) -> list[Any]:
        """What it is compiled for, as of any kernel."""
        found: list[Any] = self.dispatcher.signatures
        return found

    def __call__(self, unit: Any, *others: Any) -> Any:
        """Run the kernel."""
        if type(unit) not in self._ready:
            self._make_ready(unit, others)
        return self.dispatcher(unit, *others)

    def _make_ready(self, unit: Any, others: tuple[Any, ...]) -> None:
        """Compile the code for a unit, or load it."""
        with _one_at_a_time:
            if type(unit) in self._ready:
                return
            found, kind = place(), "bfloat16" if isinstance(unit, np.uint16) else str(np.dtype(type(unit)))
            note = None if found is None else found.note(f"{self._name}-{kind}")
            told = note is None or not note.exists()
            begun = time.perf_counter()
            if told:
                _tell(f"compiling {self._what} for {kind}, once on this machine ...")
            with made_whole():
                self.dispatcher.compile(tuple(map(self.dispatcher.typeof_pyval, (unit, *others))))
            if told:
                fate = f"kept in {found.folder}" if found is not None and found.lasts else "not kept"
                _tell(f"compiled in {time.perf_counter() - begun:.1f} s; the code is {fate}")
            if note is not None:
                with suppress(OSError):  # a full disk: the next process compiles again
                    note.touch()
            self._ready.add(type(unit))


def rare(what: str) -> Callable[[Callable[..., Any]], Rare]:
    """Return what makes a kernel that is compiled when it is first called; `what` tells what it computes."""
    return functools.partial(Rare, what=what)


def _tell(text: str) -> None:
    print(f"rnnframe: {text}", file=sys.stderr, flush=True)
