"""rnnframe as a subject: what is timed is one call of `Engine.gradients`."""

from typing import ClassVar

import attrs
import numpy as np

import rnnframe as rf
from rnnframe.plugin import Head, Loss, Readout
from tests.benchmarks.kernels import engine_options
from tests.benchmarks.problems import CLASSES, Problem


@attrs.frozen(kw_only=True)
class Nothing(Readout):
    """No readout."""

    name: ClassVar[str] = "nothing"

    def parameters(self, inputs, outputs):
        return {}

    def initialize(self, parameters, rng):
        pass

    def scratch(self, inputs, outputs):
        return {}

    def forward(self, weights, h, scratch):
        raise NotImplementedError

    def backward(self, weights, h, do, dh, gradients, scratch):
        raise NotImplementedError


@attrs.frozen(kw_only=True)
class Told(Loss):
    """The targets are dL/dh_t itself."""

    name: ClassVar[str] = "told"
    units: int

    @property
    def width(self):
        return self.units

    def targets(self, y, dtype):
        return y


@attrs.frozen(kw_only=True)
class Given(Head):
    """Hands the targets on as dL/dh_t."""

    def reverse(self, weights, h, y, factors, dh, gradients, scratch):
        dh[...] = y
        return 0.0


def bare():
    """Return compiled kernels that leave a head as it is which has no products."""
    from rnnframe_compiled import Compiled

    @attrs.frozen(kw_only=True)
    class Bare(Compiled):
        def twin_in(self, part, dtype, precision):
            return part if isinstance(part, Given) else super().twin_in(part, dtype, precision)

    return Bare()


def prepare(problem: Problem, threads: int, kernels: str = "numpy", precision: str | None = None):
    """Return a function that computes the gradients of U and W once."""
    data, shape = problem.arrays(), problem.shape
    given = Given(loss=Told(units=shape.H), readout=Nothing())
    head = given if problem.setting == "layer" else f"softmax:classes={CLASSES}"
    network = rf.Network([f"{problem.cell}:hidden={shape.H}"], head, shape.I)
    parameters = network.parameters
    parameters.flat[:] = 0
    for name in "UWb":
        parameters[f"layer0.{name}"][...] = getattr(data, name)
    if problem.setting == "model":
        parameters["head.V"][...] = data.V
    options = engine_options(kernels) if precision is None else {"kernels": bare(), "precision": precision}
    engine = rf.Engine(network, shards=threads, **options)
    y = data.dh if problem.setting == "layer" else data.y

    def run():
        result = engine.gradients(data.x, y)
        scale = np.float32(result.count if problem.setting == "layer" else 1)  # torch's and jax's are sums there
        return [result.gradients[f"layer0.{name}"] for name in "UW"], scale

    return run
