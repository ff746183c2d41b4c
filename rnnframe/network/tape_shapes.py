"""Which arrays of a tape stay with their chunk, which are rounded there, and which all tapes of a shard share."""

from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Shapes, size_of
from rnnframe.contracts.retention import StoredTapes, TapeRetention, of_layers
from rnnframe.errors import OptionError
from rnnframe.network.placed import PlacedLayer

ENDS = "@ends"
"""What the name of the rows before and after a chunk ends with, of a state that is not kept."""
ROUNDED = "@rounded"
"""The name of what is rounded: in the dtype of the tape, two numbers in one."""


@attrs.frozen
class TapeShapes:
    """The shapes of what stays with a chunk, and of what does not.

    Parameters
    ----------
    kept
        What stays with a chunk. It begins with the state at its start, and ends with what is rounded.
    shared
        The other arrays. It begins with those that are rounded.
    rounded
        How many numbers those are.
    retention
        What layers are asked for.
    rebuilt
        Those, by prefix, that make arrays again.
    """

    kept: Shapes
    shared: Shapes
    rounded: int
    retention: TapeRetention
    rebuilt: frozenset[str]


def check_rounding(stored: StoredTapes, dtype: np.dtype[Any]) -> None:
    """Raise `OptionError` for tapes that are rounded in a network of another dtype than float32."""
    if stored == "bfloat16" and dtype != np.float32:
        raise OptionError(
            f"tapes in bfloat16 (keep=bfloat16) need a network of dtype float32, not {dtype}; take keep=lean, which is "
            "exact, or float32"
        )


def tape_shapes(
    layers: tuple[PlacedLayer, ...], steps: int, batch: int, stored: StoredTapes, *, exact_outputs: bool = True
) -> TapeShapes:
    """Return the shapes of a chunk's tape; where it is rounded, the outputs of the top layer can be left exact."""
    kept: dict[str, tuple[int, ...]] = {}
    rounded: dict[str, tuple[int, ...]] = {}
    working: dict[str, tuple[int, ...]] = {}
    rounds, rebuilt = stored == "bfloat16", set[str]()
    for layer in layers:
        top = rounds and exact_outputs and layer is layers[-1]
        stays, exact = set(layer.retained_arrays(of_layers(stored))), set(layer.unrounded)
        if top:
            exact.add(layer.layer.output)
            if stays or len(layers) > 1:  # what is made again of rounded arrays would be another output
                stays = set(layer.tape)
        for name, width in layer.tape.items():
            into = working if name not in stays else rounded if rounds and name not in exact else kept
            into[f"{layer.prefix}.{name}"] = (steps + (name in layer.state), batch, width)
        for name in sorted(layer.state.keys() - layer.tape.keys()):
            kept[f"{layer.prefix}.{name}"] = (2, batch, layer.state[name])
        for name in sorted(layer.state.keys() & layer.tape.keys()):
            if f"{layer.prefix}.{name}" not in kept:
                kept[f"{layer.prefix}.{name}{ENDS}"] = (2, batch, layer.state[name])
        if not layer.tape.keys() <= stays:
            rebuilt.add(layer.prefix)
    numbers = size_of(rounded)
    if numbers:
        kept[ROUNDED] = (-(-numbers // 2),)
    return TapeShapes(kept, rounded | working, numbers, of_layers(stored), frozenset(rebuilt))
