"""Curves of any number of points in a bounded number of columns, for the picture of a long run."""

from typing import Self

import attrs
import numpy as np

from rnnframe.arrays import Array

COLUMNS = 1024  # a curve is held in this many columns up to twice as many


@attrs.frozen(eq=False)
class Columns:
    """Neighbouring points in groups; all arrays have the shape [columns].

    Parameters
    ----------
    x
        The last x of each group.
    low, high
        The lowest and the highest y.
    mean, weight
        The weighted mean of y, and the sum of the weights.
    points
        The most points of a group; if it is 1, `low`, `high` and `mean` are the y of the point.
    """

    x: Array
    low: Array
    high: Array
    mean: Array
    weight: Array
    points: int = 1

    @classmethod
    def single(cls, x: Array, y: Array, weight: Array) -> Self:
        """Return a column for every point."""
        return cls(x, y, y, y, weight)

    def __len__(self) -> int:
        return len(self.x)

    def at_most(self, number: int) -> "Columns":
        """Return the same points in at most `number` columns."""
        return self.merged(-(-len(self) // number)) if len(self) > number else self

    def merged(self, number: int) -> "Columns":
        """Return columns that contain `number` of these each; the last one contains the rest."""
        starts = np.arange(0, len(self), number)
        ends = np.minimum(starts + number, len(self)) - 1
        weight = np.add.reduceat(self.weight, starts)
        mean = np.add.reduceat(self.mean * self.weight, starts) / weight
        low, high = np.minimum.reduceat(self.low, starts), np.maximum.reduceat(self.high, starts)
        return Columns(self.x[ends], low, high, np.clip(mean, low, high), weight, number * self.points)

    def joined(self, other: "Columns") -> "Columns":
        """Return these columns followed by others."""
        return Columns(
            np.concatenate([self.x, other.x]),
            np.concatenate([self.low, other.low]),
            np.concatenate([self.high, other.high]),
            np.concatenate([self.mean, other.mean]),
            np.concatenate([self.weight, other.weight]),
            self.points,
        )


class Curve:
    """A curve that receives its points in order, and halves its columns whenever there are twice `COLUMNS`.

    So it holds the extremes and the means of a run of any length in the same memory. Points whose y is not finite are
    left out and counted in `dropped`.
    """

    def __init__(self, columns: int = COLUMNS) -> None:
        self.dropped = 0
        self._most = 2 * columns
        nothing = np.zeros(0)
        self._whole = Columns(nothing, nothing, nothing, nothing, nothing)
        self._rest = self._whole  # single points that do not fill a column yet

    def extend(self, x: Array, y: Array, weight: Array | None = None) -> None:
        """Add points [n]; their weights in a mean (above 0) are equal if not given."""
        finite = np.isfinite(y)
        self.dropped += int(len(y) - finite.sum())
        weight = np.ones(len(y)) if weight is None else weight
        points = self._rest.joined(Columns.single(x[finite], y[finite], weight[finite]))
        while len(points) >= self._whole.points:
            room = (self._most - len(self._whole)) * self._whole.points
            taken = min(room, len(points) - len(points) % self._whole.points)
            self._whole = self._whole.joined(_part(points, 0, taken).merged(self._whole.points))
            points = _part(points, taken, len(points))
            if len(self._whole) == self._most:
                self._whole = self._whole.merged(2)
        self._rest = points

    def columns(self) -> Columns:
        """Return all points so far; the last column can have fewer points than the others."""
        return self._whole.joined(self._rest.merged(max(1, len(self._rest)))) if len(self._rest) else self._whole


def _part(columns: Columns, start: int, stop: int) -> Columns:
    part = slice(start, stop)
    return Columns(columns.x[part], columns.low[part], columns.high[part], columns.mean[part], columns.weight[part])
