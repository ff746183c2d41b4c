"""Compiled kernels of the built-in cells: pip install 'rnnframe[fast]'.

numba makes machine code for this processor on first use and keeps it on the disk; nothing of it is imported before.
"""

from importlib.util import find_spec
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe import Cell, Kernels, hookimpl
from rnnframe.heads import HEADS, Head


@attrs.frozen(kw_only=True)
class Compiled(Kernels):
    """Kernels of lstm, gru and elman, float32 and float64, for this processor's vectors."""

    name: ClassVar[str] = "compiled"

    def missing(self) -> str:
        """Ask for numba."""
        return "" if find_spec("numba") else "numba is not installed; pip install 'rnnframe[fast]'"

    def twin(self, cell: Cell, dtype: np.dtype[Any]) -> Cell | None:
        """Return the compiled twin of a built-in cell."""
        from rnnframe_compiled.twins import twin_of

        return twin_of(cell, dtype)

    def head(self, head: Head, dtype: np.dtype[Any]) -> Head | None:
        """Return a head that leaves its loss to the given one; what is no built-in head may compute in its own way."""
        if type(head) not in HEADS.values():
            return None
        from rnnframe_compiled.heads import CompiledHead

        return CompiledHead(head=head, at=head.at, dtype=dtype)

    def prepare(self, twin: Cell | Head, dtype: np.dtype[Any]) -> None:
        """Compile what a twin is made of, or load it, and say so where it took a while."""
        from rnnframe_compiled.heads import CompiledHead, warm_up_head
        from rnnframe_compiled.twins import Twin
        from rnnframe_compiled.warm import warm_up

        if isinstance(twin, Twin):
            warm_up(twin, dtype)
        elif isinstance(twin, CompiledHead):
            warm_up_head(dtype)


@hookimpl
def rnnframe_kernels() -> tuple[type[Kernels], ...]:
    """Return the compiled kernels."""
    return (Compiled,)
