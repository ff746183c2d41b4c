"""What a forecast learns from the data besides parameters: its columns, the scale of each channel, the naive errors."""

from typing import Any

import attrs
import numpy as np

from rnnframe.plugin import Array
from rnnframe_tasks.panel import Panel
from rnnframe_tasks.row_blocks import blocks_of
from rnnframe_tasks.scales import ROUNDING, Scale, numbers
from rnnframe_tasks.sequences import scalar_texts
from rnnframe_tasks.series import Series


def _category_lists(values: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(map(scalar_texts, values))


@attrs.frozen(kw_only=True)
class Learnt:
    """The columns that are read, those forecast first; and the scale of each channel in each series.

    targets: how many columns are forecast; None in old models, whose option `also` says it. known: how many of the last
    ones are known ahead. categories: of each column, none for numbers. naive: the mean error of the seasonal-naive
    forecast in training, of each series and target, 0 where it says nothing.
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
