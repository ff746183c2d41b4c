"""Standardisation: mean and spread of each channel, learnt from the training part alone."""

from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.row_blocks import blocks_of

ROUNDING = 1e-12
"""A spread below this part of the largest value is what sums in float64 round, and no variation."""


def numbers(values: Any) -> tuple[float, ...]:
    """Return numbers as a tuple; raises `ValueError` or `TypeError` for anything else, or what is not finite."""
    made = tuple(map(float, values))
    if not np.isfinite(made).all():
        raise ValueError(f"expected finite numbers, not {made}")
    return made


@attrs.frozen
class Scale:
    """Mean and standard deviation of each channel."""

    mean: Array
    spread: Array

    @classmethod
    def of(cls, values: Array, known: Array | None = None) -> "Scale":
        """Return the scale of values [steps, channels]; a channel that does not vary keeps its unit.

        known: booleans [steps, channels], the values that count where there are any; None where all do.

        Raises `DataError` for values that are too large to be squared.
        """
        counted = None if known is None or known.all() else known | ~known.any(axis=0)
        count = len(values) if counted is None else counted.sum(axis=0)
        total, squares, largest = np.zeros((3, values.shape[1]))
        with np.errstate(over="ignore", invalid="ignore"):
            for block, which in _blocks(values, counted):
                total += block.sum(axis=0, where=which)
                largest = np.maximum(largest, np.abs(block).max(axis=0))
            mean = total / count
            for block, which in _blocks(values, counted):
                squares += np.square(block - mean).sum(axis=0, where=which)
            spread = np.sqrt(squares / count)
        if not (np.isfinite(mean).all() and np.isfinite(spread).all()):
            raise DataError(f"values up to {largest.max():g} are too large to be standardised; divide them")
        return cls(mean, np.where(spread > ROUNDING * largest, spread, 1.0))

    @classmethod
    def none(cls, channels: int) -> "Scale":
        """Return the scale that changes nothing."""
        return cls(np.zeros(channels), np.ones(channels))

    def part(self, channels: slice) -> "Scale":
        """Return the scale of some of the channels."""
        return Scale(self.mean[channels], self.spread[channels])

    def apply(self, values: Array) -> Array:
        """Return values [..., channels] in units of the spread, around the mean."""
        made = np.empty(values.shape, np.float32)
        for rows in blocks_of(len(made), 2 * made[:1].nbytes):
            made[rows] = (values[rows] - self.mean) / self.spread
        return made


def _blocks(values: Array, counted: Array | None) -> Iterator[tuple[Array, Any]]:
    """Yield blocks of values in float64 and which of them count; sums over them do not depend on the array's order."""
    for rows in blocks_of(len(values), 8 * values.shape[1]):
        yield np.ascontiguousarray(values[rows], np.float64), True if counted is None else counted[rows]
