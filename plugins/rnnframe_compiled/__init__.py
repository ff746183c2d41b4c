"""Compiled kernels of the built-in cells: pip install 'rnnframe[fast]'.

numba makes machine code for this processor on first use and keeps it on the disk; nothing of it is imported before.
"""

import functools
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.plugin import (
    Array,
    Head,
    Kernels,
    Layer,
    Loss,
    MaskPlace,
    Readout,
    Rounding,
    StepPart,
    TapeRetention,
    hookimpl,
)
from rnnframe_compiled.interrupts import made_whole
from rnnframe_heads import Affine

INSTALL = "pip install 'rnnframe[fast]'"


@attrs.frozen(kw_only=True)
class Compiled(Kernels):
    """Kernels of the built-in cells, float32 and float64, for this processor's vectors."""

    name: ClassVar[str] = "compiled"

    def missing(self) -> str:
        """Ask for numba, and for a folder to compile into."""
        if not find_spec("numba"):
            return f"numba is not installed; {INSTALL}"
        try:
            with made_whole():
                from rnnframe_compiled.place import place
        except Exception as error:  # numba refuses versions of numpy and Python that it does not know
            return f"numba cannot be imported ({' '.join(str(error).split())}); {INSTALL} in a fresh environment"
        from rnnframe_compiled.processor import multiplies_slowly

        if multiplies_slowly():
            return "this processor has no fused multiply-add, and is faster with numpy; take kernels=numpy"
        return "" if place() else "there is no folder to compile into; set NUMBA_CACHE_DIR to one that can be written"

    def twin(self, layer: Layer, dtype: np.dtype[Any]) -> Layer | None:
        """Return the compiled twin of a built-in cell."""
        twin: Layer | None = _compiled().kinds.twin_of(layer, dtype)
        return twin

    def twin_in(self, part: Layer | Head, dtype: np.dtype[Any], precision: str) -> Layer | Head | None:
        """Return the twin of lstm, gru, elman, or of a head with an affine readout, whose products are of bfloat16."""
        if precision != "bfloat16" or np.dtype(dtype) != np.float32:
            return None
        if isinstance(part, Head):
            return _head(part, dtype, precision)
        twin: Layer | None = _compiled().kinds.twin_of(part, dtype, precision)
        return twin

    def cells(self) -> tuple[str, ...]:
        """Return a cell of every kind of code."""
        return (
            "lstm",
            "lstm:norm=layer,projection=1",
            "gru",
            "gru:reset=before",
            "gru:norm=layer",
            "elman",
            "indrnn",
            "mingru",
            "minlstm",
            "lru:units=5,states=5",
            "rglru",
            "selective-ssm",
            "linear-attention:heads=2,keys=5,values=3",
            "peephole-lstm",
            "slstm",
        )

    def head(self, head: Head, dtype: np.dtype[Any]) -> Head | None:
        """Return a head with an affine readout in machine code, and a loss too where there is one."""
        return _head(head, dtype, None)

    def joined(self, parts: Sequence[StepPart]) -> Callable[[], object] | None:
        """Return one call for twins, their readout and softmax, and for the states on their way to the next step."""
        found: Callable[[], object] | None = _compiled().joined.joined(parts)
        return found

    def transpose(self, source: Array, target: Array) -> None:
        """Transpose squares of vectors in the registers."""
        _compiled().packing.transpose(source.dtype.type(1), source, target)

    def write_mask(self, out: Array, place: MaskPlace) -> None:
        """Write a random mask, the whole block in one call; numpy does it where the mask is not dense."""
        if out.flags.c_contiguous:
            _compiled().masks.write_mask(out, place)
        else:
            super().write_mask(out, place)

    def is_ready(self, twin: Layer | Head, dtype: np.dtype[Any]) -> bool:
        """Tell whether a twin's code was compiled before."""
        return bool(_compiled().warm.is_ready(twin, dtype))

    def prepare(self, twin: Layer | Head, dtype: np.dtype[Any]) -> None:
        """Compile what a twin is made of, or load it."""
        _compiled().warm.warm_up(twin, dtype)

    def prepare_all(self, twins: Sequence[Layer | Head], dtype: np.dtype[Any]) -> None:
        """Compile what twins are made of on two cores, or load it."""
        _compiled().warm.warm_up_all(twins, dtype)

    def prepare_run(
        self,
        twin: Layer | Head,
        dtype: np.dtype[Any],
        *,
        samples: int | None,
        retention: TapeRetention,
        input_gradient: bool,
    ) -> None:
        """Compile, or load, what only some runs of a twin need."""
        _compiled().warm.warm_up_run(twin, dtype, samples, retention, input_gradient=input_gradient)

    def prepare_step(self, twin: Layer | Head, dtype: np.dtype[Any]) -> None:
        """Compile what a twin's step in a stream is made of, or load it."""
        _compiled().warm.warm_up_steps(twin, dtype)

    def place(self) -> str:
        """Return the folder that code is kept in."""
        from rnnframe_compiled.place import place

        found = place()
        return str(found.folder) if found and found.lasts else ""

    @property
    def rounding(self) -> Rounding:
        """A vector at a time."""
        return Rounding(_compiled().rounding.round_to_bfloat16, _compiled().rounding.widen_bfloat16)


@functools.cache
def _compiled() -> ModuleType:
    """Return the package with its modules: numba decides where code is kept when a function is defined."""
    from rnnframe_compiled.place import kept

    with made_whole(), kept():
        import rnnframe_compiled.heads
        import rnnframe_compiled.joined
        import rnnframe_compiled.kinds
        import rnnframe_compiled.masks
        import rnnframe_compiled.packing
        import rnnframe_compiled.rounding
        import rnnframe_compiled.warm

    return rnnframe_compiled


def _head(head: Head, dtype: np.dtype[Any], precision: str | None) -> Head | None:
    if type(head.readout) is not Affine:
        return None
    return Head(loss=loss_from(head.loss, dtype), readout=readout_from(head.readout, dtype, precision))


def twin_from(cell: Layer, dtype: np.dtype[Any], precision: str | None = None) -> Layer | None:
    """Make a twin that was pickled: in this way its code comes from where code for these sources is kept."""
    twin: Layer | None = _compiled().kinds.twin_of(cell, dtype, precision)
    return twin


def loss_from(loss: Loss, dtype: np.dtype[Any]) -> Loss:
    """Make the twin of a loss, as where one was pickled."""
    found: Loss = _compiled().heads.compiled_loss(loss, dtype)
    return found


def readout_from(readout: Affine, dtype: np.dtype[Any], precision: str | None = None) -> Readout:
    """Make the twin of a readout, as where one was pickled."""
    found: Readout = _compiled().heads.CompiledAffine(readout=readout, dtype=dtype, precision=precision)
    return found


@hookimpl
def rnnframe_kernels() -> tuple[type[Kernels], ...]:
    """Return the compiled kernels."""
    return (Compiled,)
