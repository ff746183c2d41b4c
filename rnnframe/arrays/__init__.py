"""Named arrays in one flat vector, and the matrix products that layers are made of."""

from rnnframe.arrays.rounding import Rounding, round_to_bfloat16, widen_bfloat16
from rnnframe.arrays.vector import (
    ALIGNMENT,
    Array,
    Arrays,
    Shapes,
    Vector,
    aligned_bytes,
    aligned_empty,
    outside,
    size_of,
)

__all__ = [
    "ALIGNMENT",
    "Array",
    "Arrays",
    "Rounding",
    "Shapes",
    "Vector",
    "aligned_bytes",
    "aligned_empty",
    "outside",
    "round_to_bfloat16",
    "size_of",
    "widen_bfloat16",
]
