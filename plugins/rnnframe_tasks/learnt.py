"""What a forecast learns from the data besides parameters: its columns, the scale of each channel, the naive errors."""

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.columns import listed
from rnnframe_tasks.files import digest
from rnnframe_tasks.panel import Panel
from rnnframe_tasks.row_blocks import blocks_of
from rnnframe_tasks.scales import ROUNDING, Scale, numbers
from rnnframe_tasks.sequences import scalar_texts
from rnnframe_tasks.series import Series


def _category_lists(values: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(map(scalar_texts, values))


def _counts(values: Any) -> tuple[int, ...]:
    return tuple(map(int, values))


@attrs.frozen(kw_only=True)
class Learnt:
    """The columns that are read, those forecast first; and the scale of each channel in each series.

    targets: how many columns are forecast; None in old models, whose option `also` says it. known: how many of the last
    ones are known ahead. categories: of each column, none for numbers. naive: the mean error of the seasonal-naive
    forecast in training, of each series and target, 0 where it says nothing. rows, digests: how many rows of each
    series were trained on, and their digest, where that is asked for.
    """

    columns: tuple[str, ...] = attrs.field(converter=scalar_texts)
    mean: tuple[float, ...] = attrs.field(converter=numbers)
    spread: tuple[float, ...] = attrs.field(converter=numbers)
    targets: int | None = None
    known: int = 0
    categories: tuple[tuple[str, ...], ...] = attrs.field(default=(), converter=_category_lists)
    time: tuple[str, ...] = attrs.field(default=(), converter=scalar_texts)
    id: str = ""
    series: tuple[str, ...] = attrs.field(default=(), converter=scalar_texts)
    naive: tuple[float, ...] = attrs.field(default=(), converter=numbers)
    rows: tuple[int, ...] = attrs.field(default=(), converter=_counts)
    digests: tuple[str, ...] = attrs.field(default=(), converter=scalar_texts)

    @property
    def channels(self) -> Sequence[tuple[str, ...]]:
        """The categories of each column, none for numbers."""
        return self.categories or [()] * len(self.columns)

    def of_series(self, panel: Panel, path: str) -> tuple[list[int], tuple[Scale, ...]]:
        """Return the place of each series of a panel among those that were learnt, and its scale.

        Raises `DataError` for a series that was not trained on.
        """
        for each in panel.series:
            if self.series and each.name not in self.series:
                raise DataError(
                    f"data file {path!r} has a series {each.name!r} that was not trained on; it was "
                    f"{listed(self.series)}"
                )
        places = [self.series.index(each.name) if self.series else 0 for each in panel.series]
        shape = max(1, len(self.series)), -1
        means, spreads = np.array(self.mean).reshape(shape), np.array(self.spread).reshape(shape)
        return places, tuple(Scale(means[place], spreads[place]) for place in places)

    def naive_of(self, places: list[int]) -> Array:
        """Return the naive errors of the series in some places, [series, targets]."""
        naive: Array = np.array(self.naive).reshape(max(1, len(self.series)), -1)[places]
        return naive

    def at(self, places: list[int], scales: tuple[Scale, ...], naive: Array) -> "Learnt":
        """Return the same with the scales and the naive errors [series, targets] of the series in some places."""
        series = max(1, len(self.series))
        mean, spread = (np.array(values).reshape(series, -1) for values in (self.mean, self.spread))
        errors = np.array(self.naive).reshape(series, -1) if self.naive else np.zeros((series, naive.shape[1]))
        mean[places], spread[places] = [scale.mean for scale in scales], [scale.spread for scale in scales]
        errors[places] = naive
        return attrs.evolve(self, mean=mean.ravel(), spread=spread.ravel(), naive=errors.ravel())

    def trained_on(self, places: list[int], series: Sequence[Series], train: list[int]) -> "Learnt":
        """Return the same with the rows that were trained on of the series in some places."""
        count = max(1, len(self.series))
        rows, digests = list(self.rows or [0] * count), list(self.digests or [""] * count)
        for place, each, trained in zip(places, series, train, strict=True):
            rows[place], digests[place] = trained, digest([each.values[:trained, : each.targets]])
        return attrs.evolve(self, rows=rows, digests=digests)

    def unseen(self, places: list[int], series: Sequence[Series]) -> tuple[int, ...]:
        """Return the first row of each series whose forecasts were not trained on: 0 for other data."""
        found = []
        for place, each in zip(places, series, strict=True):
            rows = self.rows[place] if place < len(self.rows) else 0
            same = 0 < rows <= len(each) and digest([each.values[:rows, : each.targets]]) == self.digests[place]
            found.append(rows - 1 if same else 0)
        return tuple(found)


FAR = 3.0
"""Spreads between two means, and factor between two spreads, from which on a scale that is kept is told."""


def far_remarks(
    series: tuple[Series, ...], train: list[int], scales: tuple[Scale, ...], names: tuple[str, ...]
) -> tuple[str, ...]:
    """Return what to say of targets that lie far from the scale that a model was trained with."""
    far = []
    for each, rows, scale in zip(series, train, scales, strict=True):
        columns = slice(each.targets)
        here = Scale.of(each.differenced()[each.lag : rows, columns], each.present[each.lag : rows, columns])
        kept = scale.part(columns)
        ratio = here.spread / kept.spread
        for place in np.flatnonzero(
            (np.abs(here.mean - kept.mean) > FAR * kept.spread) | (ratio > FAR) | (ratio < 1 / FAR)
        ):
            of = f" in {each.name!r}" if each.name else ""
            told = (scale_[place] for scale_ in (kept.mean, kept.spread, here.mean, here.spread))
            far.append((names[place] + of, *told))
    if not far:
        return ()
    name, mean, spread, mean_here, spread_here = far[0]
    more = f", and so {len(far) - 1} more" if len(far) > 1 else ""
    return (
        f"the scale of {name} is that of the model, mean {mean:.4g} and spread {spread:.4g}; here they are "
        f"{mean_here:.4g} and {spread_here:.4g}{more}; rescale=yes learns them from this data",
    )


def scale_of(series: Series, train: int, panel: Panel) -> Scale:
    """Return the scale of each channel, values first; categories keep their zeros and ones."""
    own = Scale.of(series.differenced()[series.lag : train], series.present[series.lag : train])
    future = Scale.of(series.future[:train]) if series.future.shape[1] else Scale.none(0)
    mean, spread = np.concatenate([own.mean, future.mean]), np.concatenate([own.spread, future.spread])
    plain = np.concatenate([np.full(max(1, len(each)), bool(each)) for each in panel.categories])
    return Scale(np.where(plain, 0.0, mean), np.where(plain, 1.0, spread))


def naive_errors(series: Series, train: int, season: int) -> Array:
    """Return the mean error of the seasonal-naive forecast over the training part, for each target."""
    width, season = slice(series.targets), min(season, train - 1)
    values, present = series.values[:train, width], series.present[:train, width]
    total, count, largest = np.zeros((3, series.targets))
    for rows in blocks_of(train - season, values[:1].nbytes):
        later = slice(rows.start + season, rows.stop + season)
        both = present[later] & present[rows]
        total += np.abs(values[later] - values[rows]).sum(axis=0, where=both)
        count += both.sum(axis=0)
        largest = np.maximum(largest, np.abs(values[rows]).max(axis=0))
    largest = np.maximum(largest, np.abs(values[-season:]).max(axis=0))
    mean: Array = total / np.maximum(1, count)
    return np.where(mean > ROUNDING * largest, mean, 0.0)
