"""Named arrays in one flat vector, and the matrix products that layers are made of."""

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
    "Shapes",
    "Vector",
    "aligned_bytes",
    "aligned_empty",
    "outside",
    "size_of",
]
