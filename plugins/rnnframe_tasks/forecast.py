"""The task `forecast`: the next values of a series, from all that came before."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import ge, in_, optional

from rnnframe.plugin import Array, DataError, Setting, Task
from rnnframe_tasks.columns import Columns, read_columns
from rnnframe_tasks.files import digest, is_number
from rnnframe_tasks.scales import Scale, numbers
from rnnframe_tasks.sequences import Shuffled, scalar_texts
from rnnframe_tasks.series import Series, SeriesExamples, Windows


@attrs.frozen(kw_only=True)
class Learnt:
    """The columns that are read, those forecast first; the scale of each; how much is forecast, and from what."""

    columns: tuple[str, ...] = attrs.field(converter=scalar_texts)
    mean: tuple[float, ...] = attrs.field(converter=numbers)
    spread: tuple[float, ...] = attrs.field(converter=numbers)


@attrs.frozen(kw_only=True)
class Forecast(Task):
    """Forecast the next `horizon` values of one or more columns at every step of a series.

    Files: CSV, NPZ or Parquet, a row a step. The end of the series is held out; scales are learnt before it. Trained on
    windows of `--steps` steps that begin with a state of zeros. Beside the errors (mean absolute, in the units of the
    data) stands that of the seasonal-naive forecast: the value one season before (Hyndman & Athanasopoulos, FPP3, 5.2).
    """

    name: ClassVar[str] = "forecast"
    unit: ClassVar[str] = "squared error"
    learns: ClassVar[type[Any]] = Learnt
    column: str | None = attrs.field(
        default=None, metadata={"help": "columns to forecast, as a;b; none: all that hold numbers"}
    )
    also: str | None = attrs.field(default=None, metadata={"help": "further columns to read, as a;b"})
    horizon: int = attrs.field(default=12, validator=ge(1), metadata={"help": "steps ahead"})
    season: int = attrs.field(
        default=1, validator=ge(1), metadata={"help": "steps of a season, for the naive forecast"}
    )
    difference: int | None = attrs.field(
        default=None,
        validator=optional(ge(1)),
        metadata={"help": "lag at which the series is differenced before it is learnt, such as a season; none: not"},
    )
    missing: Literal["refuse", "last"] = attrs.field(
        default="refuse",
        validator=in_(("refuse", "last")),
        metadata={"help": "what a missing value is: an error, or read as the value before it and never a target"},
    )
    stride: int = attrs.field(default=8, validator=ge(1), metadata={"help": "steps between the starts of windows"})

    def open(self, setting: Setting) -> Windows:
        """Read a series; raises `DataError`."""
        if setting.data is None:
            raise DataError(
                "task 'forecast' has no data of its own; give a .csv, .npz or .parquet file with --data FILE"
            )
        table = read_columns(setting.data)
        targets = _names(self.column, table, setting.data)
        names = (*targets, *(_names(self.also, table, setting.data) if self.also else ()))
        values, known = _values(table, names, self.missing, setting.data)
        train = len(values) - max(self.horizon, round(len(values) * setting.held_out))
        lag = self.difference or 0
        needed = lag + self.horizon + 2
        if train < max(needed, self.season):
            raise DataError(
                f"data file {setting.data!r} has {len(values)} rows, {len(values) - max(train, 0)} of them held out; "
                f"horizon={self.horizon}, season={self.season} and difference={lag} need at least "
                f"{max(needed, self.season)} to train on"
            )
        series = Series(values=values, known=known, targets=len(targets), lag=lag)
        for part, rows in (("trained on", slice(lag + 1, train)), ("held out", slice(train, None))):
            if not known[rows, : len(targets)].any():
                raise DataError(
                    f"data file {setting.data!r} has no value to forecast among the rows that are {part}; give more "
                    "rows, or change --held-out"
                )
        differenced = series.differenced()
        scale = Scale.of(differenced[: train - lag], known[lag:train])
        steps = min(setting.steps, train - lag - self.horizon)
        last = train - lag - self.horizon - steps
        learnt = Learnt(columns=names, mean=scale.mean, spread=scale.spread)
        return Windows(
            inputs=len(names),
            head=f"mse:outputs={len(targets) * self.horizon}" + (",gaps=ignore" if self.missing == "last" else ""),
            learnt=learnt,
            digest=digest([values if known.all() else np.where(known, values, np.nan), *names]),
            valid=self._examples(
                series, scale, learnt, train - 1, f"{len(values) - train} held-out rows of {setting.data}"
            ),
            values=scale.apply(differenced),
            wanted=series.wanted(scale),
            horizon=self.horizon,
            steps=steps,
            stride=self.stride,
            last=last,
            order=Shuffled(last // self.stride + 1, setting.batch, setting.seed),
        )

    def examples(self, data: str, learnt: Learnt, batch: int) -> SeriesExamples:
        """Return a whole series; it is judged from where a season has gone by."""
        table = read_columns(data)
        for name in learnt.columns:
            if name not in table:
                raise DataError(f"data file {data!r} has no column {name!r}; it has {', '.join(table)}")
        values, known = _values(table, learnt.columns, self.missing, data)
        lag = self.difference or 0
        if len(values) <= max(lag, 1):
            raise DataError(f"data file {data!r} has {len(values)} rows; at least {max(lag, 1) + 1} are needed")
        width = len(learnt.columns) - (len(self.also.split(";")) if self.also else 0)
        series = Series(values=values, known=known, targets=width, lag=lag)
        scale = Scale(np.array(learnt.mean), np.array(learnt.spread))
        return self._examples(series, scale, learnt, max(self.season - 1, lag), data)

    def _examples(self, series: Series, scale: Scale, learnt: Learnt, since: int, name: str) -> SeriesExamples:
        return SeriesExamples(
            name=name,
            series=series,
            scale=scale,
            columns=learnt.columns[: series.targets],
            horizon=self.horizon,
            season=self.season,
            since=since,
        )


def _names(asked: str | None, table: Columns, path: str) -> tuple[str, ...]:
    """Return the columns that were asked for, all that hold numbers by default."""
    numeric = tuple(name for name, column in table.items() if column.dtype.kind == "f")
    if asked is None:
        if not numeric:
            raise DataError(f"data file {path!r} has no column of numbers; it has {', '.join(table)}")
        return numeric
    names = tuple(name.strip() for name in asked.split(";"))
    for name in names:
        if name not in table:
            raise DataError(f"data file {path!r} has no column {name!r}; it has {', '.join(table)}")
    return names


def _values(table: Mapping[str, Array], names: tuple[str, ...], missing: str, path: str) -> tuple[Array, Array]:
    """Return columns as values [rows, columns], gaps filled where that was asked for, and which were in the file."""
    for name in names:
        if table[name].dtype.kind != "f":
            text = next((str(cell) for cell in table[name] if not is_number(str(cell))), "")
            raise DataError(f"data file {path!r}: column {name!r} holds {text[:40]!r}; expected numbers")
    values = np.stack([table[name] for name in names], axis=1)
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise DataError(f"data file {path!r}: column {names[column]!r} is infinite in row {row + 1} of the data")
    gaps = np.isnan(values)
    if not gaps.any():
        return values, ~gaps
    row, column = np.argwhere(gaps)[0]
    if missing == "refuse" or gaps[0].any():
        way_out = "fill it in" if missing == "last" else "fill it in, or add missing=last to the task"
        raise DataError(
            f"data file {path!r}: column {names[column]!r} has no value in row {row + 1} of the data; {way_out}"
        )
    rows = np.where(gaps, 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows), axis=0), ~gaps
