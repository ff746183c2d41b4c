"""Kernels: other ways to compute what a cell computes, such as compiled code. An engine chooses them at set-up.

A kernel is a cell itself, the twin of the one that it stands in for: same parameters, state and tape, so that it runs
in the same buffers and leaves the same behind; its working arrays and what it derives from the parameters are its own.
The cell as it was written, on numpy, is the reference, and what runs where no kernel is.
"""

import abc
from collections.abc import Sequence
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

    def prepare(self, twin: Cell | Head, dtype: np.dtype[Any]) -> None:
        """Make a twin ready for its first block, which must not be what pays for it: compile, load, warm up."""
        return


def kernels_used(kernels: Sequence[str]) -> str:
    """Return in a word what computes the layers of a network: one name if it is the same for all, else one a layer."""
    return ", ".join(kernels if len(set(kernels)) > 1 else kernels[:1])


def choose(given: str | Kernels, registry: "Registry") -> Kernels | None:
    """Return the kernels that a name stands for, None for numpy alone.

    "auto" is the first that can be used here. Raises `OptionError` for named ones that cannot.
    """
    if isinstance(given, Kernels):
        found = given
    elif not isinstance(given, str):
        raise UsageError(f"kernels are a name such as 'auto' or a Kernels, not {given!r}")
    elif given == NUMPY:
        return None
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
