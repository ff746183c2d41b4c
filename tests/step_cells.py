"""The built-in cells once more, each from the formula of one step: with a reverse of its own, and with an automatic
one (which sees the same step, but must not see the reverse).
"""

import attrs
import numpy as np

from rnnframe.contracts.step_cell import StepCell, sigmoid


@attrs.frozen(kw_only=True)
class StepElman(StepCell):
    name = "step-elman"

    def parameters(self, inputs):
        return {"U": (inputs, self.hidden), "W": (self.hidden, self.hidden), "b": (self.hidden,)}

    def step(self, p, xU, state):
        return {"h": np.tanh(xU + state["h"] @ p["W"] + p["b"])}

    def step_backward(self, p, xU, state, after, dafter, dp):
        dz = dafter["h"] * (1 - after["h"] ** 2)
        dp["W"] += state["h"].T @ dz
        dp["b"] += dz.sum(axis=0)
        return dz, {"h": dz @ p["W"].T}


@attrs.frozen(kw_only=True)
class StepLSTM(StepCell):
    """It leaves its gates as well as its state."""

    name = "step-lstm"

    def parameters(self, inputs):
        return {"U": (inputs, 4 * self.hidden), "W": (self.hidden, 4 * self.hidden), "b": (4 * self.hidden,)}

    def state(self, inputs):
        return {"h": self.hidden, "c": self.hidden}

    def tape(self, inputs):
        return {"gates": 4 * self.hidden, "c": self.hidden, "h": self.hidden}

    def step(self, p, xU, state):
        i, f, g, o = np.split(xU + state["h"] @ p["W"] + p["b"], 4, axis=1)
        gates = i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * state["c"] + i * g
        return {"h": o * np.tanh(c), "c": c, "gates": np.concatenate(gates, axis=1)}

    def step_backward(self, p, xU, state, after, dafter, dp):
        i, f, g, o = np.split(after["gates"], 4, axis=1)
        tanh_c = np.tanh(after["c"])
        dc = dafter["c"] + dafter["h"] * o * (1 - tanh_c**2)
        dz_o = dafter["h"] * tanh_c * o * (1 - o)
        dz = [dc * g * i * (1 - i), dc * state["c"] * f * (1 - f), dc * i * (1 - g**2), dz_o]
        dz = np.concatenate(dz, axis=1)
        dp["W"] += state["h"].T @ dz
        dp["b"] += dz.sum(axis=0)
        return dz, {"h": dz @ p["W"].T, "c": dc * f}


@attrs.frozen(kw_only=True)
class StepGRU(StepCell):
    """It takes x_t itself, and multiplies it on its own."""

    name = "step-gru"

    def parameters(self, inputs):
        H = self.hidden
        return {"U": (inputs, 3 * H), "W": (H, 3 * H), "b": (3 * H,), "bn": (H,)}

    def gates(self, p, x, state):
        H = self.hidden
        z, recurrent = x @ p["U"] + p["b"], state["h"] @ p["W"]
        r, u = np.split(sigmoid(z[:, : 2 * H] + recurrent[:, : 2 * H]), 2, axis=1)
        q = recurrent[:, 2 * H :] + p["bn"]
        return r, u, q, np.tanh(z[:, 2 * H :] + r * q)

    def step(self, p, x, state):
        _, u, _, n = self.gates(p, x, state)
        return {"h": (1 - u) * n + u * state["h"]}

    def step_backward(self, p, x, state, after, dafter, dp):
        r, u, q, n = self.gates(p, x, state)
        dh, h = dafter["h"], state["h"]
        dz_n = dh * (1 - u) * (1 - n**2)
        dz_r, dz_u, dq = dz_n * q * r * (1 - r), dh * (h - n) * u * (1 - u), dz_n * r
        dz, drecurrent = np.concatenate([dz_r, dz_u, dz_n], axis=1), np.concatenate([dz_r, dz_u, dq], axis=1)
        dp["U"] += x.T @ dz
        dp["W"] += h.T @ drecurrent
        dp["b"] += dz.sum(axis=0)
        dp["bn"] += dq.sum(axis=0)
        return dz @ p["U"].T, {"h": dh * u + drecurrent @ p["W"].T}


def followed(cls):
    """Return the cell with an automatic reverse; its own would fail."""

    @attrs.frozen(kw_only=True)
    class Followed(cls):
        name = cls.name.replace("step", "auto")
        reverse = "auto"
        step_backward = None

    return Followed


AutoElman, AutoLSTM, AutoGRU = followed(StepElman), followed(StepLSTM), followed(StepGRU)
BUILT_IN = {
    "elman": (StepElman, AutoElman),
    "lstm": (StepLSTM, AutoLSTM),
    "gru": (StepGRU, AutoGRU),
}
EVERY_CELL = [cls for pair in BUILT_IN.values() for cls in pair]
