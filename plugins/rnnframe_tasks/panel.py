"""From a table and the roles of its columns to series in the order of time, their gaps filled.

Columns of texts that are read become one channel for each of their categories, 1 where a row has it and else 0.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.columns import Roles, called
from rnnframe_tasks.files import quoted
from rnnframe_tasks.row_blocks import side_by_side
from rnnframe_tasks.series import Series
from rnnframe_tasks.tables import DATE, NUMBER, Table
from rnnframe_tasks.times import step_of, times_of

Missing = Literal["refuse", "last"]


@attrs.frozen(kw_only=True, eq=False)
class Panel:
    """Series from one table, in the order of their first rows.

    categories: of each column that is read, none for numbers; in the order targets, also, known. filled: how many gaps
    each column had. cut: rows left out at the start, where a column had no value yet. sorted: whether the rows had
    another order; "newest first" or "rows" say which.
    """

    series: tuple[Series, ...]
    categories: tuple[tuple[str, ...], ...]
    filled: dict[str, int]
    cut: int = 0
    sorted: str = ""


def panel_of(
    table: Table,
    roles: Roles,
    lag: int,
    missing: Missing,
    log: bool = False,
    categories: Sequence[tuple[str, ...]] | None = None,
) -> Panel:
    """Return the series of a table; raises `DataError` for gaps that are refused, and for values that do not fit.

    categories: those that a model knows, for each column; by default those of the table.
    """
    names = (*roles.targets, *roles.also, *roles.known)
    if categories is None:
        categories = [_categories(table, name, target=name in roles.targets) for name in names]
    blocks = [_channels(table, name, each) for name, each in zip(names, categories, strict=True)]
    known_from = sum(block.shape[1] for block in blocks[: len(names) - len(roles.known)])
    of_channel = [name for name, block in zip(names, blocks, strict=True) for _ in range(block.shape[1])]
    values = side_by_side(blocks)
    times = times_of(table, roles.time) if roles.time else None
    ids = _ids(table, roles.id)
    made, filled, cut, disorder = [], np.zeros(len(of_channel), np.int64), 0, ""
    for name, rows in _rows_of(ids, table.rows):
        own = None if times is None else times[rows]
        if own is not None:
            order, told = _order(own, table.path, roles, rows)
            rows, own, disorder = rows[order], own[order], disorder or told
        block = values[rows] if len(rows) != len(values) or disorder else values
        first = _first_known(block) if missing == "last" else 0
        if first:
            block, rows, own, cut = block[first:], rows[first:], None if own is None else own[first:], cut + first
        own_values, future = block[:, :known_from], block[:, known_from:]
        if roles.known:
            own_values = own_values[: _end(own_values[:, : len(roles.targets)])]
        own_values, present = _filled(own_values, of_channel, missing, table.path, rows, name)
        future, _ = _filled(future, of_channel[known_from:], missing, table.path, rows, name)
        if log:
            _check_positive(own_values[:, : len(roles.targets)], roles.targets, table.path, rows)
        filled[:known_from] += (~present).sum(axis=0)
        made.append(
            Series(
                values=own_values,
                present=present,
                future=future,
                targets=len(roles.targets),
                lag=lag,
                log=log,
                name=name,
                lines=rows + 1,
                times=own,
                step=None if own is None else step_of(own),
            )
        )
    if cut > table.rows / 2:
        name, row = _last_to_begin(values, of_channel)
        raise DataError(
            f"data file {table.path!r}: column {name!r} has its first value in row {row} of the data, so that {cut} of "
            f"{table.rows} rows would be left out; cut them off, or leave the column out with exclude={quoted(name)}"
        )
    gaps = {name: int(count) for name, count in zip(of_channel, filled, strict=True) if count}
    return Panel(series=tuple(made), categories=tuple(categories), filled=gaps, cut=cut, sorted=disorder)


def _categories(table: Table, name: str, *, target: bool) -> tuple[str, ...]:
    column = table.columns[name]
    if column.doubt:
        raise DataError(f"data file {table.path!r}: column {name!r} {column.doubt}")
    if column.kind == NUMBER:
        return ()
    if target or column.kind == DATE:
        kind, cell = ("dates", str(column.values[0])[:10]) if column.kind == DATE else ("texts", _text(column.values))
        raise DataError(f"data file {table.path!r}: column {name!r} holds {kind} such as {cell!r}; expected numbers")
    return tuple(sorted({str(value) for value in column.values if value is not None}))


def _text(values: Array) -> str:
    return str(next((value for value in values if value is not None), ""))[:40]


def _channels(table: Table, name: str, categories: tuple[str, ...]) -> Array:
    """Return a column as numbers [rows, 1], or one channel a category; NaN where it has no value."""
    column = table.columns[name]
    if not categories:
        if column.kind != NUMBER:
            told = column.doubt or f"holds {_text(column.values)!r}; expected numbers"
            raise DataError(f"data file {table.path!r}: column {name!r} {told}")
        if np.isinf(column.values).any():
            row = int(np.isinf(column.values).argmax()) + 1
            raise DataError(
                f"data file {table.path!r}: column {name!r} is infinite in row {row} of the data; mend it, or leave "
                f"the column out with exclude={quoted(name)}"
            )
        return column.values[:, None]
    places = {category: place for place, category in enumerate(categories)}
    made = np.zeros((table.rows, len(categories)))
    for row, value in enumerate(column.values):
        if value is None or value != value:
            made[row] = np.nan
        elif str(value) not in places:
            raise DataError(
                f"data file {table.path!r}: column {name!r} holds {str(value)[:40]!r} in row {row + 1} of the data, "
                "which the data that was trained on has not"
            )
        else:
            made[row, places[str(value)]] = 1
    return made


def _check_positive(values: Array, names: Sequence[str], path: str, rows: Array) -> None:
    """Raise `DataError` for a value that has no logarithm."""
    wrong = np.argwhere(values <= 0)
    if len(wrong):
        row, column = wrong[0]
        raise DataError(
            f"data file {path!r}: column {names[column]!r} has the value {values[row, column]:g} in row "
            f"{rows[row] + 1} of the data, which has no logarithm; leave out transform=log"
        )


def _ids(table: Table, name: str | None) -> Array | None:
    if name is None:
        return None
    values = table.columns[name].values
    gaps = np.array([value is None or value != value for value in values])
    if gaps.any():
        raise DataError(
            f"data file {table.path!r}: column {name!r} names no series in row {int(gaps.argmax()) + 1} of the data; "
            "fill it in"
        )
    return np.array([f"{value:.15g}" for value in values]) if values.dtype.kind == NUMBER else values.astype(str)


def _rows_of(ids: Array | None, count: int) -> Iterator[tuple[str, Array]]:
    """Yield the name and the rows of each series, in the order of first rows."""
    if ids is None:
        yield "", np.arange(count)
        return
    names, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[order], np.arange(len(names) + 1))
    for place in np.argsort(first):
        yield str(names[place]), order[bounds[place] : bounds[place + 1]]


def _order(times: Array, path: str, roles: Roles, rows: Array) -> tuple[Array, str]:
    """Return the order of time, and what the order was where it was another; raises `DataError` for equal times."""
    order = np.argsort(times, kind="stable")
    same = times[order][1:] == times[order][:-1]
    if same.any():
        row = rows[order[int(same.argmax()) + 1]] + 1
        raise DataError(
            f"data file {path!r}: row {row} of the data has the {called(roles.time)} of an earlier row; remove "
            "one, say what tells several series apart with id=, or add time=none"
        )
    if (order == np.arange(len(order))).all():
        return order, ""
    return order, "newest first" if (order == np.arange(len(order))[::-1]).all() else "rows"


def _end(targets: Array) -> int:
    """Return how many rows there are up to the last one with a value to forecast."""
    there = np.flatnonzero(~np.isnan(targets).all(axis=1))
    return int(there[-1]) + 1 if len(there) else 0


def _first_known(values: Array) -> int:
    """Return the first row by which every column has had a value; 0 where one never has."""
    there = ~np.isnan(values)
    return int(there.argmax(axis=0).max(initial=0)) if there.any(axis=0).all() else 0


def _last_to_begin(values: Array, names: Sequence[str]) -> tuple[str, int]:
    """Return the column whose first value is in the latest row, and that row, from 1."""
    first = (~np.isnan(values)).argmax(axis=0)
    return names[int(first.argmax())], int(first.max()) + 1


def _filled(
    values: Array, names: Sequence[str], missing: Missing, path: str, rows: Array, series: str
) -> tuple[Array, Array]:
    """Return values [rows, channels] with their gaps filled where that was asked for, and which were in the file."""
    gaps = np.isnan(values)
    if not gaps.any():
        return values, ~gaps
    if missing == "refuse" or gaps[0].any():
        row, channel = np.argwhere(gaps if missing == "refuse" else gaps & gaps.all(axis=0))[0]
        where, known = f"in row {rows[row] + 1} of the data", ", add missing=last to the task"
        if missing == "last":
            where, known = "at all", ""
        if missing == "last" and series:
            where, known = f"in the series {series!r}", ", remove the rows of this series"
        raise DataError(
            f"data file {path!r}: column {names[channel]!r} has no value {where}; fill it in{known}, or leave the "
            f"column out with exclude={quoted(names[channel])}"
        )
    last = np.where(gaps, 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(last), axis=0), ~gaps
