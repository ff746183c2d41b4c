"""selective-ssm: the diagonal state space whose steps depend on x, of Gu & Dao (2023), "Mamba", arXiv 2312.00752.

    d, B, C = the columns of x_t K              Δ_t = softplus(d R + b)       A = -exp(logA)
    s_t = exp(Δ_t A) ∘ s_(t-1) + (Δ_t ∘ x_t) B_t        y_t = s_t C_t + D ∘ x_t

Every input has N numbers s of its own, [inputs, N]; B_t and C_t [N] are the same for all of them. exp(Δ A) is the zero
order hold, Δ B the step of Euler, as in the code of the paper. The layers around it in a block (convolution, gate,
dense units) are layers of their own.

s is on no tape: the reverse of a block runs it once more, from the one before the block, into a working array.
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
    add_product,
    panel_shape,
    project,
    rows,
)

SMALLEST, LARGEST = 1e-3, 0.1
"""Between which Δ is at the start, where x is zero."""


@attrs.frozen(kw_only=True)
class SelectiveSSM(Layer):
    """Selective state space; K [inputs, rank + 2N], R [rank, inputs], b [inputs], logA [inputs, N], D [inputs]."""

    name: ClassVar[str] = "selective-ssm"
    output: ClassVar[str] = "y"
    states: int = attrs.field(default=16, validator=ge(1), metadata={"help": "numbers N of the state of every input"})
    rank: int = attrs.field(default=8, validator=ge(1), metadata={"help": "values that all Δ are computed from"})

    def width(self, inputs: int) -> int:
        """As many as come in."""
        return inputs

    @property
    def columns(self) -> int:
        """Columns of K."""
        return self.rank + 2 * self.states

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """K, R, b, logA and D."""
        steps = {"K": (inputs, self.columns), "R": (self.rank, inputs), "b": (inputs,)}
        return {**steps, "logA": (inputs, self.states), "D": (inputs,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw K and R uniformly, and b so that Δ is from 0.001 to 0.1; A is -1, -2, ... -N, and D one."""
        for name in ("K", "R"):
            bound = len(parameters[name]) ** -0.5
            parameters[name][...] = rng.uniform(-bound, bound, parameters[name].shape)
        step = np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST), parameters["b"].shape))
        parameters["b"][...] = np.log(np.expm1(step))
        parameters["logA"][...] = np.log(np.arange(1, self.states + 1))
        parameters["D"].fill(1)

    def state(self, inputs: int) -> Widths:
        """The state is s."""
        return {"s": inputs * self.states}

    def tape(self, inputs: int) -> Widths:
        """A step leaves d, B and C, Δ, and y."""
        return {"made": self.columns, "step": inputs, "y": inputs}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """All follows from x and the s before the block."""
        return () if retention == "states" else tuple(self.tape(inputs))

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Run again."""
        self.forward(block)

    def scratch(self, inputs: int) -> Sizes:
        """Every s of the block but the last, and room for one; gradients of d, B and C, Δ and Δ ∘ x; a panel."""
        width = {"s": inputs * self.states, "dmade": self.columns, "dstep": inputs, "dtaken": inputs}
        return {**width, "panel": panel_shape(max(inputs, self.rank), max(inputs, self.columns))}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """A."""
        return {"A": (inputs, self.states)}

    def derive(self, weights: Arrays) -> None:
        """A = -exp(logA)."""
        np.negative(np.exp(weights["logA"]), out=weights["A"])

    def forward(self, block: BlockPass) -> None:
        """Two products for all steps, then step by step."""
        x, made, step, y = block.x, block.tape["made"], block.tape["step"], block.tape["y"]
        project(x, block.weights["K"], made)
        np.matmul(made[..., : self.rank], block.weights["R"], out=step)
        step += block.weights["b"]
        np.logaddexp(0, step, out=step)
        before, s = map(self._apart, block.tape["s"])
        np.copyto(s, before)
        C, room = made[..., self.rank + self.states :, None], self._apart(block.scratch["s"][0])
        for t in range(block.steps):
            self._advance(block, t, s, s, room)
            np.matmul(s, C[t], out=y[t, :, :, None])
        y += np.multiply(x, block.weights["D"], out=block.scratch["dtaken"])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """ds_t = dy_t C_t + exp(Δ_(t+1) A) ∘ ds_(t+1); what reaches exp(Δ A) is ds_t ∘ s_(t-1)."""
        x, weights, made, step = block.x, block.weights, block.tape["made"], block.tape["step"]
        dmade, dstep, dtaken, panel = (block.scratch[name] for name in ("dmade", "dstep", "dtaken", "panel"))
        gradients["D"][...] += np.einsum("lbi,lbi->i", dh, x)
        self._reverse_states(block, dh, self._apart(dstate["s"]), gradients)
        if dx is not None:
            np.multiply(dh, weights["D"], out=dx)
            dx += np.multiply(dtaken, step, out=dh)
        dtaken *= x
        dstep += dtaken
        np.negative(step, out=dtaken)
        dstep *= np.expm1(dtaken, out=dtaken)
        np.negative(dstep, out=dstep)
        add_column_sums(dstep, gradients["b"])
        add_product(made[..., : self.rank], dstep, gradients["R"], panel)
        np.matmul(dstep, weights["R"].T, out=dmade[..., : self.rank])
        add_product(x, dmade, gradients["K"], panel)
        if dx is not None:
            np.matmul(rows(dmade), weights["K"].T, out=rows(dtaken))
            dx += dtaken

    def _reverse_states(self, block: BlockPass, dy: Array, ds: Array, gradients: Arrays) -> None:
        """Write dB and dC, what reaches Δ through exp(Δ A), and what reaches Δ ∘ x; add that of logA."""
        step, A = block.tape["step"], block.weights["A"]
        dmade, dstep, dtaken = (block.scratch[name] for name in ("dmade", "dstep", "dtaken"))
        B, C = np.split(block.tape["made"][..., self.rank :], 2, axis=2)
        dB, dC = np.split(dmade[..., self.rank :], 2, axis=2)
        last, of_steps = block.steps - 1, block.scratch["s"]
        room, dA = self._apart(of_steps[last]), np.zeros_like(A)
        states = [self._apart(s) for s in (block.tape["s"][0], *of_steps[:last], block.tape["s"][1])]
        for t in range(last):
            self._advance(block, t, states[t], states[t + 1], room)
        for t in reversed(range(block.steps)):
            np.multiply(dy[t, :, :, None], C[t, :, None, :], out=room)
            ds += room
            np.matmul(dy[t, :, None, :], states[t + 1], out=dC[t, :, None, :])
            np.matmul(self._taken(block, t)[:, None, :], ds, out=dB[t, :, None, :])
            np.matmul(ds, B[t, :, :, None], out=dtaken[t, :, :, None])
            self._write_decay(block, t, room)
            ds *= room
            np.multiply(ds, states[t], out=room)
            np.einsum("bin,in->bi", room, A, out=dstep[t])
            dA += np.einsum("bin,bi->in", room, step[t])
        gradients["logA"][...] += dA * A

    def _advance(self, block: BlockPass, t: int, s: Array, into: Array, room: Array) -> None:
        """Write the state after step t, from that before it."""
        self._write_decay(block, t, room)
        np.multiply(room, s, out=into)
        B = block.tape["made"][t, :, None, self.rank : self.rank + self.states]
        into += np.multiply(self._taken(block, t)[:, :, None], B, out=room)

    def _taken(self, block: BlockPass, t: int) -> Array:
        """Return Δ_t ∘ x_t, where its gradient will be."""
        taken: Array = np.multiply(block.tape["step"][t], block.x[t], out=block.scratch["dtaken"][t])
        return taken

    def _write_decay(self, block: BlockPass, t: int, out: Array) -> None:
        """Write exp(Δ_t A)."""
        np.multiply(block.tape["step"][t, :, :, None], block.weights["A"], out=out)
        np.exp(out, out=out)

    def _apart(self, s: Array) -> Array:
        """View [B, inputs·N] as [B, inputs, N]."""
        return s.reshape(len(s), -1, self.states)
