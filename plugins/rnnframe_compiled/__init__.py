"""Compiled kernels of the built-in cells: pip install 'rnnframe[fast]'.

numba makes machine code for this processor on first use and keeps it on the disk; nothing of it is imported before.
"""

from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Cell, Head, Kernels, hookimpl
from rnnframe_heads.heads import HEADS

INSTALL = "pip install 'rnnframe[fast]'"


@attrs.frozen(kw_only=True)
class Compiled(Kernels):
    """Kernels of lstm, gru and elman, float32 and float64, for this processor's vectors."""

    name: ClassVar[str] = "compiled"

    def missing(self) -> str:
        """Ask for numba, and for a folder to compile into."""
        if not find_spec("numba"):
            return f"numba is not installed; {INSTALL}"
        try:
            from rnnframe_compiled.place import place
        except Exception as error:  # numba refuses versions of numpy and Python that it does not know
            return f"numba cannot be imported ({' '.join(str(error).split())}); {INSTALL} in a fresh environment"
        return "" if place() else "there is no folder to compile into; set NUMBA_CACHE_DIR to one that can be written"

    def twin(self, cell: Cell, dtype: np.dtype[Any]) -> Cell | None:
        """Return the compiled twin of a built-in cell."""
        twin: Cell | None = _compiled().kinds.twin_of(cell, dtype)
        return twin

    def cells(self) -> tuple[str, ...]:
        """Return a cell of every kind of code."""
        return "lstm", "gru", "gru:reset=before", "elman"

    def head(self, head: Head, dtype: np.dtype[Any]) -> Head | None:
        """Return a head that leaves its loss to the given one; what is no built-in head may compute in its own way."""
        if type(head) not in HEADS.values():
            return None
        found: Head = _compiled().heads.CompiledHead(head=head, at=head.at, dtype=dtype)
        return found

    def is_ready(self, twin: Cell | Head, dtype: np.dtype[Any]) -> bool:
        """Tell whether a twin's code was compiled before."""
        return bool(_compiled().warm.is_ready(twin, dtype))

    def prepare(self, twin: Cell | Head, dtype: np.dtype[Any]) -> None:
        """Compile what a twin is made of, or load it."""
        _compiled().warm.warm_up(twin, dtype)

    def place(self) -> str:
        """Return the folder that code is kept in."""
        from rnnframe_compiled.place import place

        found = place()
        return str(found.folder) if found and found.lasts else ""


def _compiled() -> ModuleType:
    """Return the package with its modules: numba decides where code is kept when a function is defined."""
    from rnnframe_compiled.place import kept

    with kept():
        import rnnframe_compiled.heads
        import rnnframe_compiled.kinds
        import rnnframe_compiled.warm

    return rnnframe_compiled


def twin_from(cell: Cell, dtype: np.dtype[Any]) -> Cell | None:
    """Make a twin that was pickled: in this way its code comes from where code for these sources is kept."""
    return Compiled().twin(cell, dtype)


def head_from(head: Head, dtype: np.dtype[Any]) -> Head | None:
    """Make a head's twin that was pickled."""
    return Compiled().head(head, dtype)


@hookimpl
def rnnframe_kernels() -> tuple[type[Kernels], ...]:
    """Return the compiled kernels."""
    return (Compiled,)
