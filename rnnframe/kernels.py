"""Kernels: other ways to compute what a cell computes, such as compiled code. An engine chooses them at set-up.

A kernel is a cell itself, the twin of the one that it stands in for: same parameters, state and tape, so that it runs
in the same buffers and leaves the same behind; its working arrays and what it derives from the parameters are its own.
The cell as it was written, on numpy, is the reference, and what runs where no kernel is.
"""

import abc
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import numpy as np

from rnnframe.contracts import Cell
from rnnframe.errors import OptionError, UsageError, unknown_name
from rnnframe.heads import Head

if TYPE_CHECKING:
    from rnnframe.registry import Registry

AUTO, NUMPY = "auto", "numpy"


@attrs.frozen(kw_only=True)
class Kernels(abc.ABC):
    """Twins of cells, from a plugin. A frozen attrs class with a `name`, like every class that plugins provide."""

    name: ClassVar[str]

    @abc.abstractmethod
    def missing(self) -> str:
        """Return in one line why the kernels cannot be used here and what to do; an empty text where they can."""

    @abc.abstractmethod
    def twin(self, cell: Cell, dtype: np.dtype[Any]) -> Cell | None:
        """Return the cell that computes in place of `cell`, None where there is none."""

    def head(self, head: Head, dtype: np.dtype[Any]) -> Head | None:
        """Return the head that computes in place of `head`, None where there is none."""
        return None

    def cells(self) -> Iterable[str]:
        """Return specs of cells that have twins, one of every kind of code, for `rnnframe warmup`."""
        return ()

    def is_ready(self, twin: Cell | Head, dtype: np.dtype[Any]) -> bool:
        """Tell, at once, whether `prepare` will be quick; if not, people are told that they wait for it."""
        return True

    def prepare(self, twin: Cell | Head, dtype: np.dtype[Any]) -> None:
        """Make a twin ready for its first block, which must not be what pays for it: compile, load, warm up."""
        return

    def place(self) -> str:
        """Return the folder where code is kept that was compiled; an empty text where it is not kept."""
        return ""


def kernels_used(kernels: Sequence[str]) -> str:
    """Return in a word what computes the layers of a network: one name if it is the same for all, else one a layer."""
    return ", ".join(kernels if len(set(kernels)) > 1 else kernels[:1])


def make_ready(kernels: Kernels, twin: Cell | Head, what: str, dtype: np.dtype[Any]) -> None:
    """Have the twin of `what` prepared; where that takes a while, say so on stderr before, and the seconds after."""
    if kernels.is_ready(twin, dtype):
        kernels.prepare(twin, dtype)
        return
    print(f"rnnframe: compiling {what} for {dtype}, once on this machine ...", file=sys.stderr, flush=True)
    begun = time.perf_counter()
    kernels.prepare(twin, dtype)
    place = kernels.place()
    fate = f"the code is kept in {place}" if place else "the code is not kept: no folder for it can be written to"
    print(f"rnnframe: compiled in {time.perf_counter() - begun:.1f} s; {fate}", file=sys.stderr, flush=True)


def choose(given: str | Kernels, registry: "Registry") -> Kernels | None:
    """Return the kernels that a name stands for, None for numpy alone.

    "auto" is what RNNFRAME_KERNELS names, or the first that can be used here. Raises `OptionError` for named ones that
    cannot.
    """
    if isinstance(given, Kernels):
        found = given
    elif not isinstance(given, str):
        raise UsageError(f"kernels are a name such as 'auto' or a Kernels, not {given!r}")
    elif given == NUMPY:
        return None
    elif given == AUTO and os.environ.get("RNNFRAME_KERNELS", AUTO) not in ("", AUTO):
        return choose(os.environ["RNNFRAME_KERNELS"], registry)
    elif given == AUTO:
        usable = (registry.kernels(name) for name in registry.names("kernels"))
        return next((kernels for kernels in usable if not kernels.missing()), None)
    elif given not in registry.names("kernels"):
        raise unknown_name("kernels", given, [AUTO, NUMPY, *registry.names("kernels")])
    else:
        found = registry.kernels(given)
    reason = found.missing()
    if reason:
        raise OptionError(f"kernels={found.name!r}: {reason}")
    return found
