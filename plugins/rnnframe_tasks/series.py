"""A series with its forecasts: what is trained on, what is judged, and the naive forecast beside it."""

import itertools
from collections.abc import Iterable, Iterator, Mapping

import attrs
import numpy as np

from rnnframe.plugin import Array, Batch, Dataset, Examples, Predicted
from rnnframe_tasks.scales import Scale
from rnnframe_tasks.sequences import Shuffled

PIECE = 4096
"""Steps that are judged or predicted at once."""


@attrs.frozen(kw_only=True, eq=False)
class Series:
    """Values [rows, columns], of which the first `targets` columns are forecast; differenced at `lag` (0: not).

    known: which values [rows, columns] were in the file. The others were filled in: they are read, and never targets.
    """

    values: Array
    targets: int
    lag: int
    known: Array = attrs.field(
        default=attrs.Factory(lambda self: np.ones(self.values.shape, np.bool_), takes_self=True)
    )

    def differenced(self) -> Array:
        """Return the values that are learnt, [rows - lag, columns]; row n of them is row n + lag of the series."""
        return self.values[self.lag :] - self.values[: -self.lag] if self.lag else self.values

    def wanted(self, scale: Scale) -> Array:
        """Return what is to be forecast as it is learnt, [rows - lag, targets]: NaN where nobody knows it."""
        learnt = scale.apply(self.differenced())[:, : self.targets]
        known = self.known[self.lag :, : self.targets]
        return learnt if known.all() else np.where(known, learnt, np.float32(np.nan))

    def naive(self, rows: Array, horizon: int, season: int) -> Array:
        """Return the forecasts made at some rows of the series that repeat the season before."""
        ahead = np.arange(1, horizon + 1)
        return self.values[(rows[:, None] + ahead - season * -(-ahead // season)), : self.targets]

    def restored(self, forecast: Array, rows: Array) -> Array:
        """Return differences forecast at some rows of the series as values: each is added to the one `lag` before."""
        if not self.lag:
            return forecast
        restored = np.empty_like(forecast)
        for k in range(forecast.shape[1]):
            before = k - self.lag
            base = restored[:, before] if before >= 0 else self.values[rows + k + 1 - self.lag, : self.targets]
            restored[:, k] = base + forecast[:, k]
        return restored


def ahead(values: Array, rows: Array, horizon: int) -> Array:
    """Return the values that follow each of some rows, [rows, horizon, columns]."""
    following: Array = values[rows[:, None] + np.arange(1, horizon + 1)]
    return following


@attrs.frozen(kw_only=True, eq=False)
class SeriesExamples(Examples):
    """A series run through from its beginning, and judged at its rows from `since` on that have a whole horizon."""

    series: Series
    scale: Scale
    columns: tuple[str, ...]
    horizon: int
    season: int
    since: int

    def batches(self) -> Iterator[Batch]:
        """Yield the series in pieces: those before `since` and those near the end have no targets."""
        learnt, wanted = self.scale.apply(self.series.differenced()), self.series.wanted(self.scale)
        end = len(learnt)
        first = min(self.since - self.series.lag, end)
        judged = max(first, end - self.horizon)
        for start, stop in _pieces(0, first, judged, end):
            x = learnt[start:stop, None]
            y = None
            if first <= start < judged:
                y = ahead(wanted, np.arange(start, stop), self.horizon).reshape(stop - start, 1, -1)
            yield Batch(x, y, carry=start > 0)

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """Mean absolute and root mean squared error of the forecasts and of the naive ones, in the data's units.

        Only values that were in the file are compared with.
        """
        total, count = np.zeros(4), 0
        for rows, forecast, each in self._forecasts(predicted):
            if each.batch.y is None:
                continue
            true = ahead(self.series.values[:, : self.series.targets], rows, self.horizon)
            known = ahead(self.series.known[:, : self.series.targets], rows, self.horizon)
            for place, guess in ((0, forecast), (2, self.series.naive(rows, self.horizon, self.season))):
                error = (guess - true)[known]
                total[place : place + 2] += np.abs(error).sum(), np.square(error).sum()
            count += int(known.sum())
        mean = total / max(1, count)
        return {
            "error": float(mean[0]),
            "seasonal-naive": float(mean[2]),
            "rms error": float(np.sqrt(mean[1])),
            "seasonal-naive rms": float(np.sqrt(mean[3])),
        }

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """The forecasts made at each row, which counts from 1; those of the last row look beyond the end."""
        for rows, forecast, _ in self._forecasts(predicted):
            names = [f"{name}+{k + 1}" for k in range(self.horizon) for name in self.columns]
            columns = forecast.reshape(len(rows), -1).T
            yield {"row": rows + 1, **dict(zip(names, columns, strict=True))}

    def _forecasts(self, predicted: Iterable[Predicted]) -> Iterator[tuple[Array, Array, Predicted]]:
        """Yield rows of the series, the forecasts made there [rows, horizon, targets], and what they are from."""
        start = self.series.lag
        for each in predicted:
            rows = np.arange(start, start + len(each.outputs))
            shape = len(rows), self.horizon, self.series.targets
            scaled = each.outputs[:, 0].reshape(shape).astype(np.float64)
            width = slice(self.series.targets)
            forecast = scaled * self.scale.spread[width] + self.scale.mean[width]
            yield rows, self.series.restored(forecast, rows), each
            start += len(rows)


@attrs.frozen(kw_only=True, eq=False)
class Windows(Dataset):
    """Windows of a series, all of whose targets lie before the held-out part; shifted and shuffled in each epoch.

    values: what is read [rows, columns]. wanted: what is forecast [rows, targets], NaN where nobody knows it.
    """

    values: Array
    wanted: Array
    horizon: int
    steps: int
    stride: int
    last: int
    order: Shuffled

    @property
    def batches(self) -> int:
        """As many as hold all windows."""
        return self.order.batches

    def shape(self, number: int) -> tuple[int, int]:
        """Return the steps of a window, and the windows of the batch."""
        return self.steps, self.order.size(number)

    def batch(self, epoch: int, number: int) -> Batch:
        """Return windows, `stride` steps apart from a start that is drawn for each epoch."""
        shift = int(np.random.default_rng([self.order.seed, epoch, 1]).integers(0, self.stride))
        starts = np.minimum(self.order.chosen(epoch, number) * self.stride + shift, self.last)
        rows = starts + np.arange(self.steps)[:, None]
        y = ahead(self.wanted, rows.ravel(), self.horizon)
        return Batch(self.values[rows], y.reshape(*rows.shape, -1))


def _pieces(*cuts: int) -> Iterator[tuple[int, int]]:
    """Yield spans of at most `PIECE` steps that do not cross a cut."""
    for low, high in itertools.pairwise(cuts):
        for start in range(low, high, PIECE):
            yield start, min(start + PIECE, high)
