"""rglru: the real-gated linear recurrent unit of De, Smith, Fernando et al. (2024), "Griffin", arXiv 2402.19427.

    r, i = σ of (x_t K + b)
    a_t = σ(Λ)^(8 r_t);  h_t = a_t ∘ h_(t-1) + √(1 - a_t²) ∘ i_t ∘ x_t

As many values come out as come in; put dense units below it for another width. K is a whole matrix here, where the
paper has one of blocks.
"""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    Layer,
    Sizes,
    TapeRetention,
    Widths,
    add_column_sums,
    add_product,
    panel_shape,
    project,
    rows,
)
from rnnframe_cells.linear import scan, scan_back, write_sigmoid

POWER = 8.0


@attrs.frozen(kw_only=True)
class RGLRU(Layer):
    """Real-gated linear recurrent unit; K [inputs, 2 inputs], b [2 inputs], columns r, i; L [inputs], which is Λ."""

    name: ClassVar[str] = "rglru"

    def width(self, inputs: int) -> int:
        """As many as come in."""
        return inputs

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """K, b and L."""
        return {"K": (inputs, 2 * inputs), "b": (2 * inputs,), "L": (inputs,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw K uniformly from ±1/√inputs, and L so that σ(L)^8 is from 0.9 to 0.999; b is zero."""
        bound = len(parameters["K"]) ** -0.5
        parameters["K"][...] = rng.uniform(-bound, bound, parameters["K"].shape)
        parameters["b"].fill(0)
        factor = rng.uniform(0.9, 0.999, parameters["L"].shape)
        parameters["L"][...] = -np.log(factor ** (-1 / POWER) - 1)

    def state(self, inputs: int) -> Widths:
        """The state is h."""
        return {"h": inputs}

    def tape(self, inputs: int) -> Widths:
        """A step leaves r, i and h."""
        return {"gates": 2 * inputs, "h": inputs}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """h follows from the gates and x by the recurrence alone; the gates follow from x by one product."""
        return {"whole": ("gates", "h"), "lean": ("gates",), "states": ("h",)}[retention]

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Compute what is missing as `forward` did."""
        if retention == "states":
            self._write_gates(block)
        else:
            self._recur(block)

    def scratch(self, inputs: int) -> Sizes:
        """dz, a, √(1 - a²), and a panel for the product that becomes dK."""
        return {"dz": 2 * inputs, "a": inputs, "root": inputs, "panel": panel_shape(inputs, 2 * inputs)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """-8 log σ(Λ), how fast h fades where r is one."""
        return {"fading": (inputs,)}

    def derive(self, weights: Arrays) -> None:
        """log σ(Λ) = -log(1 + exp(-Λ))."""
        weights["fading"][...] = POWER * np.logaddexp(0, -weights["L"])

    def forward(self, block: BlockPass) -> None:
        """The gates of all steps at once, then the recurrence."""
        self._write_gates(block)
        self._recur(block)

    def _write_gates(self, block: BlockPass) -> None:
        gates = block.tape["gates"]
        project(block.x, block.weights["K"], gates)
        gates += block.weights["b"]
        write_sigmoid(gates, gates)

    def _write_factors(self, block: BlockPass) -> tuple[Array, Array]:
        """Return a and √(1 - a²), which is computed so that it is right where a is nearly one."""
        r, a, root = block.tape["gates"][..., : block.inputs], block.scratch["a"], block.scratch["root"]
        np.multiply(r, block.weights["fading"], out=a)
        np.multiply(a, -2, out=root)
        np.expm1(root, out=root)
        np.negative(root, out=root)
        np.sqrt(root, out=root)
        np.negative(a, out=a)
        np.exp(a, out=a)
        return a, root

    def _recur(self, block: BlockPass) -> None:
        a, root = self._write_factors(block)
        h = block.tape["h"]
        np.multiply(block.tape["gates"][..., block.inputs :], block.x, out=h[1:])
        h[1:] *= root
        scan(a, h, root[0])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """dlog a = dh_t ∘ a ∘ (h_(t-1) - i x a / √(1 - a²)), which is dr ∘ 8 log σ(Λ)."""
        weights, x, h, dz = block.weights, block.x, block.tape["h"], block.scratch["dz"]
        r, i = np.split(block.tape["gates"], 2, axis=2)
        dr, di = np.split(dz, 2, axis=2)
        a, root = self._write_factors(block)
        scan_back(a, dh, dstate["h"])
        np.multiply(i, x, out=dr)
        dr *= a
        np.maximum(root, np.finfo(root.dtype).tiny ** 0.5, out=di)  # r is zero there, and so is what comes out
        dr /= di
        np.subtract(h[:-1], dr, out=dr)
        dr *= a
        dr *= dh  # dL/dlog a
        np.multiply(dh, root, out=a)
        np.multiply(a, x, out=di)
        self.add_of_fading(weights, -np.einsum("lbi,lbi->i", dr, r), gradients)
        dr *= -weights["fading"]
        dr *= r
        np.subtract(1, r, out=root)
        dr *= root
        if dx is not None:
            np.multiply(a, i, out=dx)
        di *= i
        np.subtract(1, i, out=root)
        di *= root
        add_product(x, dz, gradients["K"], block.scratch["panel"])
        add_column_sums(dz, gradients["b"])
        if dx is not None:
            np.matmul(rows(dz), weights["K"].T, out=rows(a))
            dx += a

    def add_of_fading(self, weights: Arrays, total: Array, gradients: Arrays) -> None:
        """Add dΛ = -8 σ(-Λ) times the gradient of the fading."""
        gradients["L"][...] -= POWER * total * (1 - 1 / (1 + np.exp(-weights["L"])))
