"""The minimal gated unit, one gate: Zhou, Wu, Zhang & Zhou (2016), arXiv 1603.09420."""

import attrs
import numpy as np

from rnnframe.plugin import StepCell, sigmoid


@attrs.frozen(kw_only=True)
class MinimalGatedUnit(StepCell):
    """h_t = (1 - f) ∘ h_(t-1) + f ∘ n with n = tanh(x_t U_n + (f ∘ h_(t-1)) W_n + b_n); columns in the order f, n."""

    name = "mgu"

    def parameters(self, inputs):
        H = self.hidden
        return {"U": (inputs, 2 * H), "Wf": (H, H), "Wn": (H, H), "b": (2 * H,)}

    def gates(self, p, xU, h):
        z_f, z_n = np.split(xU + p["b"], 2, axis=1)
        f = sigmoid(z_f + h @ p["Wf"])
        return f, np.tanh(z_n + (f * h) @ p["Wn"])

    def step(self, p, xU, state):
        f, n = self.gates(p, xU, state["h"])
        return {"h": state["h"] + f * (n - state["h"])}

    def step_backward(self, p, xU, state, after, dafter, dp):
        h, dh = state["h"], dafter["h"]
        f, n = self.gates(p, xU, h)
        dz_n = dh * f * (1 - n * n)
        dfh = dz_n @ p["Wn"].T  # the gradient of f ∘ h_(t-1)
        dz_f = (dh * (n - h) + dfh * h) * f * (1 - f)
        dp["Wf"] += h.T @ dz_f
        dp["Wn"] += (f * h).T @ dz_n
        dz = np.concatenate([dz_f, dz_n], axis=1)
        dp["b"] += dz.sum(axis=0)
        return dz, {"h": dh * (1 - f) + dfh * f + dz_f @ p["Wf"].T}
