"""linear-attention: a matrix that remembers values by keys and fades, in as many heads as you like.

    q, k, v, z from x_t U (and + b for z)       γ_t = σ(z_t)^(1/16), one number for each head
    S_t = γ_t S_(t-1) + k_tᵀ v_t                y_t = q_t S_t / √keys

Gated retention: Sun, Dong, Zhu et al. (2024), "You only cache once", arXiv 2405.05254, section 3.2, without the
rotation of q and k and without the norm and the gate around it, which layers beside this one can be. It is the
retention of Sun, Dong, Huang et al. (2023), arXiv 2307.08621, with a decay that depends on x.

The matrices S are on no tape. A block is cut into spans. Within one, y is attention, (q kᵀ ∘ D) v with D_ts the product
of the decays from s to t; S goes from span to span. The reverse runs S once more from the one before the block.
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
    Layer,
    Sizes,
    TapeRetention,
    Widths,
    add_column_sums,
    add_input_product,
    panel_shape,
    project,
    write_input_gradient,
)

SPAN = 32
"""Steps of a span: attention within it costs as much as SPAN columns of S."""
SLOWER = 16.0
"""The root that is taken of σ: so much slower do gates fade S than those that stand there alone."""


@attrs.frozen(kw_only=True)
class LinearAttention(Layer):
    """Linear attention with decay; U [inputs, heads·(2 keys + values + 1)], columns q, k, v, z; b [heads]."""

    name: ClassVar[str] = "linear-attention"
    output: ClassVar[str] = "y"
    heads: int = attrs.field(default=4, validator=ge(1), metadata={"help": "matrices, each with a decay of its own"})
    keys: int = attrs.field(default=32, validator=ge(1), metadata={"help": "rows of a matrix"})
    values: int = attrs.field(
        default=32, validator=ge(1), metadata={"help": "columns of a matrix: values that come out"}
    )

    @property
    def columns(self) -> int:
        """Columns of U."""
        return self.heads * (2 * self.keys + self.values + 1)

    def width(self, inputs: int) -> int:
        """The values of all heads."""
        return self.heads * self.values

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, and b of the decays."""
        return {"U": (inputs, self.columns), "b": (self.heads,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw U uniformly from ±1/√inputs; b makes decays from 1 - 1/32 to 1 - 1/512, as retention has them."""
        bound = len(parameters["U"]) ** -0.5
        parameters["U"][...] = rng.uniform(-bound, bound, parameters["U"].shape)
        opened = (1 - np.geomspace(1 / 32, 1 / 512, self.heads)) ** SLOWER
        parameters["b"][...] = np.log(opened / (1 - opened))

    def state(self, inputs: int) -> Widths:
        """The matrices S, one after the other."""
        return {"S": self.heads * self.keys * self.values}

    def tape(self, inputs: int) -> Widths:
        """A step leaves q, k, v and log γ, and y."""
        return {"made": self.columns, "y": self.width(inputs)}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """All follows from x and the S before the block."""
        return () if retention == "states" else tuple(self.tape(inputs))

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Run again."""
        self.forward(block)

    def scratch(self, inputs: int) -> Sizes:
        """The gradients of q, k, v and z; scores and decays of a span, and products; a panel for that of U."""
        return {
            "dmade": self.columns,
            "scores": self.heads * SPAN,
            "decays": self.heads * SPAN,
            "product": self.heads * max(self.keys, self.values),
            "panel": panel_shape(inputs, self.columns),
        }

    def forward(self, block: BlockPass) -> None:
        """One product for all steps, then attention span by span."""
        made = block.tape["made"]
        project(block.x, block.weights["U"], made)
        z = made[..., -self.heads :]
        z += block.weights["b"]
        np.negative(z, out=z)
        np.logaddexp(0, z, out=z)
        z *= -1 / SLOWER
        q, k, v, fading = self._split(made)
        y, before, S = self._apart(block.tape["y"]), *map(self._matrices, block.tape["S"])
        np.copyto(S, before)
        for span in _spans(block.steps):
            total = np.cumsum(fading[:, :, span], axis=2)
            np.matmul(q[:, :, span], S, out=y[:, :, span])
            y[:, :, span] *= np.exp(total)[..., None]
            scores = self._scores(block, span, q, k, self._decays(block, span, total))
            y[:, :, span] += np.matmul(scores, v[:, :, span], out=self._product(block, span, self.values))
            self._advance(block, span, S, k, v, total)
        block.tape["y"][...] *= self.keys**-0.5

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Forward through S for dq, then back through dS for the rest.

        dL/dlog γ_t = Σ_(s ≥ t) (q_s · dq_s - k_s · dk_s) + ⟨dS, S⟩ at the end: each y_t and S has the sum of log γ from
        s to t in its exponent, once with q_t (or S) and once, with the other sign, with k_s.
        """
        dh *= self.keys**-0.5
        dmade = block.scratch["dmade"]
        q, k, v, fading = self._split(block.tape["made"])
        dq, dk, dv, dfading = self._split(dmade)
        dy, dS = self._apart(dh), self._matrices(dstate["S"])
        S = self._matrices(block.tape["S"][0]).copy()
        for span in _spans(block.steps):
            total = np.cumsum(fading[:, :, span], axis=2)
            np.matmul(dy[:, :, span], S.swapaxes(2, 3), out=dq[:, :, span])
            dq[:, :, span] *= np.exp(total)[..., None]
            self._advance(block, span, S, k, v, total)
        reaching = np.einsum("bhij,bhij->bh", dS, S)
        for span in reversed(_spans(block.steps)):
            total = np.cumsum(fading[:, :, span], axis=2)
            self._reverse_span(block, span, (q, k, v), dy, (dq, dk, dv), total)
            to_end = np.exp(total[..., -1:] - total)[..., None]
            for given, side, out in ((v, dS.swapaxes(2, 3), dk), (k, dS, dv)):
                product = np.matmul(given[:, :, span], side, out=self._product(block, span, side.shape[3]))
                product *= to_end
                out[:, :, span] += product
            dS *= np.exp(total[..., -1:, None])
            faded = np.multiply(q[:, :, span], np.exp(total)[..., None], out=self._product(block, span, self.keys))
            dS += faded.swapaxes(2, 3) @ dy[:, :, span]
        room = block.scratch["decays"].reshape(-1)[: dfading.size].reshape(dfading.shape)
        np.einsum("bhti,bhti->bht", q, dq, out=dfading)
        dfading -= np.einsum("bhti,bhti->bht", k, dk, out=room)
        dfading[..., -1] += reaching
        np.cumsum(dfading[..., ::-1], axis=2, out=room)
        np.copyto(dfading, room[..., ::-1])
        np.multiply(fading, SLOWER, out=room)
        np.expm1(room, out=room)
        room *= -1 / SLOWER  # 1 - σ(z)
        dfading *= room
        add_input_product(block.x, dmade, gradients["U"], block.scratch["panel"])
        add_column_sums(dmade[..., -self.heads :], gradients["b"])
        write_input_gradient(dmade, block.weights["U"], dx)

    def _reverse_span(
        self,
        block: BlockPass,
        span: slice,
        made: tuple[Array, ...],
        dy: Array,
        dmade: tuple[Array, ...],
        total: Array,
    ) -> None:
        """Reverse attention within a span: write dk and dv, and add to dq."""
        (q, k, v), (dq, dk, dv) = made, dmade
        decays = self._decays(block, span, total)
        scores = self._scores(block, span, q, k, decays)
        np.matmul(scores.swapaxes(2, 3), dy[:, :, span], out=dv[:, :, span])
        scores = self._scores(block, span, dy, v, decays)
        dq[:, :, span] += np.matmul(scores, k[:, :, span], out=self._product(block, span, self.keys))
        np.matmul(scores.swapaxes(2, 3), q[:, :, span], out=dk[:, :, span])

    def _advance(self, block: BlockPass, span: slice, S: Array, k: Array, v: Array, total: Array) -> None:
        """Make S that after the span."""
        to_end = np.exp(total[..., -1:] - total)[..., None]
        faded = np.multiply(k[:, :, span], to_end, out=self._product(block, span, self.keys))
        S *= np.exp(total[..., -1:, None])
        S += faded.swapaxes(2, 3) @ v[:, :, span]

    def _decays(self, block: BlockPass, span: slice, total: Array) -> Array:
        """Return D [B, heads, t, s]: zero where s is after t, where its logarithm could be too large for exp."""
        decays = self._room(block, "decays", span, total.shape[2])
        np.subtract(total[..., :, None], total[..., None, :], out=decays)
        decays += np.triu(np.full(decays.shape[2:], -np.inf, decays.dtype), 1)
        return np.exp(decays, out=decays)

    def _scores(self, block: BlockPass, span: slice, left: Array, right: Array, decays: Array) -> Array:
        """Return left rightᵀ ∘ D [B, heads, t, s]."""
        scores = self._room(block, "scores", span, decays.shape[3])
        np.matmul(left[:, :, span], right[:, :, span].swapaxes(2, 3), out=scores)
        scores *= decays
        return scores

    def _product(self, block: BlockPass, span: slice, width: int) -> Array:
        return self._room(block, "product", span, width)

    def _room(self, block: BlockPass, name: str, span: slice, width: int) -> Array:
        """Return room [B, heads, steps of the span, width] in the rows of a working array that belong to the span."""
        steps = span.stop - span.start
        shape = block.batch, self.heads, steps, width
        return block.scratch[name][span].reshape(-1)[: int(np.prod(shape))].reshape(shape)

    def _split(self, made: Array) -> tuple[Array, Array, Array, Array]:
        """View [L, B, columns] as q, k [B, heads, L, keys], v [B, heads, L, values] and log γ [B, heads, L]."""
        keys, values = self.heads * self.keys, self.heads * self.values
        q, k, v, fading = np.split(made, [keys, 2 * keys, 2 * keys + values], axis=2)
        return self._apart(q), self._apart(k), self._apart(v), fading.transpose(1, 2, 0)

    def _apart(self, array: Array) -> Array:
        """View [L, B, heads·n] as [B, heads, L, n]."""
        return array.reshape(*array.shape[:2], self.heads, -1).transpose(1, 2, 0, 3)

    def _matrices(self, S: Array) -> Array:
        """View [B, heads·keys·values] as matrices."""
        return S.reshape(len(S), self.heads, self.keys, self.values)


def _spans(steps: int) -> list[slice]:
    """Return the spans of a block, the last of which may be shorter."""
    return [slice(start, min(start + SPAN, steps)) for start in range(0, steps, SPAN)]
