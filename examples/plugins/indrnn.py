"""Independently recurrent network: Li, Li, Cook, Zhu & Gao (2018), arXiv 1803.04831."""

import attrs
import numpy as np

from rnnframe.plugin import StepCell


@attrs.frozen(kw_only=True)
class IndRNN(StepCell):
    """h_t = relu(x_t U + u ∘ h_(t-1) + b): each unit remembers itself alone, so layers are stacked to mix them."""

    name = "indrnn-steps"

    def parameters(self, inputs):
        return {"U": (inputs, self.hidden), "u": (self.hidden,), "b": (self.hidden,)}

    def initialize(self, parameters, rng):
        super().initialize(parameters, rng)
        parameters["u"][...] = rng.uniform(0, 1, self.hidden)

    def step(self, p, xU, state):
        return {"h": np.maximum(xU + p["u"] * state["h"] + p["b"], 0)}

    def step_backward(self, p, xU, state, after, dafter, dp):
        dz = dafter["h"] * (after["h"] > 0)
        dp["u"] += (dz * state["h"]).sum(axis=0)
        dp["b"] += dz.sum(axis=0)
        return dz, {"h": dz * p["u"]}
