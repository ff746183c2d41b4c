"""Compiling ahead of the first use: once for a cell and a type on a machine, then loaded from the disk."""

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import attrs
import numpy as np
from numba.np.numpy_support import from_dtype

from rnnframe.plugin import BlockPass, Head, TapeRetention, Vector
from rnnframe_compiled.gradients import gradient_products
from rnnframe_compiled.heads import warm_up_head
from rnnframe_compiled.interrupts import made_whole
from rnnframe_compiled.joined import warm_up_step
from rnnframe_compiled.place import place
from rnnframe_compiled.products import FEW, product
from rnnframe_compiled.second_process import helped
from rnnframe_compiled.twins import Twin, unit_of

SHARED = {"product": product.shared, "gradient_products": gradient_products.shared}
"""What all twins share, by name."""

_ready: set[str] = set()


def is_ready(twin: Twin | Head, dtype: np.dtype[Any]) -> bool:
    """Tell whether the code of a twin is there, in this process or on the disk."""
    kind, found = _kind(twin, dtype), place()
    return kind in _ready or (found is not None and found.note(kind).exists())


def warm_up(twin: Twin | Head | str, dtype: np.dtype[Any]) -> None:
    """Run what a twin computes on a few numbers, so that all its code is there; or make ready what twins share."""
    if isinstance(twin, str):
        with made_whole():
            SHARED[twin].make_ready(from_dtype(dtype))
        return
    kind, found = _kind(twin, dtype), place()
    if kind in _ready:
        return
    if isinstance(twin, Head):
        warm_up_head(np.dtype(dtype), _precision(twin))
    else:
        _run(twin, np.dtype(dtype))
    _ready.add(kind)
    if found is not None:
        with suppress(OSError):  # a full disk: the next process compiles again
            found.note(kind).touch()


def warm_up_all(twins: Sequence[Twin | Head], dtype: np.dtype[Any]) -> None:
    """Run what several twins compute; a helper compiles some of it, where there can be one.

    What they share is compiled first, here one half of it and there the other.
    """
    kinds = {_kind(twin, dtype): twin for twin in twins if not is_ready(twin, dtype)}
    units = {np.dtype(type(unit_of(np.dtype(dtype), _precision(twin)))) for twin in kinds.values()}
    tasks = deque[Any]((twin, dtype) for twin in kinds.values())
    tasks.extendleft(("product", unit) for unit in units)
    tasks.extend(("gradient_products", unit) for unit in units)
    with helped(place(), tasks), suppress(IndexError):
        while True:
            warm_up(*tasks.popleft())
    for twin in twins:
        warm_up(twin, dtype)


def warm_up_run(
    twin: Twin | Head, dtype: np.dtype[Any], samples: int | None, retention: TapeRetention, *, input_gradient: bool
) -> None:
    """Have the code there too that only some runs need, of which this is one: see `rnnframe_compiled.rare`."""
    samples = FEW if samples is None else min(samples, FEW)
    what = f"{_kind(twin, dtype)} {samples} {retention} {input_gradient}"
    if isinstance(twin, Twin) and what not in _ready:
        _run(twin, np.dtype(dtype), samples, retention, input_gradient=input_gradient)
        _ready.add(what)


def warm_up_steps(twin: Twin | Head, dtype: np.dtype[Any]) -> None:
    """Have the code of single steps there too, which streams alone run."""
    if _precision(twin) is None:
        warm_up_step(type(twin).__name__, np.dtype(dtype))


def _kind(twin: Twin | Head, dtype: np.dtype[Any]) -> str:
    return f"{'CompiledHead' if isinstance(twin, Head) else type(twin).__name__}-{_precision(twin) or np.dtype(dtype)}"


def _precision(twin: Twin | Head) -> str | None:
    found: str | None = getattr(twin.readout if isinstance(twin, Head) else twin, "precision", None)
    return found


def _run(
    cell: Twin,
    dtype: np.dtype[Any],
    batch: int = FEW,
    retention: TapeRetention = "whole",
    *,
    input_gradient: bool = False,
) -> None:
    small: Twin = attrs.evolve(cell, cell=attrs.evolve(cell.cell, **cell.sizes))
    steps, inputs = 2, 1
    parameters, derived = (Vector.zeros(shapes, dtype) for shapes in (small.parameters(inputs), small.derived(inputs)))
    weights = {**parameters, **derived}
    with made_whole():
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
    with made_whole():
        small.forward(block)
    if retention != "whole":
        with made_whole():
            small.rebuild(block, retention)
    with made_whole():
        small.backward(block, dh, dstate, gradients, np.zeros_like(x) if input_gradient else None)
