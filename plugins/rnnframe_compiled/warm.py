"""Compiling ahead of the first use: once for a cell and a type on a machine, then loaded from the disk."""

from typing import Any

import attrs
import numpy as np

from rnnframe import Network
from rnnframe.contracts import Tapes
from rnnframe.pieces import Block
from rnnframe_compiled.heads import CompiledHead, warm_up_head
from rnnframe_compiled.place import place
from rnnframe_compiled.twins import Twin

_ready: set[str] = set()


def is_ready(twin: Twin | CompiledHead, dtype: np.dtype[Any]) -> bool:
    """Tell whether the code of a twin is there, in this process or on the disk."""
    kind, found = _kind(twin, dtype), place()
    return kind in _ready or (found is not None and found.note(kind).exists())


def warm_up(twin: Twin | CompiledHead, dtype: np.dtype[Any]) -> None:
    """Run what a twin computes on a few numbers, so that all its code is there."""
    kind, found = _kind(twin, dtype), place()
    if kind in _ready:
        return
    if isinstance(twin, CompiledHead):
        warm_up_head(np.dtype(dtype))
    else:
        _run(twin, np.dtype(dtype))
    _ready.add(kind)
    if found is not None:
        found.note(kind).touch()


def _kind(twin: Twin | CompiledHead, dtype: np.dtype[Any]) -> str:
    return f"{type(twin).__name__}-{np.dtype(dtype)}"


def _run(cell: Twin, dtype: np.dtype[Any]) -> None:
    small = attrs.evolve(cell, hidden=2, cell=attrs.evolve(cell.cell, hidden=2))
    network = Network([small], "mse:outputs=1", inputs=1, dtype=str(dtype))
    steps, batch = 2, 1
    block = Block.whole(np.zeros((steps, batch, 1), dtype), np.zeros((steps, batch, 1), dtype))
    kept: tuple[Tapes, ...] = ("whole", "lean", "states")
    for tapes in kept:
        state, dstate = network.new_state(batch), network.new_state(batch)
        tape, scratch = network.new_tape(steps, batch, tapes), network.new_scratch(steps, batch)
        network.forward(network.weights, block, state, tape, scratch)
        tape.working.holds = 0
        network.reverse(network.weights, block, tape, dstate, network.new_gradients(), scratch)
