"""The gated recurrent unit of Cho et al. (2014), arXiv 1406.1078, in its two common forms.

    r, z = σ of (x_t U + h_(t-1) W + b)
    n    = tanh(x_t U_n + b_n + r ∘ (h_(t-1) W_n + bn))        reset=after: torch, cuDNN, Keras' default
    n    = tanh(x_t U_n + b_n + (r ∘ h_(t-1)) W_n)             reset=before: Cho et al.
    h_t  = (1 - z) ∘ n + z ∘ h_(t-1)

With norm=layer (and reset=after), N(x_t U) ∘ g_x stands for x_t U, and N(h_(t-1) W) ∘ g_h for h_(t-1) W; N takes off
the mean and divides by the deviation, over r and z together and over n. See `rnnframe_cells.norms`.

Columns stand in the order r, z, n, which is torch's. With reset=after the candidate has a bias of its own inside the
product with r, so two are needed there; those of r and z add to the same sum, and one is enough.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import in_

from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    OptionError,
    Sizes,
    TapeRetention,
    Widths,
    add_column_sums,
    add_input_product,
    add_product,
    panel_shape,
    rows,
    write_input_gradient,
)
from rnnframe_cells.gates import gate_columns
from rnnframe_cells.gru_steps import (
    add_recurrent_gradient,
    norm_product,
    normalize_products,
    reverse_norms,
    reverse_steps,
    sigmoid,
    write_slopes,
    write_sums,
)
from rnnframe_cells.masks import ZonedCell, seen, zone_out
from rnnframe_cells.norms import fill_scales, norm_option
from rnnframe_cells.start import fill_matrices, fill_zero, learnt_starts


@attrs.frozen(kw_only=True)
class GRU(ZonedCell):
    """Gated recurrent unit; U [inputs, 3H], W [H, 3H], b [3H], columns r, z, n; bn [H] with reset=after."""

    name: ClassVar[str] = "gru"
    reset: Literal["after", "before"] = attrs.field(
        default="after",
        validator=in_(("after", "before")),
        metadata={"help": "whether r scales the product h·W (torch) or h itself (Cho et al.)"},
    )
    norm: Literal["layer"] | None = norm_option()

    @norm.validator
    def _check_norm(self, _: Any, norm: str | None) -> None:
        if norm and self.reset == "before":
            raise OptionError(f"norm={norm} is of the form reset=after; leave reset=before out")

    @property
    def plain(self) -> bool:
        """Also no norm."""
        return super().plain and not self.norm

    @property
    def gates(self) -> Mapping[str, tuple[str, slice]]:
        """r and z."""
        return gate_columns("rz", self.hidden)

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U [inputs, 3H], W [H, 3H], b [3H] and, with reset=after, bn [H]."""
        H = self.hidden
        shapes: dict[str, tuple[int, ...]] = {"U": (inputs, 3 * H), "W": (H, 3 * H), "b": (3 * H,)}
        shapes |= {"bn": (H,)} if self.reset == "after" else {}
        shapes |= {"g_x": (3 * H,), "g_h": (3 * H,)} if self.norm else {}
        return shapes | learnt_starts(self.start, self.state(inputs))

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw U and W; biases are zero."""
        fill_matrices(parameters, self.hidden, self.init, rng)
        fill_zero(parameters)
        fill_scales(parameters)

    def state(self, inputs: int) -> Widths:
        """The state is h."""
        return {"h": self.hidden}

    def tape(self, inputs: int) -> Widths:
        """A step leaves r, z, n and h; with reset=after also q = h_(t-1) W_n + bn, which dr needs."""
        widths = {"gates": 3 * self.hidden, "h": self.hidden}
        return widths | {"q": self.hidden} if self.reset == "after" else widths

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """h follows from the gates step by step; gates and q follow from all h_(t-1) in large products."""
        whole = tuple(self.tape(inputs))
        return {"whole": whole, "lean": tuple(set(whole) - {"h"}), "states": ("h",)}[retention]

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Run the equations again, but for what is there."""
        weights, x, tape, scratch = block.weights, block.x, block.tape, block.scratch
        H, a, h = self.hidden, tape["gates"], tape["h"]
        r, z, n = np.split(a, 3, axis=2)
        if retention == "lean":
            zone = self.zone(block)
            for t in range(len(x)):
                np.subtract(h[t], n[t], out=h[t + 1])
                h[t + 1] *= z[t]
                h[t + 1] += n[t]
                zone_out(h[t + 1], h[t], None if zone is None else zone[t])
            return
        write_sums(block)
        h_seen, rz = seen(block, h[:-1], self.recurrent_mask(block)), a[:, :, : 2 * H]
        before = rows(h_seen)
        product = scratch["dz"].reshape(-1)[: len(before) * 2 * H].reshape(-1, 2 * H)
        np.matmul(before, weights["Wrz"], out=product)
        if self.norm:
            norm_product(block, product.reshape(rz.shape), slice(None, 2 * H))
        rz += product.reshape(rz.shape)
        sigmoid(rz)
        if self.reset == "after":
            np.matmul(before, weights["Wn"], out=rows(tape["q"]))
            if self.norm:
                norm_product(block, tape["q"], slice(2 * H, None))
            tape["q"][...] += weights["bn"]
            np.multiply(r, tape["q"], out=scratch["extra"])
        else:
            reset = product.reshape(-1)[: before.size].reshape(before.shape)
            np.multiply(r, h_seen, out=reset.reshape(r.shape))
            np.matmul(reset, weights["Wn"], out=rows(scratch["extra"]))
        n += scratch["extra"]
        np.tanh(n, out=n)

    def scratch(self, inputs: int) -> Sizes:
        """dz per step, one more array of width H per step, and a panel for the products that become dU and dW."""
        gates = 3 * self.hidden
        sizes: Sizes = {"dz": gates, "extra": self.hidden, "panel": panel_shape(max(inputs, self.hidden), gates)}
        norm: Sizes = {"n": gates, "dn": gates, "inverse": 1, "inverse_n": 1, "mean": 1} if self.norm else {}
        return {**sizes, **norm, **self.mask_scratch()}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """W and Wᵀ of r and z and of n apart, each contiguous."""
        H = self.hidden
        return {"Wrz": (H, 2 * H), "Wn": (H, H), "WrzT": (2 * H, H), "WnT": (H, H)}

    def derive(self, weights: Arrays) -> None:
        """Split W."""
        Wrz, Wn = np.split(weights["W"], [2 * self.hidden], axis=1)
        weights["Wrz"][...], weights["Wn"][...] = Wrz, Wn

    def derive_reverse(self, weights: Arrays) -> None:
        """Transpose the parts of W."""
        Wrz, Wn = np.split(weights["W"], [2 * self.hidden], axis=1)
        weights["WrzT"][...], weights["WnT"][...] = Wrz.T, Wn.T

    def forward(self, block: BlockPass) -> None:
        """x U + b for the whole block at once, then step by step what needs h_(t-1)."""
        weights, tape, scratch = block.weights, block.tape, block.scratch
        H, a, h = self.hidden, tape["gates"], tape["h"]
        # One contiguous piece of the scratch for h W (r and z), one of the same kind for what belongs to n.
        recurrent = scratch["dz"][0].reshape(-1)[: 2 * H * h.shape[1]].reshape(-1, 2 * H)
        candidate = scratch["extra"][0]
        mask, zone = self.recurrent_mask(block), self.zone(block)
        write_sums(block)
        for t in range(block.steps):
            rz, n = a[t, :, : 2 * H], a[t, :, 2 * H :]
            r, z = rz[:, :H], rz[:, H:]
            before = seen(block, h[t], mask)
            np.matmul(before, weights["Wrz"], out=recurrent)
            if self.norm:
                norm_product(block, recurrent, slice(None, 2 * H))
            rz += recurrent
            sigmoid(rz)
            if self.reset == "after":
                q = tape["q"][t]
                np.matmul(before, weights["Wn"], out=q)
                if self.norm:
                    norm_product(block, q, slice(2 * H, None))
                q += weights["bn"]
                np.multiply(r, q, out=candidate)
            else:
                np.multiply(r, before, out=h[t + 1])
                np.matmul(h[t + 1], weights["Wn"], out=candidate)
            n += candidate
            np.tanh(n, out=n)
            np.subtract(h[t], n, out=h[t + 1])
            h[t + 1] *= z
            h[t + 1] += n
            zone_out(h[t + 1], h[t], None if zone is None else zone[t])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """What does not depend on dh, the steps, and the products of the whole block: see `gru_steps`."""
        mask, zone = self.recurrent_mask(block), self.zone(block)
        before, dz = seen(block, block.tape["h"][:-1], mask), block.scratch["dz"]
        write_slopes(block, before)
        if self.norm:
            normalize_products(block, before)
        reverse_steps(block, dh, dstate["h"], mask, zone)
        add_column_sums(dz, gradients["b"])
        if self.reset == "after":
            add_column_sums(block.scratch["extra"], gradients["bn"])
        if self.norm:
            add_product(before, block.scratch["dn"], gradients["W"], block.scratch["panel"])
            dz = reverse_norms(block, gradients)
        add_input_product(block.x, dz, gradients["U"], block.scratch["panel"])
        write_input_gradient(dz, block.weights["U"], dx)
        if not self.norm:
            add_recurrent_gradient(block, before, gradients["W"])
