"""slstm: exponential input gates and a normaliser. Beck, Pöppel, Spanring et al. (2024), "xLSTM", arXiv 2405.04517.

    z = tanh(x_t U_z + h_(t-1) W_z + b_z)       o = σ(x_t U_o + h_(t-1) W_o + b_o), and so the sums s_i and s_f
    m_t = max(log σ(s_f) + m_(t-1), s_i)        i = exp(s_i - m_t),  f = exp(log σ(s_f) + m_(t-1) - m_t)
    c_t = f ∘ c_(t-1) + i ∘ z                   n_t = f ∘ n_(t-1) + i            h_t = o ∘ c_t / n_t

m keeps the exponentials in range: it scales c and n alike. W is a whole matrix here, where the paper has one block for
each head, and the forget gate is the paper's σ. Written as the formula of one step.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, StepCell, Widths, sigmoid
from rnnframe_cells.start import fill_matrices, forget_bias_option, init_option


@attrs.frozen(kw_only=True)
class SLSTM(StepCell):
    """Long short-term memory with exponential gates; U [inputs, 4H], W [H, 4H], b [4H], columns z, i, f, o."""

    name: ClassVar[str] = "slstm"
    init: Literal["orthogonal", "glorot"] | None = init_option()
    forget_bias: float = forget_bias_option()

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U, W and b."""
        H = self.hidden
        return {"U": (inputs, 4 * H), "W": (H, 4 * H), "b": (4 * H,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw U and W; b is zero but for f's."""
        fill_matrices(parameters, self.hidden, self.init, rng)
        parameters["b"].fill(0)
        parameters["b"][2 * self.hidden : 3 * self.hidden] = self.forget_bias

    def state(self, inputs: int) -> Widths:
        """The state is h, c, n and m."""
        return dict.fromkeys(("h", "c", "n", "m"), self.hidden)

    def tape(self, inputs: int) -> Widths:
        """A step leaves z, i, f, o and σ(s_f), and its state."""
        return {"gates": 5 * self.hidden, **self.state(inputs)}

    def step(self, p: Arrays, xU: Array, state: Arrays) -> Mapping[str, Array]:
        """The equations above."""
        s_z, s_i, s_f, s_o = np.split(xU + state["h"] @ p["W"] + p["b"], 4, axis=1)
        z, o, forget = np.tanh(s_z), sigmoid(s_o), sigmoid(s_f)
        kept = state["m"] - np.logaddexp(0, -s_f)
        m = np.maximum(kept, s_i)
        i, f = np.exp(s_i - m), np.exp(kept - m)
        c, n = f * state["c"] + i * z, f * state["n"] + i
        gates = np.concatenate([z, i, f, o, forget], axis=1)
        return {"gates": gates, "h": o * c / _denominator(n), "c": c, "n": n, "m": m}

    def step_backward(
        self, p: Arrays, xU: Array, state: Arrays, after: Arrays, dafter: Arrays, dp: Arrays
    ) -> tuple[Array, Mapping[str, Array]]:
        """Reverse the equations from the last to the first."""
        z, i, f, o, forget = np.split(after["gates"], 5, axis=1)
        denominator = _denominator(after["n"])
        ratio, dratio = after["c"] / denominator, dafter["h"] * o
        dc = dafter["c"] + dratio / denominator
        dn = dafter["n"] - np.where(after["n"] == denominator, dratio * ratio / denominator, 0)
        of_f, of_i = (dc * state["c"] + dn * state["n"]) * f, (dc * z + dn) * i
        dm, larger = dafter["m"] - of_f - of_i, f >= i  # f is one where it is what m was taken from
        dkept, ds_i = of_f + np.where(larger, dm, 0), of_i + np.where(larger, 0, dm)
        ds_o = dafter["h"] * ratio * o * (1 - o)
        ds = np.concatenate([dc * i * (1 - z**2), ds_i, dkept * (1 - forget), ds_o], axis=1)
        dp["W"][...] += state["h"].T @ ds
        dp["b"][...] += ds.sum(axis=0)
        return ds, {"h": ds @ p["W"].T, "c": dc * f, "n": dn * f, "m": dkept}


def _denominator(n: Array) -> Array:
    """n, or the smallest normal number where n has vanished, as c has then."""
    least = np.finfo(n.dtype).tiny
    denominator: Array = np.where(np.abs(n) < least, least, n)
    return denominator
