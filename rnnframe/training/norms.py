"""The norm of a gradient, and where it is not finite."""

import math

import numpy as np

from rnnframe.arrays import Vector


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is an error of its own
def global_norm(gradients: Vector) -> float:
    """Return the Euclidean norm over all gradients; summed in float64, so that float32 squares cannot overflow."""
    flat = gradients.flat
    square = float(np.dot(flat, flat))
    if not math.isfinite(square) or square < np.finfo(flat.dtype).tiny:
        return math.sqrt(float(np.einsum("i,i->", flat, flat, dtype=np.float64)))
    return math.sqrt(square)


def first_non_finite_name(gradients: Vector) -> str:
    """Return the name of the first array with a value that is not finite."""
    return next((name for name, view in gradients.items() if not np.isfinite(view).all()), "no array")
