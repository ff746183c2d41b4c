"""Long short-term memory with a forget gate: Hochreiter & Schmidhuber (1997); Gers, Schmidhuber & Cummins (2000).

    i, f, g, o = σ, σ, tanh, σ of (x_t U + h_(t-1) W + b)      (columns in this order, which is torch's)
    c_t = f ∘ c_(t-1) + i ∘ g
    h_t = o ∘ tanh(c_t)

With projection=R, h_t = (o ∘ tanh(c_t)) P has R < H values: what W sees and what comes out. Sak, Senior & Beaufays
(2014), arXiv 1402.1128; it is proj_size of torch.

With norm=layer, i, f, g and o are of N(x_t U) ∘ g_x + N(h_(t-1) W) ∘ g_h + b, and h_t = o ∘ tanh(N(c_t) ∘ g_c + b_c); N
takes off the mean and divides by the deviation, over all 4H or H values. See `rnnframe_cells.norms`.

A step leaves the four gates, c_t and h_t for its reverse. tanh(c_t) is not among them: one call rebuilds it for a
whole block. One bias is enough: a second one would add to the same sum.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import ge, optional

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
from rnnframe_cells.lstm_steps import (
    activate,
    advance,
    reverse_norms,
    reverse_steps,
    steps_of,
    write_slopes,
    write_sums,
)
from rnnframe_cells.lstm_vectors import reverse_vectors, run_vectors
from rnnframe_cells.masks import ZonedCell, rate_option, seen, written
from rnnframe_cells.norms import fill_scales, norm_option, normalize, scale
from rnnframe_cells.start import fill_matrices, fill_zero, forget_bias_option, learnt_starts


@attrs.frozen(kw_only=True)
class LSTM(ZonedCell):
    """Long short-term memory; U [inputs, 4H], W [H, 4H], b [4H], columns i, f, g, o."""

    name: ClassVar[str] = "lstm"
    forget_bias: float = forget_bias_option()
    zoneout_cell: float | None = rate_option("rate at which units keep their old c at a step")
    projection: int | None = attrs.field(
        default=None, validator=optional(ge(1)), metadata={"help": "values R of h, fewer than units; none: one a unit"}
    )

    norm: Literal["layer"] | None = norm_option()

    @projection.validator
    def _check_projection(self, _: Any, projection: int | None) -> None:
        if projection is not None and projection >= self.hidden:
            raise OptionError(f"projection={projection} is invalid; expected fewer values than units, {self.hidden}")

    @property
    def seen_width(self) -> int:
        """R, or H without a projection."""
        return self.projection or self.hidden

    def width(self, inputs: int) -> int:
        """As many as h has."""
        return self.seen_width

    @property
    def plain(self) -> bool:
        """Also no projection and no norm."""
        return super().plain and not self.projection and not self.norm

    @property
    def gates(self) -> Mapping[str, tuple[str, slice]]:
        """i, f and o."""
        return gate_columns("if.o", self.hidden)

    def mask_scratch(self) -> Sizes:
        """Also where c changes."""
        return {**super().mask_scratch(), **({"zone_c": self.hidden} if self.zoneout_cell else {})}

    @property
    def zoned(self) -> bool:
        """Whether units may keep old values."""
        return bool(self.zoneout or self.zoneout_cell)

    def zones(self, block: BlockPass) -> tuple[Array | None, Array | None]:
        """Return where c and where h change."""
        return written(block, "zone_c", self.zoneout_cell), self.zone(block)

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U [inputs, 4H], W [H, 4H], b [4H]; with a projection W [R, 4H] and P [H, R]; with a norm g and b_c."""
        gates = 4 * self.hidden
        shapes: dict[str, tuple[int, ...]] = {"U": (inputs, gates), "W": (self.seen_width, gates), "b": (gates,)}
        shapes |= {"P": (self.hidden, self.projection)} if self.projection else {}
        if self.norm:
            shapes |= {"g_x": (gates,), "g_h": (gates,), "g_c": (self.hidden,), "b_c": (self.hidden,)}
        return {**shapes, **learnt_starts(self.start, self.state(inputs))}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw U, W and P; b is zero but for f, so that c is remembered from the start."""
        fill_matrices(parameters, self.hidden, self.init, rng)
        fill_zero(parameters)
        fill_scales(parameters)
        parameters["b"][self.hidden : 2 * self.hidden] = self.forget_bias

    def state(self, inputs: int) -> Widths:
        """The state is h and c."""
        return {"h": self.seen_width, "c": self.hidden}

    def tape(self, inputs: int) -> Widths:
        """A step leaves its gates, c and h."""
        return {"gates": 4 * self.hidden, "c": self.hidden, "h": self.seen_width}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """c and h follow from the gates step by step; the gates follow from all h_(t-1) in one product.

        Where units may keep old values, c does not follow from gates without h being computed too. A projected h
        follows from c by a product, so that it stays.
        """
        if self.zoned and retention == "states":
            retention = "lean"
        if self.projection and retention == "lean":
            return ("gates", "h")
        return {"whole": ("gates", "c", "h"), "lean": ("gates",), "states": ("h",)}[retention]

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Run the equations again, but for what is there: the same operations on each value as `forward`'s."""
        weights, x, tape, scratch = block.weights, block.x, block.tape, block.scratch
        gates, c, h = tape["gates"], tape["c"], tape["h"]
        if self.zoned or (self.norm and retention == "lean"):
            for step in steps_of(block, self.zones(block)):
                advance(block, step, scratch["tanh_c"][0])
            return
        if retention == "states":
            write_sums(block)
            before = seen(block, h[:-1], self.recurrent_mask(block))
            np.matmul(rows(before), weights["W"], out=rows(scratch["dz"]))
            if self.norm:
                scale(scratch["dz"], weights["g_h"], scratch["inverse"])
            gates += scratch["dz"]
            activate(gates, weights)
        i, f, g, o = np.split(gates, 4, axis=2)
        remembered = scratch["tanh_c"][0]
        np.multiply(i, g, out=c[1:])
        for t in range(len(x)):
            np.multiply(f[t], c[t], out=remembered)
            c[t + 1] += remembered
        if retention == "lean" and not self.projection:
            np.tanh(c[1:], out=h[1:])
            h[1:] *= o

    def scratch(self, inputs: int) -> Sizes:
        """dz and tanh(c) per step, and a panel for the products that become dU and dW; o ∘ tanh(c), for dP."""
        gates = 4 * self.hidden
        sizes: Sizes = {"dz": gates, "tanh_c": self.hidden, "panel": panel_shape(max(inputs, self.hidden), gates)}
        made: Sizes = {"made": self.hidden} if self.projection else {}
        norm: Sizes = {}
        if self.norm:
            norm = {"n": gates, "dn": gates, "inverse": 1, "mean": 1, "n_c": self.hidden, "inverse_c": 1}
        return {**sizes, **made, **norm, **self.mask_scratch()}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Wᵀ and Pᵀ, contiguous; the factor and offset that make a sigmoid of a tanh: σ(z) = tanh(z/2)/2 + 1/2."""
        gates = 4 * self.hidden
        projection: dict[str, tuple[int, ...]] = {"PT": (self.projection, self.hidden)} if self.projection else {}
        return {"WT": (gates, self.seen_width), "factor": (gates,), "offset": (gates,), **projection}

    def derive(self, weights: Arrays) -> None:
        """g's columns take a plain tanh (factor 1, offset 0)."""
        g = slice(2 * self.hidden, 3 * self.hidden)
        sigmoid = np.full_like(weights["factor"], 0.5)
        sigmoid[g] = 0
        np.copyto(weights["offset"], sigmoid)
        np.subtract(1, sigmoid, out=weights["factor"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Transpose W and P."""
        weights["WT"][...] = weights["W"].T
        if self.projection:
            weights["PT"][...] = weights["P"].T

    def takes_vectors(self, block: BlockPass) -> bool:
        """Whether a block has one sample, and the cell none of the options that `lstm_vectors` leaves out."""
        return self.plain and block.tape["h"].shape[1] == 1

    def forward(self, block: BlockPass) -> None:
        """x U + b for the whole block at once, then step by step what needs h_(t-1)."""
        weights, tape, scratch = block.weights, block.tape, block.scratch
        W, recurrent, product = weights["W"], scratch["dz"][0], scratch["tanh_c"][0]
        mask = self.recurrent_mask(block)
        write_sums(block)
        if self.takes_vectors(block):
            run_vectors(block)
            return
        steps = steps_of(block, self.zones(block))
        for z, h, step in zip(tape["gates"], tape["h"], steps, strict=False):  # h has one more
            np.matmul(seen(block, h, mask), W, out=recurrent)
            if self.norm:
                scale(recurrent, weights["g_h"], scratch["inverse"][0])
            z += recurrent
            activate(z, weights)
            advance(block, step, product)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """What does not depend on dh and dc, the steps, and the products of the whole block: see `lstm_steps`."""
        x, h, scratch = block.x, block.tape["h"], block.scratch
        mask, zones = self.recurrent_mask(block), self.zones(block)
        before = seen(block, h[:-1], mask)
        write_slopes(block, zones[0])
        if self.norm:  # as `rebuild` makes them, with large products
            np.matmul(rows(before), block.weights["W"], out=rows(scratch["n"]))
            normalize(scratch["n"], scratch["n"], scratch["inverse"])
        if self.takes_vectors(block):
            reverse_vectors(block, dh, dstate)
        else:
            reverse_steps(block, dh, dstate, mask, zones)
        dz = scratch["dz"]
        if self.projection:
            add_product(scratch["made"], dh, gradients["P"], scratch["panel"])
        add_product(before, scratch.get("dn", dz), gradients["W"], scratch["panel"])
        add_column_sums(dz, gradients["b"])
        if self.norm:
            dz = reverse_norms(block, gradients)
        add_input_product(x, dz, gradients["U"], scratch["panel"])
        write_input_gradient(dz, block.weights["U"], dx)
