"""How much of a chunk's tape stays until its reverse, as a layer is asked for it and as a store asks."""

from typing import Literal, TypeAlias

TapeRetention: TypeAlias = Literal["whole", "lean", "states"]
"""How much of a chunk's tape stays until its reverse: all that is worth it; what only a product gives; the states."""
StoredTapes: TypeAlias = Literal["whole", "lean", "states", "bfloat16"]
"""What a store keeps of tapes: as `TapeRetention`, or "bfloat16", the whole tape rounded to two bytes a number."""


def of_layers(stored: StoredTapes) -> TapeRetention:
    """Return what layers are asked for: a tape that is rounded is a whole one."""
    return "whole" if stored == "bfloat16" else stored
