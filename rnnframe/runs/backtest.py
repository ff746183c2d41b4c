"""How good forecasts are over rolling origins, for each column and step ahead, beside the seasonal-naive forecast."""

from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.forecasts import Forecasts, written_times

KINDS = 5
"""Sums that are kept: absolute and squared errors, both of the naive forecast too, and values within the quantiles."""


@attrs.frozen(kw_only=True)
class ForecastScore:
    """Errors of one column in its own unit, at one step ahead or over all of them.

    Parameters
    ----------
    column : str
        Which.
    step : int or None
        The step ahead, from 1; None for all.
    count : int
        Values that were in the file to compare with.
    mae, rmse, naive_mae, naive_rmse : float or None
        Mean absolute and root mean squared error, of the model and of the seasonal-naive forecast; None for no value.
    mase, naive_mase : float or None
        The mean absolute error over that of the seasonal-naive forecast of the training part (Hyndman & Koehler 2006);
        of several series the mean. None where that error is 0 or not known.
    coverage : float or None
        Share of the values between the outermost quantiles; None without quantiles.
    """

    column: str
    step: int | None
    count: int
    mae: float | None
    rmse: float | None
    mase: float | None
    naive_mae: float | None
    naive_rmse: float | None
    naive_mase: float | None
    coverage: float | None


class Backtest:
    """Adds up the errors of forecasts as they arrive."""

    def __init__(self) -> None:
        self.columns: tuple[str, ...] = ()
        self.levels: tuple[float, ...] = ()
        self.season, self.horizon, self.origins = 1, 0, 0
        self._sums: dict[str, Array] = {}
        self._counts: dict[str, Array] = {}
        self._scales: dict[str, Array] = {}
        self._first: Any = None
        self._last: Any = None

    def add(self, made: Forecasts) -> None:
        """Add the forecasts of some origins. Values that were not in the file are compared with nothing."""
        self.columns, self.levels, self.season = made.columns, made.levels, made.season
        self.horizon = made.forecast.shape[1]
        self.origins += len(made.rows)
        at = made.rows if made.times is None else made.times
        self._first = at[0] if self._first is None else min(self._first, at[0])
        self._last = at[-1] if self._last is None else max(self._last, at[-1])
        there = np.isfinite(made.truth) & np.isfinite(made.naive)
        error, naive = made.forecast - made.truth, made.naive - made.truth
        within = np.zeros_like(error)
        if made.quantiles is not None:
            within = (made.quantiles[..., 0] <= made.truth) & (made.truth <= made.quantiles[..., -1])
        kinds = np.stack([np.abs(error), np.square(error), np.abs(naive), np.square(naive), within])
        sums, counts = np.where(there, kinds, 0).sum(axis=1), there.sum(axis=0)
        self._sums[made.series] = self._sums.get(made.series, 0) + sums
        self._counts[made.series] = self._counts.get(made.series, 0) + counts
        self._scales[made.series] = made.scale

    @property
    def span(self) -> tuple[str, str]:
        """The first and the last origin: their times, or "row N" where the file has none."""
        ends = np.array([self._first, self._last])
        first, last = (f"row {end}" for end in ends) if ends.dtype.kind == "i" else written_times(ends)
        return str(first), str(last)

    @property
    def count(self) -> int:
        """How many values were compared with."""
        return int(sum(counts.sum() for counts in self._counts.values()))

    def by_column(self) -> Iterator[ForecastScore]:
        """Yield how good the forecasts of each column are over all steps."""
        for place in range(len(self.columns)):
            yield self._score(place, None)

    def by_step(self, column: str) -> Iterator[ForecastScore]:
        """Yield how good the forecasts of a column are at each step ahead."""
        for step in range(1, self.horizon + 1):
            yield self._score(self.columns.index(column), step)

    def _score(self, place: int, step: int | None) -> ForecastScore:
        steps = slice(None) if step is None else slice(step - 1, step)
        sums = {name: each[:, steps, place].sum(axis=1) for name, each in self._sums.items()}
        counts = {name: int(each[steps, place].sum()) for name, each in self._counts.items()}
        count = sum(counts.values())
        total = sum(sums.values(), np.zeros(KINDS))
        mae, mse, naive_mae, naive_mse, coverage = (float(each) / count if count else None for each in total)
        return ForecastScore(
            column=self.columns[place],
            step=step,
            count=count,
            mae=mae,
            rmse=None if mse is None else mse**0.5,
            mase=self._scaled(sums, counts, 0, place),
            naive_mae=naive_mae,
            naive_rmse=None if naive_mse is None else naive_mse**0.5,
            naive_mase=self._scaled(sums, counts, 2, place),
            coverage=coverage if self.levels else None,
        )

    def _scaled(self, sums: Mapping[str, Array], counts: Mapping[str, int], kind: int, place: int) -> float | None:
        """Return the mean over series of an error in units of the naive one in training."""
        scaled = [
            float(each[kind]) / counts[name] / float(self._scales[name][place])
            for name, each in sums.items()
            if counts[name] and self._scales[name][place] > 0
        ]
        return float(np.mean(scaled)) if scaled else None


def forecast_table(made: Forecasts) -> Mapping[str, Array]:
    """Return forecasts as columns of a table, one row for each origin, step ahead and column."""
    origins, horizon, width = made.forecast.shape
    shape = origins, horizon, width

    def spread(values: Array, *axes: int) -> Array:
        return np.broadcast_to(np.expand_dims(values, axes), shape).ravel()

    table: dict[str, Array] = {}
    if made.series:
        table["series"] = np.full(origins * horizon * width, made.series)
    table["origin"] = spread(made.rows, 1, 2)
    if made.times is not None and made.ahead is not None:
        table["origin_time"] = spread(written_times(made.times), 1, 2)
    table["step"] = spread(np.arange(1, horizon + 1), 0, 2)
    if made.ahead is not None:
        table["time"] = spread(written_times(made.ahead.ravel()).reshape(origins, horizon), 2)
    table["column"] = spread(np.array(made.columns), 0, 1)
    table |= {"truth": made.truth.ravel(), "forecast": made.forecast.ravel(), "seasonal_naive": made.naive.ravel()}
    if made.quantiles is not None:
        for place, level in enumerate(made.levels):
            table[f"q{level:g}"] = made.quantiles[..., place].ravel()
    return table
