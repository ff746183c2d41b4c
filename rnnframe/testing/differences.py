"""Slopes of a function of arrays by central differences of fourth order, which know no backward pass.

Along each of many entries, and along random directions through the whole array, so that large arrays are covered too.
"""

from collections.abc import Callable

import numpy as np

from rnnframe.arrays import Array
from rnnframe.testing.suite import fail
from rnnframe.testing.tables import relative_differences, table

STEPS = (1e-3, 1e-5)  # the second for entries where the first steps over a corner, as of relu
RESOLUTION = 4 * float(np.finfo(np.float64).eps)  # of a difference, per unit of the function
ENTRIES = 60  # of each array
DIRECTIONS = 3


def expect_slopes(
    what: str, analytic: Array, point: Array, function: Callable[[], float], tolerance: float, seed: int
) -> None:
    """Fail where `analytic` is not the slope of `function` in `point`, an array that it reads; it is put back.

    Raises `AssertionError` with a table of analytic against numeric values.
    """
    rng = np.random.default_rng(seed)
    flat, given = point.reshape(-1), np.asarray(analytic).reshape(-1)
    chosen = np.sort(rng.permutation(flat.size)[:ENTRIES])
    size = abs(function())
    numeric, near = _slopes(flat, chosen, function, given, tolerance, size)
    if near.max(initial=0.0) > tolerance:
        places = np.stack(np.unravel_index(chosen, point.shape), axis=-1)
        far = f"relative difference {near.max():.3g}, tolerance {tolerance:.3g}"
        fail(f"{what} is not what finite differences give: {far}\n{_named(places, given[chosen], numeric, near)}")
    if chosen.size == flat.size:
        return
    for _ in range(DIRECTIONS):
        direction = rng.normal(size=flat.size) / np.sqrt(flat.size)
        wanted, found = _along(flat, direction, function, STEPS[0]), float(given @ direction)
        near_zero = max(abs(wanted), float(np.abs(numeric).max()), RESOLUTION * size / STEPS[0] / tolerance)
        if not abs(wanted - found) <= tolerance * near_zero:
            if abs(_along(flat, direction, function, STEPS[1]) - found) <= 10 * tolerance * near_zero:
                continue
            fail(f"{what} along a random direction: analytic {found:.16g}, numeric {wanted:.16g}")


def _slopes(
    flat: Array, chosen: Array, function: Callable[[], float], given: Array, tolerance: float, size: float
) -> tuple[Array, Array]:
    """Return numeric slopes and their relative differences from `given`; what is far off is measured more closely."""
    numeric, smallest = np.zeros(len(chosen)), RESOLUTION * size / STEPS[0] / tolerance
    unit = np.zeros_like(flat)

    def measure(n: int, step: float) -> float:
        unit[chosen[n]] = 1
        slope = _along(flat, unit, function, step)
        unit[chosen[n]] = 0
        return slope

    for n in range(len(chosen)):
        numeric[n] = measure(n, STEPS[0])
    far_off = np.flatnonzero(relative_differences(given[chosen], numeric, smallest) > tolerance)
    for n in far_off.tolist():
        closer = measure(n, STEPS[1])
        if abs(closer - given[chosen[n]]) < abs(numeric[n] - given[chosen[n]]):
            numeric[n] = closer
    return numeric, relative_differences(given[chosen], numeric, smallest)


def _along(flat: Array, direction: Array, function: Callable[[], float], step: float) -> float:
    start = flat.copy()

    def difference(distance: float) -> float:
        flat[...] = start + distance * direction
        ahead = function()
        flat[...] = start - distance * direction
        return ahead - function()

    try:
        return (8 * difference(step) - difference(2 * step)) / (12 * step)
    finally:
        flat[...] = start


def _named(places: Array, analytic: Array, numeric: Array, near: Array) -> str:
    """Return the table of the worst entries, under the indices that they have in the whole array."""
    lines = table(analytic, numeric, near).splitlines()
    worst = np.argsort(-near, kind="stable")
    shown = [
        f"{'[' + ', '.join(map(str, places[n])) + ']':>14}{line[14:]}"
        for n, line in zip(worst, lines[1:], strict=False)
    ]
    return "\n".join([lines[0], *shown])
