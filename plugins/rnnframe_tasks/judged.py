"""Series that a network runs through: its forecasts judged column by column, or as a table."""

import itertools
from collections.abc import Iterable, Iterator, Mapping

import attrs
import numpy as np

from rnnframe.plugin import Array, Batch, Examples, Forecasts, Origins, Predicted, written_times
from rnnframe_tasks.calibration import Calibrated
from rnnframe_tasks.scales import Scale
from rnnframe_tasks.series import Learning, Series, ahead, restored_quantiles

PIECE = 4096
"""Steps that are judged or predicted at once."""


@attrs.frozen(kw_only=True, eq=False)
class Made:
    """Forecasts made at some rows of a series: [rows, horizon, targets], and with quantiles along a last axis."""

    number: int
    rows: Array
    forecast: Array
    quantiles: Array | None
    judged: bool

    def at(self, chosen: Array) -> "Made":
        """Return those at some of the rows; `chosen` is booleans [rows]."""
        quantiles = None if self.quantiles is None else self.quantiles[chosen]
        return attrs.evolve(self, rows=self.rows[chosen], forecast=self.forecast[chosen], quantiles=quantiles)


@attrs.frozen(kw_only=True, eq=False)
class SeriesExamples(Examples):
    """Series run through from their beginnings, each judged from its row in `since` on, where a whole horizon follows.

    scales: of each series. naive: the mean error of the seasonal-naive forecast over the training part, for each
    series and target; empty where it is not known, 0 where it says nothing. calibrate: whether quantiles are moved by
    past forecasts of their series. unseen: the first row of each whose forecasts were not trained on.
    """

    series: tuple[Series, ...]
    scales: tuple[Scale, ...]
    since: tuple[int, ...]
    columns: tuple[str, ...]
    horizon: int
    season: int
    quantiles: tuple[float, ...] = ()
    calibrate: bool = False
    unseen: tuple[int, ...] = ()
    naive: Array = attrs.field(factory=lambda: np.zeros((0, 0)))
    time: str = ""
    id: str = ""

    def batches(self) -> Iterator[Batch]:
        """Yield each series in pieces: those before `since` and those near the end have no targets."""
        learning: Learning | None = None
        for number, start, stop, judged in self._pieces():
            series = self.series[number]
            if learning is None or start == series.lag:
                direct = bool(self.quantiles)
                learning = Learning.of(series, self.scales[number], self.horizon, direct=direct)
            rows = np.arange(start, stop)[:, None]
            yield Batch(learning.x(rows), learning.y(rows) if judged else None, carry=start > series.lag)

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """Errors of each column in its own unit, beside those of the seasonal-naive forecast.

        Only values that were in the file are compared with. MASE divides the mean absolute error by that of the
        seasonal-naive forecast over the training part (Hyndman & Koehler 2006); over several series it is their mean.
        """
        shape = len(self.series), len(self.columns)
        sums, counts = np.zeros((5, *shape)), np.zeros(shape)
        pinball = 0.0
        for made in self._made(predicted):
            if not made.judged:
                continue
            series, rows = self.series[made.number], made.rows
            true = ahead(series.values[:, : series.targets], rows, self.horizon)
            present = ahead(series.present[:, : series.targets], rows, self.horizon)
            naive = series.naive(rows, self.horizon, self.season)
            errors = [np.abs(made.forecast - true), np.square(made.forecast - true)]
            errors += [np.abs(naive - true), np.square(naive - true)]
            if made.quantiles is not None:
                low, high = made.quantiles[..., 0], made.quantiles[..., -1]
                errors.append(np.asarray((low <= true) & (true <= high), np.float64))
                below = series.learnt_units(true[..., None]) - series.learnt_units(made.quantiles)
                level = np.array(self.quantiles)
                each = (
                    np.maximum(level * below, (level - 1) * below).mean(axis=-1)
                    / self.scales[made.number].spread[: series.targets]
                )
                pinball += float(each[present].sum())
            for place, error in enumerate(errors):
                sums[place, made.number] += np.where(present, error, 0).sum(axis=(0, 1))
            counts[made.number] += present.sum(axis=(0, 1))
        return self._measures(sums, counts, pinball)

    def _measures(self, sums: Array, counts: Array, pinball: float) -> dict[str, float]:
        measures: dict[str, float] = {}
        total = np.maximum(1, counts.sum(axis=0))
        mase = self._scaled(sums, counts)
        if len(self.columns) > 1 and len(mase):
            measures |= {"MASE": float(mase[0].mean()), "seasonal-naive MASE": float(mase[1].mean())}
        by_column = sums.sum(axis=1) / total
        for place, name in enumerate(self.columns):
            before = f"{name} " if len(self.columns) > 1 else ""
            measures[f"{before}MAE"] = float(by_column[0, place])
            measures[f"{before}seasonal-naive MAE"] = float(by_column[2, place])
            measures[f"{before}RMSE"] = float(np.sqrt(by_column[1, place]))
            measures[f"{before}seasonal-naive RMSE"] = float(np.sqrt(by_column[3, place]))
            if len(self.columns) == 1 and len(mase):
                measures |= {"MASE": float(mase[0].mean()), "seasonal-naive MASE": float(mase[1].mean())}
            if self.quantiles:
                measures[f"{before}coverage"] = float(by_column[4, place])
        if self.quantiles:
            measures["pinball loss"] = pinball / float(max(1, counts.sum()))
        return measures

    def _scaled(self, sums: Array, counts: Array) -> Array:
        """Return the scaled errors of the forecasts and of the naive ones for each series and column, [2, pairs]."""
        if self.naive.shape != counts.shape:
            return np.zeros((0, 0))
        usable = (self.naive > 0) & (counts > 0)
        if not usable.any():
            return np.zeros((0, 0))
        scaled: Array = sums[[0, 2]][:, usable] / counts[usable] / self.naive[usable]
        return scaled

    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """The forecasts made at each row of the file; those of a series' last row look beyond its end."""
        for made in self._made(predicted):
            series, rows = self.series[made.number], made.rows
            columns: dict[str, Array] = {"row": series.lines[rows]}
            if self.id:
                columns[self.id] = np.full(len(rows), series.name)
            if series.times is not None:
                columns[self.time] = written_times(series.times[rows])
            for k in range(self.horizon):
                if series.times is not None and series.step is not None:
                    columns[f"{self.time}+{k + 1}"] = written_times(self._later(series, rows, k + 1))
                for place, name in enumerate(self.columns):
                    columns[f"{name}+{k + 1}"] = made.forecast[:, k, place]
                    if made.quantiles is not None:
                        for level, values in zip(self.quantiles, made.quantiles[:, k, place].T, strict=True):
                            columns[f"{name}+{k + 1} q{level:g}"] = values
            yield columns

    def forecasts(self, predicted: Iterable[Predicted], origins: Origins) -> Iterator[Forecasts]:
        """Forecasts beside what came; by default at the rows that are judged."""
        spans = [self._cuts(number) for number in range(len(self.series))]
        wanted = [
            origins.among(series.lag, end) if origins.everywhere else origins.among(first, judged)
            for series, (first, judged, end) in zip(self.series, spans, strict=True)
        ]
        for made in self._made(predicted):
            chosen = np.isin(made.rows, wanted[made.number])
            if chosen.any():
                yield self._beside(made.at(chosen))

    def _beside(self, made: Made) -> Forecasts:
        """Return forecasts beside what came and what the seasonal-naive forecast says."""
        series, rows, width = self.series[made.number], made.rows, slice(self.series[made.number].targets)
        later = np.minimum(rows[:, None] + np.arange(1, self.horizon + 1), len(series) - 1)
        there = series.present[later][..., width] & (rows[:, None] + np.arange(1, self.horizon + 1) == later)[..., None]
        times = None if series.times is None else series.times[rows]
        ahead_times = [self._later(series, rows, k + 1) for k in range(self.horizon)] if times is not None else None
        known = self.naive.shape == (len(self.series), len(self.columns))
        return Forecasts(
            series=series.name,
            columns=self.columns,
            season=self.season,
            rows=series.lines[rows],
            times=times,
            ahead=None if ahead_times is None else np.stack(ahead_times, axis=1),
            forecast=made.forecast,
            naive=np.where(
                rows[:, None, None] < self.season - 1, np.nan, series.naive(rows, self.horizon, self.season)
            ),
            truth=np.where(there, series.values[later][..., width], np.nan),
            scale=self.naive[made.number] if known else np.zeros(len(self.columns)),
            unseen=rows >= self.since[made.number],
            levels=self.quantiles,
            quantiles=made.quantiles,
        )

    @staticmethod
    def _later(series: Series, rows: Array, count: int) -> Array:
        """Return the times some rows later: as the file has them, and by the usual step where it ends."""
        assert series.times is not None
        assert series.step is not None
        inside = np.minimum(rows + count, len(series.times) - 1)
        later = series.step.after(np.full(len(rows), series.times[-1]), 0)
        beyond = rows + count - (len(series.times) - 1)
        for steps in set(beyond[beyond > 0].tolist()):
            later[beyond == steps] = series.step.after(series.times[-1:], steps)[0]
        return np.where(beyond > 0, later, series.times[inside])

    def _pieces(self) -> Iterator[tuple[int, int, int, bool]]:
        """Yield series and spans of at most `PIECE` rows, and whether they are judged; no span crosses a cut."""
        for number, series in enumerate(self.series):
            first, judged, end = self._cuts(number)
            for low, high in itertools.pairwise((series.lag, first, judged, end)):
                for start in range(low, high, PIECE):
                    yield number, start, min(start + PIECE, high), first <= start < judged

    def _cuts(self, number: int) -> tuple[int, int, int]:
        """Return the first row of a series that is judged, the one after the last, and the end of what can be read."""
        series = self.series[number]
        end = series.usable(self.horizon)
        first = min(self.since[number], end)
        return first, min(max(first, len(series) - self.horizon), end), end

    def _calibrated(self, number: int) -> Calibrated:
        series, width = self.series[number], slice(self.series[number].targets)
        values, present = series.read[:, width], series.present[:, width]
        return Calibrated(self.quantiles, values, present, self.horizon, self.unseen[number])

    def _made(self, predicted: Iterable[Predicted]) -> Iterator[Made]:
        for (number, start, stop, judged), each in zip(self._pieces(), predicted, strict=True):
            series, scale, rows = self.series[number], self.scales[number], np.arange(start, stop)
            shape = len(rows), self.horizon, series.targets
            outputs = each.outputs[:, 0].astype(np.float64)
            if self.quantiles:
                found = restored_quantiles(series, scale, outputs.reshape(*shape, -1), rows)
                found.sort(axis=-1)  # a network may let them cross
                if self.calibrate:
                    if start == series.lag:
                        calibrated = self._calibrated(number)
                    found = calibrated.moved(found, rows)
                found = series.written(found)
                middle = int(np.abs(np.array(self.quantiles) - 0.5).argmin())
                yield Made(number=number, rows=rows, forecast=found[..., middle], quantiles=found, judged=judged)
            else:
                width = slice(series.targets)
                read = series.restored(outputs.reshape(shape) * scale.spread[width] + scale.mean[width], rows)
                forecast = series.written(read)
                yield Made(number=number, rows=rows, forecast=forecast, quantiles=None, judged=judged)
