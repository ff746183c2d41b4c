"""lru: the linear recurrent unit of Orvieto, Smith, Gu et al. (2023), arXiv 2303.06349.

    s_t = λ ∘ s_(t-1) + γ ∘ (x_t U);  y_t = Re(s_t C) + b        λ = exp(-exp ν + i exp θ), |λ| < 1

s is complex: N real parts stand before N imaginary ones. A step keeps s alone; y follows from it by one product.
"""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import and_, ge, gt, lt

from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    Layer,
    Sizes,
    TapeRetention,
    Widths,
    add_column_sums,
    add_input_product,
    add_product,
    panel_shape,
    project,
    rows,
    write_input_gradient,
)


def _radius(default: float, help: str) -> float:
    value: float = attrs.field(default=default, validator=and_(gt(0), lt(1)), metadata={"help": help})
    return value


@attrs.frozen(kw_only=True)
class LRU(Layer):
    """Linear recurrent unit; U [inputs, 2N], ν, θ and γ [N], C [2N, units], b [units]."""

    name: ClassVar[str] = "lru"
    output: ClassVar[str] = "y"
    units: int = attrs.field(default=128, validator=ge(1), metadata={"help": "values that come out"})
    states: int = attrs.field(default=128, validator=ge(1), metadata={"help": "complex numbers N of the state"})
    least: float = _radius(0.9, "smallest |λ| to start with")
    most: float = _radius(0.999, "largest |λ| to start with")

    def width(self, inputs: int) -> int:
        """The units."""
        return self.units

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, nu, theta, gamma (its logarithm), C and b."""
        N = self.states
        circle = {"nu": (N,), "theta": (N,), "gamma": (N,)}
        return {"U": (inputs, 2 * N), **circle, "C": (2 * N, self.units), "b": (self.units,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw λ uniformly from a ring, with small angles; γ makes the state as large as its inputs."""
        N, U, C = self.states, parameters["U"], parameters["C"]
        U[...] = rng.normal(0, (2 * len(U)) ** -0.5, U.shape)
        C[...] = rng.normal(0, N**-0.5, C.shape)
        low, high = sorted((self.least, self.most))
        square = rng.uniform(low**2, high**2, N)
        parameters["nu"][...] = np.log(-0.5 * np.log(square))
        parameters["theta"][...] = np.log(rng.uniform(1e-4, np.pi / 10, N))
        parameters["gamma"][...] = 0.5 * np.log(1 - square)
        parameters["b"].fill(0)

    def state(self, inputs: int) -> Widths:
        """The state is s."""
        return {"s": 2 * self.states}

    def tape(self, inputs: int) -> Widths:
        """A step leaves s; y follows from it."""
        return {"s": 2 * self.states, "y": self.units}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """`backward` does not read y: it is computed again only where a layer above needs it."""
        return ("s",) if retention == "states" else ("s", "y")

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Multiply s again."""
        self._read(block)

    def scratch(self, inputs: int) -> Sizes:
        """ds, the product λ s, dλ, the gradient of γ U, and a panel for products."""
        N = 2 * self.states
        panel = panel_shape(max(inputs, N), max(N, self.units))
        return {"ds": N, "product": N, "dfactor": (N,), "dscaled": (inputs, N), "panel": panel}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """λ, its real parts first, and U times γ."""
        return {"factor": (2 * self.states,), "scaled": (inputs, 2 * self.states)}

    def derive(self, weights: Arrays) -> None:
        """λ = exp(-exp ν + i exp θ)."""
        N, size, angle = self.states, np.exp(-np.exp(weights["nu"])), np.exp(weights["theta"])
        weights["factor"][:N], weights["factor"][N:] = size * np.cos(angle), size * np.sin(angle)
        np.multiply(weights["U"], np.tile(np.exp(weights["gamma"]), 2), out=weights["scaled"])

    def forward(self, block: BlockPass) -> None:
        """One product into s, the recurrence, one product out of it."""
        s, product = block.tape["s"], block.scratch["product"][0]
        project(block.x, block.weights["scaled"], s[1:])
        for t in range(block.steps):
            _rotate(block.weights["factor"], s[t], s[t + 1], product)
        self._read(block)

    def _read(self, block: BlockPass) -> None:
        np.matmul(rows(block.tape["s"][1:]), block.weights["C"], out=rows(block.tape["y"]))
        block.tape["y"][...] += block.weights["b"]

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """ds_t = C dy_t + conj(λ) ds_(t+1), with real and imaginary parts as two numbers."""
        N, weights, s = self.states, block.weights, block.tape["s"]
        ds, carried, panel = block.scratch["ds"], dstate["s"], block.scratch["panel"]
        back = weights["factor"] * np.repeat(np.array([1, -1], ds.dtype), N)
        add_product(s[1:], dh, gradients["C"], panel)
        add_column_sums(dh, gradients["b"])
        np.matmul(rows(dh), weights["C"].T, out=rows(ds))
        for t in reversed(range(block.steps)):
            ds[t] += carried
            carried.fill(0)
            _rotate(back, ds[t], carried, block.scratch["product"][0])
        self._write_of_factor(block, block.scratch["dfactor"])
        self.add_of_factor(weights, block.scratch["dfactor"], gradients)
        dscaled = block.scratch["dscaled"]
        dscaled.fill(0)
        add_input_product(block.x, ds, dscaled, panel)
        self.add_of_scaled(weights, dscaled, gradients)
        write_input_gradient(ds, weights["scaled"], dx)

    def _write_of_factor(self, block: BlockPass, total: Array) -> None:
        """Write dλ, the sum of ds_t conj(s_(t-1)), real parts first."""
        N, ds, before = self.states, block.scratch["ds"], block.tape["s"][:-1]
        total[:N] = np.einsum("lbn,lbn->n", ds[..., :N], before[..., :N])
        total[:N] += np.einsum("lbn,lbn->n", ds[..., N:], before[..., N:])
        total[N:] = np.einsum("lbn,lbn->n", ds[..., N:], before[..., :N])
        total[N:] -= np.einsum("lbn,lbn->n", ds[..., :N], before[..., N:])

    def add_of_scaled(self, weights: Arrays, dscaled: Array, gradients: Arrays) -> None:
        """Add dU and dγ, from the gradient of γ U."""
        N = self.states
        gradients["U"][...] += dscaled * np.tile(np.exp(weights["gamma"]), 2)
        of_gamma = np.einsum("ij,ij->j", dscaled, weights["scaled"])
        gradients["gamma"][...] += of_gamma[:N] + of_gamma[N:]

    def add_of_factor(self, weights: Arrays, total: Array, gradients: Arrays) -> None:
        """Add dν = -exp ν Re(conj(λ) dλ) and dθ = exp θ Im(conj(λ) dλ), from dλ."""
        N = self.states
        real, imaginary = np.split(weights["factor"], 2)
        gradients["nu"][...] -= np.exp(weights["nu"]) * (total[:N] * real + total[N:] * imaginary)
        gradients["theta"][...] += np.exp(weights["theta"]) * (total[N:] * real - total[:N] * imaginary)


def _rotate(factor: Array, s: Array, into: Array, product: Array) -> None:
    """Add the complex product factor · s, real parts first, to `into`."""
    N = len(factor) // 2
    real, imaginary = factor[:N], factor[N:]
    np.multiply(s[:, :N], real, out=product[:, :N])
    np.multiply(s[:, N:], real, out=product[:, N:])
    into += product
    np.multiply(s[:, N:], imaginary, out=product[:, :N])
    np.multiply(s[:, :N], imaginary, out=product[:, N:])
    into[:, :N] -= product[:, :N]
    into[:, N:] += product[:, N:]
