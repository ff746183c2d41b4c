"""Functions of one value and their slopes, for layers that are computed for all steps at once.

gelu is the approximation by tanh of Hendrycks & Gimpel (2016), arXiv 1606.08415; silu is x σ(x).
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

import numpy as np

from rnnframe.plugin import Array

Name: TypeAlias = Literal["identity", "tanh", "sigmoid", "relu", "gelu", "silu"]
NAMES: tuple[Name, ...] = ("identity", "tanh", "sigmoid", "relu", "gelu", "silu")
_ROOT, _CUBE = float(np.sqrt(2 / np.pi)), 0.044715


def write_sigmoid(z: Array, out: Array) -> None:
    """Write σ(z) = tanh(z/2)/2 + 1/2."""
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5


def write_value(name: Name, z: Array, out: Array) -> None:
    """Write f(z); `out` is not z."""
    _VALUES[name](z, out)


def needs_room(name: Name) -> bool:
    """Whether a slope is computed in two arrays."""
    return name in ("sigmoid", "gelu", "silu")


def write_slope(name: Name, z: Array, out: Array, spare: Array) -> None:
    """Write f'(z); `out` is not z, and `spare` is room of the same shape where the function `needs_room`."""
    _SLOPES[name](z, out, spare)


def _relu(z: Array, out: Array) -> None:
    np.maximum(z, 0, out=out)


def _gelu(z: Array, out: Array) -> None:
    _gate(z, out)
    out += 1
    out *= z
    out *= 0.5


def _gate(z: Array, out: Array) -> None:
    """Write tanh(√(2/π) (z + 0.044715 z³))."""
    np.multiply(z, z, out=out)
    out *= _CUBE
    out += 1
    out *= z
    out *= _ROOT
    np.tanh(out, out=out)


def _silu(z: Array, out: Array) -> None:
    write_sigmoid(z, out)
    out *= z


def _identity_slope(z: Array, out: Array, spare: Array) -> None:
    out.fill(1)


def _tanh_slope(z: Array, out: Array, spare: Array) -> None:
    np.tanh(z, out=out)
    np.multiply(out, out, out=out)
    np.subtract(1, out, out=out)


def _sigmoid_slope(z: Array, out: Array, spare: Array) -> None:
    write_sigmoid(z, out)
    np.subtract(1, out, out=spare)
    out *= spare


def _relu_slope(z: Array, out: Array, spare: Array) -> None:
    np.greater(z, 0, out=out, casting="unsafe")


def _gelu_slope(z: Array, out: Array, spare: Array) -> None:
    """Write (1 + t)/2 + z (1 - t²) √(2/π) (1 + 3 · 0.044715 z²)/2, with 1 - t² = (1 + t)(1 - t)."""
    _gate(z, out)
    np.multiply(z, z, out=spare)
    spare *= 3 * _CUBE
    spare += 1
    spare *= z
    spare *= _ROOT
    np.subtract(1, out, out=out)
    spare *= out
    spare += 1
    np.subtract(2, out, out=out)  # 1 + t
    out *= spare
    out *= 0.5


def _silu_slope(z: Array, out: Array, spare: Array) -> None:
    """Write σ (1 + z (1 - σ))."""
    write_sigmoid(z, out)
    np.subtract(1, out, out=spare)
    spare *= z
    spare += 1
    out *= spare


_VALUES: dict[str, Callable[[Array, Array], object]] = {
    "identity": lambda z, out: np.copyto(out, z),
    "tanh": lambda z, out: np.tanh(z, out=out),
    "sigmoid": write_sigmoid,
    "relu": _relu,
    "gelu": _gelu,
    "silu": _silu,
}
_SLOPES: dict[str, Callable[[Array, Array, Array], None]] = {
    "identity": _identity_slope,
    "tanh": _tanh_slope,
    "sigmoid": _sigmoid_slope,
    "relu": _relu_slope,
    "gelu": _gelu_slope,
    "silu": _silu_slope,
}
