"""LSTM whose gates see the cell state: Gers & Schmidhuber (2000), "Recurrent nets that time and count", IJCNN."""

import attrs
import numpy as np

from rnnframe.plugin import StepCell, sigmoid


@attrs.frozen(kw_only=True)
class PeepholeLSTM(StepCell):
    """LSTM with peepholes: i and f see c_(t-1), o sees c_t; U, W, b in the order i, f, g, o."""

    name = "peephole"
    reverse = "auto"

    def parameters(self, inputs):
        H = self.hidden
        shapes = {"U": (inputs, 4 * H), "W": (H, 4 * H), "b": (4 * H,)}
        return shapes | {"wi": (H,), "wf": (H,), "wo": (H,)}

    def initialize(self, parameters, rng):
        super().initialize(parameters, rng)
        parameters["b"][self.hidden : 2 * self.hidden] = 1  # remember, to begin with

    def state(self, inputs):
        return {"h": self.hidden, "c": self.hidden}

    def step(self, p, xU, state):
        c = state["c"]
        i, f, g, o = np.split(xU + state["h"] @ p["W"] + p["b"], 4, axis=1)
        i, f = sigmoid(i + p["wi"] * c), sigmoid(f + p["wf"] * c)
        c = f * c + i * np.tanh(g)
        return {"h": sigmoid(o + p["wo"] * c) * np.tanh(c), "c": c}
