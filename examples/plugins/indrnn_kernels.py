"""Kernels for the cell of indrnn.py: its loop over time as machine code, by numba."""

from importlib.util import find_spec

import attrs
import numpy as np

from rnnframe.plugin import (
    Cell,
    Kernels,
    add_column_sums,
    add_input_product,
    panel_shape,
    project,
    write_input_gradient,
)


@attrs.frozen(kw_only=True)
class Twin(Cell):
    """IndRNN with the same parameters, state and tape; no `name`, since no spec names it."""

    cell: Cell

    def parameters(self, inputs):
        return self.cell.parameters(inputs)

    def initialize(self, parameters, rng):
        self.cell.initialize(parameters, rng)

    def state(self, inputs):
        return self.cell.state(inputs)

    def tape(self, inputs):
        return self.cell.tape(inputs)

    def scratch(self, inputs):
        return {"dz": self.hidden, "panel": panel_shape(inputs, self.hidden)}

    def forward(self, block):
        weights, x, tape = block.weights, block.x, block.tape
        project(x, weights["U"], tape["h"][1:])
        loops()[0](tape["h"], weights["u"], weights["b"])

    def backward(self, block, dh, dstate, gradients, dx):
        weights, x, tape, scratch = block.weights, block.x, block.tape, block.scratch
        dz = scratch["dz"]
        loops()[1](tape["h"], weights["u"], dh, dstate["h"], dz, gradients["u"])
        add_input_product(x, dz, gradients["U"], scratch["panel"])
        add_column_sums(dz, gradients["b"])
        write_input_gradient(dz, weights["U"], dx)


@attrs.frozen(kw_only=True)
class Loops(Kernels):
    """The loops of the independently recurrent network, compiled when the first engine is made."""

    name = "indrnn-loops"

    def missing(self):
        return "" if find_spec("numba") else "numba is not installed; pip install numba"

    def twin(self, cell, dtype):
        return Twin(hidden=cell.hidden, cell=cell) if cell.name == "indrnn-steps" else None

    def cells(self):
        return ("indrnn-steps",)

    def is_ready(self, twin, dtype):
        return str(dtype) in _ready

    def prepare(self, twin, dtype):
        h, u, dstate = np.zeros((2, 1, 1), dtype), np.zeros(1, dtype), np.zeros((1, 1), dtype)
        loops()[0](h, u, u)
        loops()[1](h, u, h[1:], dstate, h[1:].copy(), u.copy())
        _ready.add(str(dtype))


_ready = set()


def loops():
    """Return the loops forward and back; numba is imported here and not before."""
    if not _loops:
        from numba import njit

        _loops.extend(njit(nogil=True)(function) for function in (run, reverse))
    return _loops


_loops = []


def run(h, u, b):
    for t in range(len(h) - 1):
        for n in range(h.shape[1]):
            for j in range(h.shape[2]):
                h[t + 1, n, j] = max(h[t + 1, n, j] + u[j] * h[t, n, j] + b[j], 0)


def reverse(h, u, dh, dstate, dz, du):
    for t in range(len(h) - 2, -1, -1):
        for n in range(h.shape[1]):
            for j in range(h.shape[2]):
                dz[t, n, j] = (dh[t, n, j] + dstate[n, j]) * (h[t + 1, n, j] > 0)
                du[j] += dz[t, n, j] * h[t, n, j]
                dstate[n, j] = dz[t, n, j] * u[j]
