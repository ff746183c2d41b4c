"""rnnframe as a subject: what is timed is one call of `Engine.gradients`."""

from typing import ClassVar, Literal

import attrs
import numpy as np

import rnnframe as rf
from rnnframe.contracts.head import Head
from tests.benchmarks.kernels import engine_options
from tests.benchmarks.problems import CLASSES, Problem


@attrs.frozen(kw_only=True)
class Given(Head):
    """No readout: the targets are dL/dh_t itself."""

    name: ClassVar[str] = "given"
    at: Literal["every", "last"] = "every"
    units: int

    @property
    def width(self):
        return self.units

    @property
    def target_dims(self):
        return 2

    def parameters(self, inputs):
        return {}

    def initialize(self, parameters, rng):
        pass

    def scratch(self, inputs):
        return {}

    def targets(self, y, dtype):
        return y

    def loss_and_gradient(self, o, y):
        raise NotImplementedError

    def prediction(self, o):
        raise NotImplementedError

    def reverse(self, weights, h, y, dh, gradients, scratch):
        dh[...] = y
        return 0.0


def prepare(problem: Problem, threads: int, kernels: str = "numpy"):
    """Return a function that computes the gradients of U and W once."""
    data, shape = problem.arrays(), problem.shape
    head = Given(units=shape.H) if problem.setting == "layer" else f"softmax:classes={CLASSES}"
    network = rf.Network([f"{problem.cell}:hidden={shape.H}"], head, shape.I)
    parameters = network.parameters
    parameters.flat[:] = 0
    for name in "UWb":
        parameters[f"layer0.{name}"][...] = getattr(data, name)
    if problem.setting == "model":
        parameters["head.V"][...] = data.V
    engine = rf.Engine(network, shards=threads, **engine_options(kernels))
    y = data.dh if problem.setting == "layer" else data.y

    def run():
        result = engine.gradients(data.x, y)
        scale = np.float32(result.count if problem.setting == "layer" else 1)  # torch's and jax's are sums there
        return [result.gradients[f"layer0.{name}"] for name in "UW"], scale

    return run
