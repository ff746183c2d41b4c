"""Recurrences without a recurrent product: h_t = a_t ∘ h_(t-1) + v_t, with a_t and v_t computed from x_t alone.

A block is one product for all steps, work on each value, and the recurrence itself, which is the only loop over steps.

    mingru   z = σ(x U_z + b_z);  h_t = (1 - z) ∘ h_(t-1) + z ∘ g(x U_v + b_v)
    minlstm  f, i = σ of (x U + b), f' = f / (f + i), i' = i / (f + i);  h_t = f' ∘ h_(t-1) + i' ∘ g(x U_v + b_v)

with g(v) = v + 1/2 for v above 0, else σ(v), which is never negative. Feng, Tung, Ahmed, Bengio & Hajimirsadeghi
(2024), "Were RNNs all we needed?", arXiv 2410.01201; the g is that of its appendix B.
"""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import ge

from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    Cell,
    Sizes,
    TapeRetention,
    Widths,
    add_column_sums,
    add_input_product,
    panel_shape,
    project,
    write_input_gradient,
)


def scan(a: Array, h: Array, product: Array) -> None:
    """Make h_t = a_t ∘ h_(t-1) + v_t in place: h [L + 1, B, H] holds v in its rows from 1 on, and h_0.

    `product` [B, H] is room for one step.
    """
    for t in range(len(a)):
        h[t + 1] += np.multiply(a[t], h[t], out=product)


def scan_back(a: Array, dh: Array, carried: Array) -> None:
    """Make of dh [L, B, H] what reaches each h_t, all later steps included; `carried` becomes that of h_0."""
    for t in reversed(range(len(a))):
        dh[t] += carried
        np.multiply(dh[t], a[t], out=carried)


def write_sigmoid(z: Array, out: Array) -> None:
    """Write σ(z) = tanh(z/2)/2 + 1/2; `out` may be z."""
    np.multiply(z, 0.5, out=out)
    np.tanh(out, out=out)
    out *= 0.5
    out += 0.5


@attrs.frozen(kw_only=True)
class MinGRU(Cell):
    """Minimal gated recurrent unit; U [inputs, 2H], b [2H], columns z, v."""

    name: ClassVar[str] = "mingru"
    hidden: int = attrs.field(default=128, validator=ge(1), metadata={"help": "units H"})

    @property
    def columns(self) -> int:
        """Columns of U."""
        return 2 * self.hidden

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U and b."""
        return {"U": (inputs, self.columns), "b": (self.columns,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw U uniformly from ±1/√inputs; b is zero."""
        bound = len(parameters["U"]) ** -0.5
        parameters["U"][...] = rng.uniform(-bound, bound, parameters["U"].shape)
        parameters["b"].fill(0)

    def state(self, inputs: int) -> Widths:
        """The state is h."""
        return {"h": self.hidden}

    def tape(self, inputs: int) -> Widths:
        """A step leaves its gates, and v before g; h follows from them."""
        return {"gates": self.columns, "h": self.hidden}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """h follows from the gates by the recurrence alone; the gates follow from x by one product."""
        return {"whole": ("gates", "h"), "lean": ("gates",), "states": ("h",)}[retention]

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Compute what is missing as `forward` did."""
        if retention == "states":
            self.write_gates(block)
        else:
            self.recur(block)

    def scratch(self, inputs: int) -> Sizes:
        """dz, the factors of h, room for what is between them, and a panel for the product that becomes dU."""
        panel = panel_shape(inputs, self.columns)
        return {"dz": self.columns, "a": self.hidden, "spare": self.hidden, "panel": panel}

    def forward(self, block: BlockPass) -> None:
        """The gates of all steps at once, then the recurrence."""
        self.write_gates(block)
        self.recur(block)

    def write_gates(self, block: BlockPass) -> None:
        """Write σ of all columns but the last H, which stay as they are."""
        gates = block.tape["gates"]
        project(block.x, block.weights["U"], gates)
        gates += block.weights["b"]
        sigmoids = gates[..., : -self.hidden]
        write_sigmoid(sigmoids, sigmoids)

    def recur(self, block: BlockPass) -> None:
        """h_t = a_t ∘ h_(t-1) + share_t ∘ g(v_t)."""
        gates, h, a = block.tape["gates"], block.tape["h"], block.scratch["a"]
        _positive(gates[..., -self.hidden :], h[1:], a)
        self.write_share(gates, a)
        h[1:] *= a
        np.subtract(1, a, out=a)
        scan(a, h, block.scratch["spare"][0])

    def write_share(self, gates: Array, share: Array) -> None:
        """Write how much of h_t is new."""
        np.copyto(share, gates[..., : self.hidden])

    def reverse_share(self, gates: Array, share: Array, dz: Array, spare: Array) -> None:
        """Make dL/dz of the gates, from dL/dshare in the first H columns of `dz`; `spare` [L, B, H] is room."""
        _times_slope(dz[..., : self.hidden], share, spare)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """dv = dh_t ∘ share ∘ g'(v);  dshare = dh_t ∘ (g(v) - h_(t-1))."""
        H, gates, h = self.hidden, block.tape["gates"], block.tape["h"]
        share, dz, spare = block.scratch["a"], block.scratch["dz"], block.scratch["spare"]
        v, dshare, dv = gates[..., -H:], dz[..., :H], dz[..., -H:]
        self.write_share(gates, share)
        np.subtract(1, share, out=dshare)
        scan_back(dshare, dh, dstate["h"])
        _positive(v, dshare, dv)
        np.minimum(dshare, 0.5, out=dv)  # g' is one above 0, where g is above 1/2, else σ(1 - σ), which is 1/4 there
        _times_slope(dv, dv, spare)
        np.greater(v, 0, out=spare, casting="unsafe")
        spare *= 0.75
        dv += spare
        dv *= share
        dv *= dh
        dshare -= h[:-1]
        dshare *= dh
        self.reverse_share(gates, share, dz, spare)
        add_input_product(block.x, dz, gradients["U"], block.scratch["panel"])
        add_column_sums(dz, gradients["b"])
        write_input_gradient(dz, block.weights["U"], dx)


@attrs.frozen(kw_only=True)
class MinLSTM(MinGRU):
    """Minimal long short-term memory; U [inputs, 3H], b [3H], columns f, i, v."""

    name: ClassVar[str] = "minlstm"

    @property
    def columns(self) -> int:
        """Columns of U."""
        return 3 * self.hidden

    def write_share(self, gates: Array, share: Array) -> None:
        """i / (f + i); zero where both are, which keeps h."""
        f, i = gates[..., : self.hidden], gates[..., self.hidden : -self.hidden]
        np.add(f, i, out=share)
        np.maximum(share, np.finfo(share.dtype).tiny, out=share)
        np.divide(i, share, out=share)

    def reverse_share(self, gates: Array, share: Array, dz: Array, spare: Array) -> None:
        """df = -dshare ∘ share (1 - share) ∘ (1 - f);  di = dshare ∘ share (1 - share) ∘ (1 - i)."""
        f, i = gates[..., : self.hidden], gates[..., self.hidden : -self.hidden]
        df, di = dz[..., : self.hidden], dz[..., self.hidden : -self.hidden]
        _times_slope(df, share, spare)
        np.subtract(1, i, out=di)
        di *= df
        np.subtract(f, 1, out=spare)
        df *= spare


def _times_slope(d: Array, sigmoid: Array, spare: Array) -> None:
    """Multiply by σ(1 - σ); `d` may be σ itself."""
    np.subtract(1, sigmoid, out=spare)
    if d is not sigmoid:
        d *= sigmoid
    d *= spare


def _positive(v: Array, out: Array, spare: Array) -> None:
    """Write g(v), the larger of σ(v) and v + 1/2; `spare` is room."""
    write_sigmoid(v, out)
    np.add(v, 0.5, out=spare)
    np.maximum(out, spare, out=out)
