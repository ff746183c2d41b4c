"""Compiling ahead of the first use: once for a cell and a type on a machine, then loaded from the disk."""

import sys
import time
from typing import Any

import attrs
import numpy as np

from rnnframe import Cell, Network
from rnnframe.contracts import Tapes
from rnnframe.pieces import Block
from rnnframe_compiled.twins import Twin

TOLD = 1.0
"""Seconds from which on compiling is worth a word."""
_ready: set[tuple[type[Cell], np.dtype[Any]]] = set()


def warm_up(cell: Twin, dtype: np.dtype[Any]) -> float:
    """Run a small block of a twin forward and back, so that all its code is there; return the seconds it took."""
    kind = type(cell), np.dtype(dtype)
    if kind in _ready:
        return 0.0
    begun = time.perf_counter()
    _run(cell, np.dtype(dtype))
    _ready.add(kind)
    seconds = time.perf_counter() - begun
    if seconds >= TOLD:
        print(f"rnnframe: compiled {cell.name} for {dtype} in {seconds:.1f} s; the code is kept", file=sys.stderr)
    return seconds


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
