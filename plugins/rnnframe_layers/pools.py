"""Pools: what a head at the last step of a sample reads of all its steps, as layers with a state that grows along.

    mean-pool       h_t = mean of x_1 ... x_t
    max-pool        h_t = the largest of x_1 ... x_t, value by value
    attention-pool  h_t = Σ_s w_s x_s / Σ_s w_s,   w_s = exp(v · tanh(x_s K + b))

With a head of at=last each pools over the real steps of a sample. The weights of attention are those of Bahdanau, Cho &
Bengio (2015), arXiv 1409.0473, without a query. Their sum is kept as a logarithm l, so that it cannot overflow: h_t is
h_(t-1) + a_t (x_t - h_(t-1)) with a_t = exp(s_t - l_t). n counts steps: a state of zeros is one of no step.
"""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    Sizes,
    TapeRetention,
    Widths,
    add_column_sums,
    add_product,
    panel_shape,
    rows,
)
from rnnframe_layers.plain import Plain, fill_glorot, units_option


@attrs.frozen(kw_only=True)
class MeanPool(Plain):
    """The mean of all inputs until now."""

    name: ClassVar[str] = "mean-pool"
    multiplies: ClassVar[bool] = False
    output: ClassVar[str] = "h"
    order_free: ClassVar[bool] = True

    def state(self, inputs: int) -> Widths:
        """The pooled values, and how many steps there were."""
        return {"h": inputs, "n": 1}

    def tape(self, inputs: int) -> Widths:
        """The state."""
        return {"h": inputs, "n": 1}

    @property
    def unrounded(self) -> tuple[str, ...]:
        """The number of steps, which rounding would change from 257 on."""
        return ("n",)

    def forward(self, block: BlockPass) -> None:
        """h_t = h_(t-1) + (x_t - h_(t-1)) / n_t."""
        x, h, n = block.x, block.tape["h"], block.tape["n"]
        for t in range(len(x)):
            np.add(n[t], 1, out=n[t + 1])
            np.subtract(x[t], h[t], out=h[t + 1])
            h[t + 1] /= n[t + 1]
            h[t + 1] += h[t]

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """dx_t = dh_t / n_t."""
        h, n, carried, dn = block.tape["h"], block.tape["n"], dstate["h"], dstate["n"]
        for t in reversed(range(len(dh))):
            carried += dh[t]
            share = np.divide(carried, n[t + 1], out=dh[t])
            dn -= np.einsum("bi,bi->b", share, h[t + 1] - h[t])[:, None]
            if dx is not None:
                dx[t] = share
            carried -= share


@attrs.frozen(kw_only=True)
class MaxPool(MeanPool):
    """The largest value of each input until now."""

    name: ClassVar[str] = "max-pool"

    def forward(self, block: BlockPass) -> None:
        """h_t is x_t where that is larger, and at the first step."""
        x, h, n = block.x, block.tape["h"], block.tape["n"]
        for t in range(len(x)):
            np.add(n[t], 1, out=n[t + 1])
            np.copyto(h[t + 1], h[t])
            np.copyto(h[t + 1], x[t], where=self._taken(block, t))

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """The gradient goes to the step that the value was taken from."""
        carried = dstate["h"]
        for t in reversed(range(len(dh))):
            carried += dh[t]
            taken = self._taken(block, t)
            if dx is not None:
                np.multiply(carried, taken, out=dx[t])
            carried *= ~taken

    def _taken(self, block: BlockPass, t: int) -> Array:
        found: Array = (block.x[t] > block.tape["h"][t]) | (block.tape["n"][t] == 0)
        return found


@attrs.frozen(kw_only=True)
class AttentionPool(MeanPool):
    """A mean of all inputs until now, weighted by what is in them; K [inputs, units], b [units], v [units]."""

    name: ClassVar[str] = "attention-pool"
    multiplies: ClassVar[bool] = True
    order_free: ClassVar[bool] = False
    units: int = units_option(64, "values that a weight is computed from")

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """K, b and v."""
        return {"K": (inputs, self.units), "b": (self.units,), "v": (self.units,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw K by Glorot's rule and v uniformly from ±1/√units; b is zero."""
        fill_glorot(parameters["K"], rng)
        parameters["b"].fill(0)
        bound = self.units**-0.5
        parameters["v"][...] = rng.uniform(-bound, bound, self.units)

    def state(self, inputs: int) -> Widths:
        """The pooled values, the logarithm of the sum of the weights, and how many steps there were."""
        return {"h": inputs, "l": 1, "n": 1}

    def tape(self, inputs: int) -> Widths:
        """The state, q = tanh(x K + b), and how far h moves to x."""
        return {"h": inputs, "l": 1, "n": 1, "q": self.units, "a": 1}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """All of it."""
        return tuple(self.tape(inputs))

    def scratch(self, inputs: int) -> Sizes:
        """The scores and their gradient, dq, and a panel for the product that becomes dK."""
        return {"s": 1, "dq": self.units, "panel": panel_shape(inputs, self.units)}

    def forward(self, block: BlockPass) -> None:
        """The scores of all steps at once, then step by step."""
        x, weights, tape = block.x, block.weights, block.tape
        h, l, n, q, a, s = (*(tape[name] for name in "hlnqa"), block.scratch["s"])
        np.matmul(rows(x), weights["K"], out=rows(q))
        q += weights["b"]
        np.tanh(q, out=q)
        np.matmul(q, weights["v"], out=s[..., 0])
        for t in range(len(x)):
            first = n[t] == 0
            np.add(n[t], 1, out=n[t + 1])
            np.logaddexp(l[t], s[t], out=l[t + 1])
            np.copyto(l[t + 1], s[t], where=first)
            np.exp(s[t] - l[t + 1], out=a[t])
            np.subtract(x[t], h[t], out=h[t + 1])
            h[t + 1] *= a[t]
            h[t + 1] += h[t]

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """ds_t = (1 - a) da a + dl a, with da = dh_t · (x_t - h_(t-1)); at the first step a is one."""
        x, weights, tape = block.x, block.weights, block.tape
        h, q, a, ds, dq = tape["h"], tape["q"], tape["a"], block.scratch["s"], block.scratch["dq"]
        carried, dl = dstate["h"], dstate["l"]
        for t in reversed(range(len(x))):
            carried += dh[t]
            slope = np.einsum("bi,bi->b", carried, x[t] - h[t])[:, None] * a[t] * (1 - a[t])
            np.multiply(dl, a[t], out=ds[t])
            ds[t] += slope
            dl *= 1 - a[t]
            dl -= slope
            share = np.multiply(carried, a[t], out=dh[t])
            if dx is not None:
                dx[t] = share
            carried -= share
        gradients["v"][...] += np.einsum("lbi,lb->i", q, ds[..., 0])
        np.multiply(q, q, out=dq)
        np.subtract(1, dq, out=dq)
        dq *= ds
        dq *= weights["v"]
        add_product(x, dq, gradients["K"], block.scratch["panel"])
        add_column_sums(dq, gradients["b"])
        if dx is not None:
            np.matmul(rows(dq), weights["K"].T, out=rows(dh))
            dx += dh
