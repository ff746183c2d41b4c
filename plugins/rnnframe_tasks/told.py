"""What a person is told of a table that was read: rows and time, columns and roles, gaps, and the parts."""

from collections.abc import Iterator, Sequence

import numpy as np

from rnnframe.plugin import written_times
from rnnframe_tasks.columns import Roles, listed
from rnnframe_tasks.panel import Panel
from rnnframe_tasks.series import Series
from rnnframe_tasks.tables import Table


def read_remarks(table: Table, roles: Roles, panel: Panel) -> tuple[str, ...]:
    """Return what was read, in sentences without a full stop."""
    return (*table.remarks, *_of_rows(table, roles, panel), _of_columns(roles), *_of_gaps(panel))


def part_remark(series: Sequence[Series], train: Sequence[int]) -> str:
    """Return which rows are trained on and which are held out: those of the first series stand for all."""
    first, rows = series[0], train[0]
    if sum(train) == sum(map(len, series)):
        return f"trained on all {sum(train):,} rows"
    told = f"trained on {sum(train):,} rows, held out {sum(map(len, series)) - sum(train):,} at the end"
    if len(series) > 1:
        told += " of the series"
    if first.times is not None:
        told += f", from {written_times(first.times[rows : rows + 1])[0]} on"
    return told + ("" if len(series) == 1 or first.times is None else f" in {first.name!r}")


def _of_rows(table: Table, roles: Roles, panel: Panel) -> Iterator[str]:
    told = f"{table.rows:,} rows"
    if roles.id:
        told += f" of {len(panel.series):,} series (id: {roles.id})"
    if not roles.time:
        yield f"{told}, in the order of the file (no column of time)"
        return
    times = [series.times for series in panel.series if series.times is not None]
    low, high = written_times(np.array([min(each[0] for each in times), max(each[-1] for each in times)]))
    step = panel.series[0].step
    yield f"{told} from {low} to {high}, a step of {step} (time: {', '.join(roles.time)})"
    if panel.sorted:
        yield (
            "the newest row was first: sorted by time" if panel.sorted == "newest first" else "rows were sorted by time"
        )
    for series in panel.series:
        if series.step is not None and series.step.exceptions and series.times is not None:
            where = written_times(series.times[series.step.first : series.step.first + 2])
            of = f" in {series.name!r}" if series.name else ""
            yield (
                f"the step is irregular: {series.step.exceptions:,} of {len(series) - 1:,} are not {series.step}, the "
                f"first from {where[0]} to {where[1]}{of}"
            )
            return


def _of_columns(roles: Roles) -> str:
    told = f"forecast: {listed(roles.targets)}"
    if roles.also:
        told += f"; also read: {listed(roles.also)}"
    if roles.known:
        told += f"; known ahead: {listed(roles.known)}"
    if roles.left_out:
        told += f"; left out: {listed(f'{name} ({why})' for name, why in roles.left_out.items())}"
    return told


def _of_gaps(panel: Panel) -> Iterator[str]:
    if panel.cut:
        rows = "1 row" if panel.cut == 1 else f"{panel.cut:,} rows"
        yield f"left out at the start, before every column has had a value: {rows}"
    if panel.filled:
        total = sum(panel.filled.values())
        told = listed(f"{name} {count:,}" for name, count in panel.filled.items())
        read = "1 gap is read as the value before it and never a target"
        if total > 1:
            read = f"{total:,} gaps are read as the value before them and never targets"
        yield f"{read}: {told}"
