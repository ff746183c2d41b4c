"""Quantiles of forecasts, moved so that they cover: by how the earlier forecasts of the same series have covered.

The score of an interval between two quantiles is how far the outcome lies outside, s = max(low - y, y - high), below
zero inside (conformalized quantile regression: Romano, Patterson & Candès 2019, arXiv 1905.03222). Both ends move
outwards by b, which follows the scores of a series in time (quantile tracking: Angelopoulos, Candès & Tibshirani 2023,
arXiv 2307.16895, section 2):

    b_(t+1) = b_t + RATE B_t (1{s_t > b_t} - alpha),

where alpha is the share that may lie outside and B_t the largest |s| of the last `WINDOW` rows. Series change, so no
set of errors stands for all that comes; this holds the share in the long run for any series. Each step ahead is tracked
by itself: a forecast k steps ahead of row t is moved by those of the rows up to t - k, whose outcome is known at t.
"""

import numpy as np

from rnnframe.plugin import Array

RATE = 0.1
"""What the authors take."""
WINDOW = 128
"""A power of two."""


def pairs(levels: tuple[float, ...]) -> list[tuple[int, int]]:
    """Return the places of the levels that end an interval together; raises `ValueError` where one has no partner."""
    last = len(levels) - 1
    alone = [low for low, high in zip(levels, reversed(levels), strict=True) if abs(low + high - 1) > 1e-9]
    if alone or last < 1:
        raise ValueError(f"'calibrate' needs quantiles in pairs such as 0.1;0.9, and not {';'.join(map(str, levels))}")
    return [(place, last - place) for place in range((last + 1) // 2)]


class Calibrated:
    """Moves the quantiles of one series, piece by piece in the order of time.

    values, present: of the columns that are forecast, [rows, targets]. first: the first row whose forecasts were not
    trained on; those before it move nothing.
    """

    def __init__(self, levels: tuple[float, ...], values: Array, present: Array, horizon: int, first: int) -> None:
        self._pairs = pairs(levels)
        self._outside = np.array([1 - (levels[high] - levels[low]) for low, high in self._pairs])
        self._values = np.where(present, values, np.nan)
        self._horizon, self._first = horizon, first
        shape = horizon, values.shape[1], len(self._pairs)
        self._moves = np.zeros(shape)
        self._scores = np.full((WINDOW + horizon, *shape), np.nan)
        self._used = np.zeros((horizon, *shape))

    def moved(self, quantiles: Array, rows: Array) -> Array:
        """Return quantiles [rows, horizon, targets, levels] of forecasts made at the rows that come next, moved."""
        scores = np.concatenate([self._scores, self._scores_of(quantiles, rows)])
        moves = self._tracked(scores, len(rows))
        made = quantiles.copy()
        for place, (low, high) in enumerate(self._pairs):
            made[..., low] -= moves[..., place]
            made[..., high] += moves[..., place]
        made.sort(axis=-1)  # where intervals have shrunk to nothing
        self._scores = scores[len(rows) :]
        return made

    def _scores_of(self, quantiles: Array, rows: Array) -> Array:
        """Return the scores, NaN where the outcome is not in the data, or the forecast was trained on."""
        later = rows[:, None] + np.arange(1, self._horizon + 1)
        outcome = self._values[np.minimum(later, len(self._values) - 1)]
        outcome[(later >= len(self._values)) | (rows < self._first)[:, None]] = np.nan
        ends = [(quantiles[..., low] - outcome, outcome - quantiles[..., high]) for low, high in self._pairs]
        return np.stack([np.maximum(*each) for each in ends], axis=-1)

    def _tracked(self, scores: Array, count: int) -> Array:
        """Return the moves [count, horizon, targets, pairs] at the last `count` rows of the scores."""
        largest = _largest_before(np.where(np.isnan(scores), 0.0, np.abs(scores)))
        used = np.concatenate([self._used, np.empty((count, *self._moves.shape))])
        step = np.arange(self._horizon)
        for row in range(count):  # each move follows from the one before
            made = WINDOW + self._horizon + row - 1 - step, step  # the forecasts whose outcome is known now
            score = scores[made]
            missed = (score > used[self._horizon + row - 1 - step, step]) - self._outside
            self._moves = self._moves + np.where(np.isnan(score), 0.0, RATE * largest[made] * missed)
            used[self._horizon + row] = self._moves
        self._used = used[count:]
        return used[self._horizon :]


def _largest_before(values: Array) -> Array:
    """Return the largest of the last `WINDOW` rows at each row."""
    largest, width = values.copy(), 1
    while width < WINDOW:
        largest[width:] = np.maximum(largest[width:], largest[:-width])
        width *= 2
    return largest
