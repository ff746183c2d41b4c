"""What optimizers are tried on: functions with their gradients."""

from collections.abc import Callable

import attrs
import numpy as np

from rnnframe.arrays import Array

STEEPNESS = np.geomspace(0.1, 10, 6)
LOWEST = np.array([3.0, -1.0, 0.5, -2.0, 1.0, -0.5])


@attrs.frozen
class Problem:
    """A function to go down, with its gradient and where to begin."""

    name: str
    start: tuple[float, ...]
    loss: Callable[[Array], float]
    gradient: Callable[[Array], Array]


def _bowl(p: Array) -> float:
    return float((STEEPNESS * (p - LOWEST) ** 2).sum() / 2)


def _bowl_gradient(p: Array) -> Array:
    slope: Array = STEEPNESS * (p - LOWEST)
    return slope


def _valley(p: Array) -> float:
    x, y = p
    return float((1 - x) ** 2 + 100 * (y - x**2) ** 2)


def _valley_gradient(p: Array) -> Array:
    """Rosenbrock (1960), "An automatic method for finding the greatest or least value of a function"."""
    x, y = p
    return np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])


PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("quadratic", (0.0,) * 6, _bowl, _bowl_gradient),
        Problem("rosenbrock", (-1.2, 1.0), _valley, _valley_gradient),
    )
}
