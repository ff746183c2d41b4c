"""Kernels for rnnframe: the loop over time of the cell `indrnn` as machine code, compiled by numba.

Replace the cell and the loops with yours. A twin has the parameters, the state and the tape of the cell that it
replaces; the tests compare its results with those of the cell.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

import attrs
import numpy as np

import rnnframe as rf
from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    Head,
    Kernels,
    Layer,
    Sizes,
    Widths,
    add_column_sums,
    add_input_product,
    hookimpl,
    panel_shape,
    project,
    write_input_gradient,
)


@attrs.frozen(kw_only=True)
class Example(Kernels):
    """Compute `indrnn` with the activation relu."""

    name: ClassVar[str] = "example"

    def missing(self) -> str:
        """Say how to install numba where it is missing."""
        return "" if find_spec("numba") else "numba is not installed; run: pip install numba"

    def twin(self, layer: Layer, dtype: np.dtype[Any]) -> Layer | None:
        """Return a twin of that cell itself: a subclass may compute something else."""
        is_ours = type(layer) is type(rf.cell("indrnn")) and getattr(layer, "activation", "") == "relu"
        return Twin(cell=layer) if is_ours else None

    def cells(self) -> Iterable[str]:
        """What `rnnframe warmup` compiles, and what the tests try."""
        return ("indrnn",)

    def is_ready(self, twin: Layer | Head, dtype: np.dtype[Any]) -> bool:
        """Whether the loops were compiled for that type in this process."""
        return str(dtype) in _compiled

    def prepare(self, twin: Layer | Head, dtype: np.dtype[Any]) -> None:
        """Compile the loops by running them on one step."""
        h, vector, rows = np.zeros((2, 1, 1), dtype), np.zeros(1, dtype), np.zeros((1, 1), dtype)
        forward, backward = loops()
        forward(h, vector, vector)
        backward(h, vector, h[1:].copy(), rows, h[1:].copy(), vector.copy())
        _compiled.add(str(dtype))


@attrs.frozen(kw_only=True)
class Twin(Layer):
    """`indrnn`, compiled. It needs no name, as no spec names it."""

    cell: Layer

    def width(self, inputs: int) -> int:
        """That of the cell."""
        return self.cell.width(inputs)

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Those of the cell."""
        return self.cell.parameters(inputs)

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """As the cell does."""
        self.cell.initialize(parameters, rng)

    def state(self, inputs: int) -> Widths:
        """That of the cell."""
        return self.cell.state(inputs)

    def tape(self, inputs: int) -> Widths:
        """That of the cell."""
        return self.cell.tape(inputs)

    def scratch(self, inputs: int) -> Sizes:
        """dz per step, and a panel for the product that becomes dU."""
        width = self.width(inputs)
        return {"dz": width, "panel": panel_shape(inputs, width)}

    def forward(self, block: BlockPass) -> None:
        """x U for the whole block at once, then the compiled loop."""
        h, weights = block.tape["h"], block.weights
        project(block.x, weights["U"], h[1:])
        loops()[0](h, weights["w"], weights["b"])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """The compiled loop, then the products of the whole block."""
        weights, scratch = block.weights, block.scratch
        dz = scratch["dz"]
        loops()[1](block.tape["h"], weights["w"], dh, dstate["h"], dz, gradients["w"])
        add_input_product(block.x, dz, gradients["U"], scratch["panel"])
        add_column_sums(dz, gradients["b"])
        write_input_gradient(dz, weights["U"], dx)


_compiled: set[str] = set()


@cache
def loops() -> tuple[Callable[..., None], Callable[..., None]]:
    """Return the loops of both directions; numba is imported here and not before."""
    from numba import njit

    return njit(nogil=True)(_forward), njit(nogil=True)(_backward)


def _forward(h: Array, w: Array, b: Array) -> None:
    """h [L + 1, B, H]: the rows behind the first hold x U and become h."""
    for t in range(len(h) - 1):
        for n in range(h.shape[1]):
            for j in range(h.shape[2]):
                h[t + 1, n, j] = max(h[t + 1, n, j] + w[j] * h[t, n, j] + b[j], 0)


def _backward(h: Array, w: Array, dh: Array, dstate: Array, dz: Array, dw: Array) -> None:
    """Write dz [L, B, H], add into dw [H] and replace dstate [B, H]."""
    for t in range(len(h) - 2, -1, -1):
        for n in range(h.shape[1]):
            for j in range(h.shape[2]):
                dz[t, n, j] = (dh[t, n, j] + dstate[n, j]) * (h[t + 1, n, j] > 0)
                dw[j] += dz[t, n, j] * h[t, n, j]
                dstate[n, j] = dz[t, n, j] * w[j]


@hookimpl
def rnnframe_kernels() -> Iterable[type[Kernels]]:
    """Provide the kernels."""
    return [Example]
