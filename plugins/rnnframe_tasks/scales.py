"""Standardisation: mean and spread of each channel, learnt from the training part alone."""

from typing import Any

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError

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
        counted: Any = True if known is None else known | ~known.any(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = values.mean(axis=0, dtype=np.float64, where=counted)
            spread = values.std(axis=0, dtype=np.float64, where=counted)
        if not (np.isfinite(mean).all() and np.isfinite(spread).all()):
            raise DataError(f"values up to {np.abs(values).max():g} are too large to be standardised; divide them")
        return cls(mean, np.where(spread > ROUNDING * np.abs(values).max(axis=0), spread, 1.0))

    @classmethod
    def none(cls, channels: int) -> "Scale":
        """Return the scale that changes nothing."""
        return cls(np.zeros(channels), np.ones(channels))

    def part(self, channels: slice) -> "Scale":
        """Return the scale of some of the channels."""
        return Scale(self.mean[channels], self.spread[channels])

    def apply(self, values: Array) -> Array:
        """Return values [..., channels] in units of the spread, around the mean."""
        return np.asarray((values - self.mean) / self.spread, np.float32)
