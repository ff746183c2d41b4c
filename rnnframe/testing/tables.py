"""Two arrays side by side: where they differ most, as a table that a person can read."""

import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.testing.suite import fail

ENTRIES_SHOWN = 5
SMALL = 1e-2
"""Of several arrays, each is measured by no less than this part of the largest entry of all."""


def relative_differences(one: Array, other: Array, smallest: float = 0.0) -> Array:
    """Return |one - other| / max |other| for each entry; what is no number counts as infinitely far.

    An entry near zero is measured by the size of its neighbours, and none by less than `smallest`.
    """
    scale = max(float(np.abs(other).max(initial=0.0)), smallest, float(np.finfo(np.float64).tiny))
    with np.errstate(invalid="ignore", over="ignore"):
        relative: Array = np.nan_to_num(np.abs(one - other) / scale, nan=np.inf)
        return relative


def table(one: Array, other: Array, relative: Array, titles: tuple[str, str] = ("analytic", "numeric")) -> str:
    """Return the entries that differ most, the worst first: index, both values, relative difference."""
    worst = np.argsort(-relative, axis=None, kind="stable")[:ENTRIES_SHOWN]
    lines = [f"{'index':>14} {titles[0]:>24} {titles[1]:>24} {'relative':>10}"]
    for index in zip(*np.unravel_index(worst, relative.shape), strict=True):
        place = "[" + ", ".join(map(str, index)) + "]"
        lines.append(f"{place:>14} {one[index]:>24.16g} {other[index]:>24.16g} {relative[index]:>10.3g}")
    return "\n".join(lines)


def expect_close(
    what: str, one: Array, other: Array, tolerance: float, titles: tuple[str, str], smallest: float = 0.0
) -> None:
    """Fail with a table where two arrays differ by more than `tolerance` of the largest entry of the second.

    That entry counts as no less than `smallest`.
    """
    one, other = np.atleast_1d(one), np.atleast_1d(other)
    if one.shape != other.shape:
        fail(f"{what}: shape {list(one.shape)}, expected {list(other.shape)}")
    relative = relative_differences(one, other, smallest)
    if one.size and relative.max() > tolerance:
        far = f"relative difference {relative.max():.3g}, tolerance {tolerance:.3g}"
        fail(f"{what}: {far}\n{table(one, other, relative, titles)}")


def expect_all_close(what: str, ones: Arrays, others: Arrays, tolerance: float, titles: tuple[str, str]) -> None:
    """Fail where one of several arrays differs; `what` has {} for its name.

    One that is zero but for rounding, beside others that are not, is measured by them.
    """
    smallest = SMALL * max((float(np.abs(other).max(initial=0.0)) for other in others.values()), default=0.0)
    for name, other in others.items():
        expect_close(what.format(name), ones[name], other, tolerance, titles, smallest)


def expect_same_bits(what: str, one: Array, other: Array, titles: tuple[str, str]) -> None:
    """Fail with a table where two arrays are not equal to the last bit."""
    one, other = np.atleast_1d(one), np.atleast_1d(other)
    if one.shape != other.shape or one.dtype != other.dtype:
        found, wanted = f"{one.dtype} {list(one.shape)}", f"{other.dtype} {list(other.shape)}"
        fail(f"{what}: {found}, expected {wanted}")
    if one.tobytes() != other.tobytes():
        difference = np.where(one == other, 0.0, np.maximum(relative_differences(one, other), np.finfo(float).tiny))
        fail(f"{what}: not equal to the last bit\n{table(one, other, difference, titles)}")
