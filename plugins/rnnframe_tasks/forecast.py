"""The task `forecast`: the next values of a series, or of several, from all that came before."""

from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import ge, in_, optional

from rnnframe.plugin import Array, DataError, Setting, Task, UsageError
from rnnframe_tasks.calibration import pairs
from rnnframe_tasks.columns import Asked, Roles, listed, named
from rnnframe_tasks.files import digest
from rnnframe_tasks.judged import SeriesExamples
from rnnframe_tasks.learnt import Learnt, far_remarks, naive_errors, scale_of
from rnnframe_tasks.panel import Panel, panel_of
from rnnframe_tasks.roles import find_roles
from rnnframe_tasks.scales import Scale
from rnnframe_tasks.sequences import Shuffled
from rnnframe_tasks.series import Learning, Series, Windows, windows_of
from rnnframe_tasks.single_steps import ForecastSteps
from rnnframe_tasks.tables import SUFFIXES, Reading, Table, read_table
from rnnframe_tasks.told import part_remark, read_remarks


def _quantiles(_: Any, __: Any, values: tuple[float, ...] | None) -> None:
    if values is not None and (not all(0 < value < 1 for value in values) or list(values) != sorted(set(values))):
        raise ValueError(f"'quantiles' must rise between 0 and 1: {values}")


def _calibrated(task: Any, _: Any, value: bool | None) -> None:
    if value:
        pairs(task.quantiles or ())


def _option(help: str, default: Any = None, **more: Any) -> Any:
    return attrs.field(default=default, metadata={"help": help}, **more)


@attrs.frozen(kw_only=True)
class Forecast(Task):
    """Forecast the next `horizon` values of one or more columns at every step of a series.

    Files: CSV, TSV and the like, also compressed, Parquet, Feather, Excel, NPZ; a row a step. Columns are named, or
    numbered from 1; a name with a comma stands in double quotes. The end of each series is held out; scales are learnt
    before it. Trained on windows of `--steps` steps that begin with a state of zeros. Errors are judged beside those of
    the seasonal-naive forecast: the value one season before (Hyndman & Athanasopoulos, FPP3, 5.2).
    """

    name: ClassVar[str] = "forecast"
    unit: ClassVar[str] = "squared error"
    predicts_inputs: ClassVar[bool] = True
    takes: ClassVar[tuple[str, ...]] = ("data", "steps", "held_out", "all", "learnt")
    learns: ClassVar[type[Any]] = Learnt
    column: tuple[str, ...] | None = _option("columns to forecast; none: all that hold numbers and have no other role")
    also: tuple[str, ...] | None = _option("further columns to read, numbers or texts")
    known: tuple[str, ...] | None = _option("further columns to read whose future is known, `horizon` rows ahead")
    exclude: tuple[str, ...] | None = _option("columns to leave out")
    time: str | None = _option("column of dates or numbers that orders the rows; none: the order of the file")
    id: str | None = _option("column that tells several series apart; none: there is one")
    horizon: int = _option("steps ahead", 12, validator=ge(1))
    season: int = _option("steps of a season, for the naive forecast", 1, validator=ge(1))
    difference: int | None = _option(
        "lag at which the series is differenced before it is learnt, such as a season; none: not",
        validator=optional(ge(1)),
    )
    transform: Literal["log"] | None = _option(
        "log: learn the natural logarithm of the columns to forecast, which must be above 0; quantiles stay quantiles, "
        "and the mean becomes exp of the logarithm's mean: a median where its errors are symmetric",
        validator=optional(in_(("log",))),
    )
    quantiles: tuple[float, ...] | None = _option(
        "quantiles to forecast, such as 0.1;0.5;0.9; none: the mean", validator=_quantiles
    )
    calibrate: bool | None = _option(
        "whether quantiles are moved so that they cover, by how past forecasts of a series have, not trained on",
        validator=_calibrated,
    )
    missing: Literal["refuse", "last"] = _option(
        "what a missing value is: an error, or read as the value before it and never a target",
        "refuse",
        validator=in_(("refuse", "last")),
    )
    rescale: bool | None = _option(
        "whether a training that starts from a run learns the scales of its own data; none: it keeps those of the run"
    )
    stride: int = _option("steps between the starts of windows", 8, validator=ge(1))
    sep: str | None = _option("what parts the values of a text: a character, comma, semicolon, tab, bar or space")
    decimal: str | None = _option("what stands before the decimals: point or comma")
    thousands: str | None = _option("what parts the thousands of a number: comma, point or another character")
    header: Literal["yes", "no"] | None = _option("whether the first line holds names")
    na: tuple[str, ...] | None = _option("texts that stand for no value, beside the usual ones")
    dayfirst: bool | None = _option("whether 01/02/2003 is in February")

    def open(self, setting: Setting) -> Windows:
        """Read series; raises `DataError`."""
        if setting.data is None:
            raise DataError(
                "task 'forecast' has no data of its own; give a file with --data FILE that ends in "
                f"{', '.join(SUFFIXES)}"
            )
        table = self._table(setting.data)
        before: Learnt | None = setting.learnt
        roles = find_roles(table, self._asked()) if before is None else self._roles_learnt(table, before)
        panel = panel_of(
            table,
            roles,
            self._lag,
            self.missing,
            self.transform is not None,
            None if before is None else before.channels,
        )
        remarks = read_remarks(table, roles, panel)
        del table
        series = panel.series
        train = [self._train_rows(each, setting) for each in series]
        for each, rows in zip(series, train, strict=True):
            _check_values(each, rows, self._lag, setting.data)
        naive = np.stack([naive_errors(each, rows, self.season) for each, rows in zip(series, train, strict=True)])
        places = list(range(len(series)))
        if before is None:
            scales = tuple(scale_of(each, rows, panel) for each, rows in zip(series, train, strict=True))
            learnt = self._learnt(roles, panel, scales, naive)
        else:
            places, scales = before.of_series(panel, setting.data)
            if self.rescale:
                scales = tuple(scale_of(each, rows, panel) for each, rows in zip(series, train, strict=True))
            else:
                remarks += far_remarks(series, train, scales, roles.targets)
            learnt = before.at(places, scales, naive)
        if self.calibrate:
            learnt = learnt.trained_on(places, series, train)
        parts = [
            Learning.of(each, scale, self.horizon, direct=bool(self.quantiles)).until(rows)
            for each, scale, rows in zip(series, scales, train, strict=True)
        ]
        offsets = np.cumsum([0, *train[:-1]]).tolist()
        firsts = [offset + self._lag for offset in offsets]
        ends = [offset + rows - self.horizon for offset, rows in zip(offsets, train, strict=True)]
        steps = min(setting.steps, max(end - first for first, end in zip(firsts, ends, strict=True)))
        starts, lasts, lengths = windows_of(firsts, ends, steps, self.stride)
        learning = Learning.joined(parts)
        held = sum(map(len, series)) - sum(train)
        name = f"{held} held-out rows of {setting.data}"
        return Windows(
            inputs=learning.x(np.array(firsts[:1])).shape[-1],
            head=self._head(len(roles.targets)),
            learnt=learnt,
            digest=_digest(panel, learnt),
            valid=self._examples(series, scales, learnt, places, tuple(rows - 1 for rows in train), name, (), naive)
            if held
            else None,
            remarks=(*remarks, part_remark(series, train)),
            learning=learning,
            steps=steps,
            stride=self.stride,
            starts=starts,
            lasts=lasts,
            lengths=lengths,
            order=Shuffled(len(starts), setting.batch, setting.seed),
        )

    def examples(self, data: str, learnt: Learnt, batch: int) -> SeriesExamples:
        """Return all of a file; each series is judged from where a season has gone by."""
        table = self._table(data)
        roles = self._roles_learnt(table, learnt)
        panel = panel_of(table, roles, self._lag, self.missing, self.transform is not None, learnt.channels)
        needed = max(self._lag, 1) + 1
        for each in panel.series:
            if len(each) < needed:
                of = f" in the series {each.name!r}" if each.name else ""
                raise DataError(f"data file {data!r} has {len(each)} rows{of}; at least {needed} are needed")
        places, scales = learnt.of_series(panel, data)
        since = tuple(max(self.season - 1, self._lag) for _ in panel.series)
        remarks = read_remarks(table, roles, panel)
        return self._examples(panel.series, scales, learnt, places, since, data, remarks, learnt.naive_of(places))

    def step_units(self, learnt: Learnt) -> ForecastSteps:
        """Return rows of the columns that are read; raises `UsageError` for what a single row does not tell."""
        needs = {
            "difference": bool(self.difference),
            "known": bool(learnt.known),
            "id, with several series": len(learnt.series) > 1,
            "columns of texts": any(learnt.categories),
            "transform": self.transform is not None,
            "calibrate": bool(self.calibrate),
        }
        for what in filter(needs.get, needs):
            raise UsageError(
                f"a forecast with {what} reads no single steps; use `rnnframe predict`, or run its network on arrays: "
                "model.network.stream()"
            )
        width = len(learnt.columns) - len(self.also or ()) if learnt.targets is None else learnt.targets
        return ForecastSteps(
            scale=Scale(np.array(learnt.mean), np.array(learnt.spread)),
            names=learnt.columns,
            columns=learnt.columns[:width],
            horizon=self.horizon,
            quantiles=self.quantiles or (),
        )

    @property
    def _lag(self) -> int:
        return self.difference or 0

    def _table(self, path: str) -> Table:
        na = self.na or ()
        return read_table(
            path,
            Reading(
                sep=self.sep,
                decimal=self.decimal,
                thousands=self.thousands,
                header=self.header,
                na=na,
                dayfirst=self.dayfirst,
            ),
        )

    def _asked(self) -> Asked:
        return Asked(
            column=self.column,
            also=self.also or (),
            known=self.known or (),
            exclude=self.exclude or (),
            time=self.time,
            id=self.id,
        )

    def _roles_learnt(self, table: Table, learnt: Learnt) -> Roles:
        """Return the roles that a model has learnt, in another table; raises `DataError` where options name others."""
        for name in (*learnt.columns, *learnt.time, *([learnt.id] if learnt.id else [])):
            if name not in table.columns:
                raise DataError(f"data file {table.path!r} has no column {name!r}; it has {listed(table.columns)}")
        width = len(learnt.columns) - len(self.also or ()) if learnt.targets is None else learnt.targets
        known_from = len(learnt.columns) - learnt.known
        parts = {"column": (0, width), "also": (width, known_from), "known": (known_from, len(learnt.columns))}
        for option, (start, stop) in parts.items():
            asked, kept = getattr(self, option) or (), learnt.columns[start:stop]
            if asked and tuple(named(table, name, option) for name in asked) != kept:
                raise DataError(
                    f"data file {table.path!r}: {option}= names {listed(asked)}, and the model was trained with "
                    f"{listed(kept) or 'none'}; leave out {option}="
                )
        used = {*learnt.columns, *learnt.time, learnt.id}
        return Roles(
            time=learnt.time,
            id=learnt.id or None,
            targets=learnt.columns[:width],
            also=learnt.columns[width:known_from],
            known=learnt.columns[known_from:],
            left_out={name: "the model does not read it" for name in table.columns if name not in used},
        )

    def _head(self, targets: int) -> str:
        gaps = ",gaps=ignore" if self.missing == "last" else ""
        if self.quantiles:
            levels = ";".join(map(str, self.quantiles))
            return f"pinball:outputs={targets * self.horizon},quantiles={levels}{gaps}"
        return f"mse:outputs={targets * self.horizon}{gaps}"

    def _train_rows(self, series: Series, setting: Setting) -> int:
        """Return how many rows of a series are trained on; raises `DataError` for too few."""
        held = max(self.horizon, round(len(series) * setting.held_out)) if setting.held_out else 0
        train = len(series) - held
        needed = max(self._lag + self.horizon + 2, self.season)
        if train < needed:
            of = f" in the series {series.name!r}" if series.name else ""
            raise DataError(
                f"data file {setting.data!r} has {len(series)} rows{of}, {len(series) - max(train, 0)} of them held "
                f"out; horizon={self.horizon}, season={self.season} and difference={self._lag} need at least {needed} "
                f"to train on{'; remove the rows of this series, or name another id=' if of else ''}"
            )
        return train

    def _learnt(self, roles: Roles, panel: Panel, scales: tuple[Scale, ...], naive: Array) -> Learnt:
        return Learnt(
            columns=(*roles.targets, *roles.also, *roles.known),
            mean=np.concatenate([scale.mean for scale in scales]),
            spread=np.concatenate([scale.spread for scale in scales]),
            targets=len(roles.targets),
            known=len(roles.known),
            categories=panel.categories if any(panel.categories) else (),
            time=roles.time,
            id=roles.id or "",
            series=tuple(series.name for series in panel.series) if roles.id else (),
            naive=naive.ravel(),
        )

    def _examples(
        self,
        series: tuple[Series, ...],
        scales: tuple[Scale, ...],
        learnt: Learnt,
        places: list[int],
        since: tuple[int, ...],
        name: str,
        remarks: tuple[str, ...],
        naive: Array,
    ) -> SeriesExamples:
        return SeriesExamples(
            name=name,
            remarks=remarks,
            series=series,
            scales=scales,
            since=since,
            columns=learnt.columns[: series[0].targets],
            horizon=self.horizon,
            season=self.season,
            quantiles=self.quantiles or (),
            calibrate=bool(self.calibrate),
            unseen=learnt.unseen(places, series) if self.calibrate else (),
            naive=naive,
            time="time" if len(learnt.time) > 1 else "".join(learnt.time),
            id=learnt.id,
        )


def _check_values(series: Series, train: int, lag: int, path: str) -> None:
    for part, rows in (("trained on", slice(lag + 1, train)), ("held out", slice(train, None))):
        if rows.start != len(series) and not series.present[rows, : series.targets].any():
            of = f" of the series {series.name!r}" if series.name else ""
            raise DataError(
                f"data file {path!r} has no value to forecast among the rows{of} that are {part}; give more rows, or "
                "change --held-out"
            )


def _digest(panel: Panel, learnt: Learnt) -> str:
    parts: list[Array | str] = []
    for series in panel.series:
        parts.append(series.values if series.present.all() else np.where(series.present, series.values, np.nan))
        parts += [series.name] if series.name else []
        parts += [series.future] if series.future.shape[1] else []
    return digest([*parts, *learnt.columns])
