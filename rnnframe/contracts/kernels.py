"""Kernels: other ways to compute what a cell computes, such as compiled code. An engine chooses them at set-up.

A kernel is a cell itself, the twin of the one that it stands in for: same parameters, state and tape, so that it runs
in the same buffers and leaves the same behind; its working arrays and what it derives from the parameters are its own.
The cell as it was written, on numpy, is the reference, and what runs where no kernel is.
"""

import abc
from collections.abc import Iterable
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.contracts.head import Head
from rnnframe.contracts.layer import Layer

AUTO, NUMPY = "auto", "numpy"


@attrs.frozen(kw_only=True)
class Kernels(abc.ABC):
    """Twins of cells, from a plugin. A frozen attrs class with a `name`, like every class that plugins provide."""

    name: ClassVar[str]

    @abc.abstractmethod
    def missing(self) -> str:
        """Return in one line why the kernels cannot be used here and what to do; an empty text where they can."""

    @abc.abstractmethod
    def twin(self, layer: Layer, dtype: np.dtype[Any]) -> Layer | None:
        """Return the layer that computes in place of `layer`, None where there is none."""

    def head(self, head: Head, dtype: np.dtype[Any]) -> Head | None:
        """Return the head that computes in place of `head`, None where there is none."""
        return None

    def cells(self) -> Iterable[str]:
        """Return specs of cells that have twins, one of every kind of code, for `rnnframe warmup`."""
        return ()

    def is_ready(self, twin: Layer | Head, dtype: np.dtype[Any]) -> bool:
        """Tell, at once, whether `prepare` will be quick; if not, people are told that they wait for it."""
        return True

    def prepare(self, twin: Layer | Head, dtype: np.dtype[Any]) -> None:
        """Make a twin ready for its first block, which must not be what pays for it: compile, load, warm up."""
        return

    def place(self) -> str:
        """Return the folder where code is kept that was compiled; an empty text where it is not kept."""
        return ""
