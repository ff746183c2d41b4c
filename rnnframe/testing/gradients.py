"""Gradients from nothing but losses: an engine's gradients checked against finite differences.

    f'(p) ≈ (8 (f(p + s) - f(p - s)) - (f(p + 2s) - f(p - 2s))) / 12s

The error is s⁴ f⁽⁵⁾/30 of truncation and about ε |f| / s of rounding: with s = 1e-3 both are near 1e-13 for losses
and derivatives of size 1. Abramowitz & Stegun (1964), table 25.2.
"""

from typing import Any

import numpy as np

from rnnframe.arrays import Array, Arrays, Vector
from rnnframe.contracts.kernels import NUMPY
from rnnframe.data.draws import Draw
from rnnframe.engine.engine import Engine
from rnnframe.engine.inference import Inference
from rnnframe.errors import UsageError
from rnnframe.testing.tables import relative_differences, table

STEP = 1e-3
RESOLUTION = 4 * float(np.finfo(np.float64).eps) / STEP  # of a slope, per unit of loss


def numeric_gradients(
    engine: Engine[Any],
    x: Any,
    y: Any,
    state: Arrays | None = None,
    lengths: Any | None = None,
    resets: Any | None = None,
) -> Vector:
    """Return dL/dparameters by central differences of fourth order, with the names and shapes of the parameters.

    x, y, state, lengths, resets: arrays as `Engine.gradients` takes them. The losses come from running the network
    forward alone, four times for each parameter, with the random masks of the engine's next run; the engine's store has
    no part in them. The parameters are put back bit for bit.

    Raises `UsageError` for a float32 network, whose rounding errors drown the differences, and for a stream.
    """
    losses = _Losses(engine, x, y, lengths, resets)
    parameters = engine.network.parameters
    slopes = Vector.zeros(parameters.shapes, engine.network.dtype)
    try:
        losses.differentiate(parameters.flat, slopes.flat, state)
    finally:
        engine.network.weights.derive()
    return slopes


def numeric_state_gradient(
    engine: Engine[Any],
    x: Any,
    y: Any,
    state: Arrays | None = None,
    lengths: Any | None = None,
    resets: Any | None = None,
) -> Vector:
    """Return dL/dstate before the first step, with the names and shapes of a state [B, width]; zeros by default.

    Method, arguments and errors are those of `numeric_gradients`.
    """
    losses = _Losses(engine, x, y, lengths, resets)
    batch = int(np.shape(x)[1])
    start = engine.network.new_state(batch)
    engine.network.fill_state(start, state, batch, slice(None))
    slopes: Vector = engine.network.new_state(batch)
    losses.differentiate(start.flat, slopes.flat, start)
    return slopes


def check_gradients(
    engine: Engine[Any],
    x: Any,
    y: Any,
    state: Arrays | None = None,
    tolerance: float = 1e-7,
    lengths: Any | None = None,
    resets: Any | None = None,
) -> float:
    """Compare gradients and state gradient of `engine` with differences and return the largest relative difference.

    The relative difference of an array is max |analytic - numeric| / max |numeric| over its entries, so that an entry
    near zero is measured by the size of its neighbours. Differences resolve a slope to some 4 ε |loss| / STEP; an
    array too small to be resolved to `tolerance` counts as large as one that just is, about 1e-5 |loss| by default.
    A store that truncates passes only where its window covers the sequence.

    Raises `AssertionError` with the worst entries of the worst array where a relative difference exceeds `tolerance`,
    or where the loss is not that of the forward run; `UsageError` as `numeric_gradients`.
    """
    numeric = {**numeric_gradients(engine, x, y, state, lengths, resets)}
    if not engine.running.both_ways:  # which takes no state
        numeric |= _of_state(numeric_state_gradient(engine, x, y, state, lengths, resets))
    forward = inference_of(engine).evaluate(x, y, state, lengths, resets).loss
    result = engine.gradients(x, y, state, lengths, resets)
    if not np.isclose(result.loss, forward, rtol=1e-12, atol=0):
        raise AssertionError(f"the loss is {result.loss!r} in training and {forward!r} in a forward run")
    analytic = {**result.gradients, **_of_state(result.state_gradient)}
    smallest = (RESOLUTION * abs(forward) + float(np.finfo(np.float64).tiny)) / tolerance
    relative = {name: relative_differences(analytic[name], numeric[name], smallest) for name in numeric}
    worst = max(relative, key=lambda name: float(relative[name].max()))
    largest = float(relative[worst].max())
    if largest > tolerance:
        title = f"dL/d({worst}) is not what finite differences give: relative difference {largest:.3g}"
        shown = table(analytic[worst], numeric[worst], relative[worst])
        raise AssertionError(f"{title}, tolerance {tolerance:.3g}\n{shown}")
    return largest


def inference_of(engine: Engine[Any]) -> Inference[Any]:
    """Return what runs the engine's network forward with the random masks of the engine's next run."""
    return Inference(engine.running, engine.chunk, NUMPY, draw=Draw(engine.seed, engine.draws))


def _of_state(arrays: Arrays) -> dict[str, Array]:
    return {f"state {name}": array for name, array in arrays.items()}


class _Losses:
    """The loss as a function of any vector that the network reads."""

    def __init__(self, engine: Engine[Any], x: Any, y: Any, lengths: Any | None, resets: Any | None) -> None:
        network = engine.network
        if network.dtype != np.float64:
            raise UsageError(f"finite differences of a {network.dtype} network are noise; make it with dtype='float64'")
        if not hasattr(x, "__getitem__"):
            raise UsageError(f"finite differences read x many times; give arrays, not a {type(x).__name__}")
        self._inference = inference_of(engine)
        self._x, self._y = x, y
        self._cuts = lengths, resets

    def differentiate(self, point: Array, slopes: Array, state: Arrays | None) -> None:
        """Write the slope of the loss along each entry of `point` into `slopes`; `point` is moved and put back."""
        for n in range(len(point)):
            near, far = (self._difference(point, n, step, state) for step in (STEP, 2 * STEP))
            slopes[n] = (8 * near - far) / (12 * STEP)

    def _difference(self, point: Array, n: int, step: float, state: Arrays | None) -> float:
        value = point[n]
        try:
            point[n] = value + step
            ahead = self._inference.evaluate(self._x, self._y, state, *self._cuts).loss
            point[n] = value - step
            return ahead - self._inference.evaluate(self._x, self._y, state, *self._cuts).loss
        finally:
            point[n] = value
