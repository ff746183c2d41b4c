"""Compiling ahead of the first use: once for a cell and a type on a machine, then loaded from the disk."""

from contextlib import suppress
from typing import Any

import attrs
import numpy as np

from rnnframe.plugin import BlockPass, Head, TapeRetention, Vector
from rnnframe_compiled.heads import warm_up_head
from rnnframe_compiled.joined import warm_up_step
from rnnframe_compiled.packing import transpose
from rnnframe_compiled.place import place
from rnnframe_compiled.twins import Twin

_ready: set[str] = set()


def is_ready(twin: Twin | Head, dtype: np.dtype[Any]) -> bool:
    """Tell whether the code of a twin is there, in this process or on the disk."""
    kind, found = _kind(twin, dtype), place()
    return kind in _ready or (found is not None and found.note(kind).exists())


def warm_up(twin: Twin | Head, dtype: np.dtype[Any]) -> None:
    """Run what a twin computes on a few numbers, so that all its code is there."""
    kind, found = _kind(twin, dtype), place()
    if kind in _ready:
        return
    if isinstance(twin, Head):
        warm_up_head(np.dtype(dtype), _precision(twin))
    else:
        _run(twin, np.dtype(dtype))
    if _precision(twin) is None:
        warm_up_step(type(twin).__name__, np.dtype(dtype))
    _ready.add(kind)
    if found is not None:
        with suppress(OSError):  # a full disk: the next process compiles again
            found.note(kind).touch()


def _kind(twin: Twin | Head, dtype: np.dtype[Any]) -> str:
    return f"{'CompiledHead' if isinstance(twin, Head) else type(twin).__name__}-{_precision(twin) or np.dtype(dtype)}"


def _precision(twin: Twin | Head) -> str | None:
    found: str | None = getattr(twin.readout if isinstance(twin, Head) else twin, "precision", None)
    return found


def _run(cell: Twin, dtype: np.dtype[Any]) -> None:
    small: Twin = attrs.evolve(cell, cell=attrs.evolve(cell.cell, **cell.sizes))
    steps, batch, inputs = 2, 1, 1
    parameters, derived = (Vector.zeros(shapes, dtype) for shapes in (small.parameters(inputs), small.derived(inputs)))
    weights = {**parameters, **derived}
    small.derive(weights)
    small.derive_reverse(weights)
    state, widths = small.state(inputs), small.tape(inputs)
    shapes = {name: (steps + (name in state), batch, width) for name, width in {**state, **widths}.items()}
    sizes = small.scratch(inputs).items()
    scratch = Vector({name: size if isinstance(size, tuple) else (steps, batch, size) for name, size in sizes}, dtype)
    x, dh = np.zeros((steps, batch, inputs), dtype), np.zeros((steps, batch, small.width(inputs)), dtype)
    tape, gradients = Vector.zeros(shapes, dtype), Vector.zeros(small.parameters(inputs), dtype)
    dstate = Vector.zeros({name: (batch, width) for name, width in state.items()}, dtype)
    block = BlockPass(weights, x, tape, scratch, inputs)
    small.forward(block)
    retentions: tuple[TapeRetention, ...] = ("lean", "states")
    for retention in retentions:
        small.rebuild(block, retention)
    small.backward(block, dh, dstate, gradients, np.zeros_like(x))
    transpose(dtype.type(1), np.zeros((2, 3), dtype), np.zeros((3, 2), dtype))
