"""How the values of a column run from row to row: whether they count, rise, repeat, or stand in blocks."""

from collections.abc import Sequence

import numpy as np

from rnnframe.plugin import Array
from rnnframe_tasks.months import month_numbers
from rnnframe_tasks.tables import NUMBER, TEXT


def repeats(keys: Sequence[Array]) -> Array:
    """Return the rows whose keys stand in an earlier row, too; [rows] of booleans."""
    codes = np.zeros(len(keys[0]), np.int64)
    for key in keys:
        _, inverse = np.unique(key.astype(str) if key.dtype.kind == TEXT else key, return_inverse=True)
        codes = codes * (int(inverse.max(initial=0)) + 1) + inverse
    _, first = np.unique(codes, return_index=True)
    twice = np.ones(len(codes), bool)
    twice[first] = False
    return twice


def fill_most(ids: Sequence[Array], times: Sequence[Array]) -> bool:
    """Return whether rows fill at least half of a table with a row for each id and a column for each time."""
    series, steps = (int((~repeats(keys)).sum()) for keys in (ids, times))
    return 2 * len(ids[0]) >= series * steps


def rise_in(ids: Array, times: Array) -> bool:
    """Return whether times rise from row to row of each of several series, the mean one of at least two rows."""
    names, inverse = np.unique(ids.astype(str) if ids.dtype.kind == TEXT else ids, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    same = np.diff(inverse[order]) == 0
    return 1 < len(names) <= len(ids) / 2 and bool((np.diff(times[order])[same] > 0).all())


def is_part(values: Array, part: str) -> bool:
    """Return whether values are whole numbers, or names of months."""
    if values.dtype.kind == TEXT:
        return part == "month" and month_numbers(values) is not None
    return values.dtype.kind == NUMBER and are_whole(values)


def is_switch(values: Array) -> bool:
    """Return whether values are zeros and ones."""
    return values.dtype.kind == NUMBER and bool(np.isin(values, (0, 1)).all())


def are_whole(values: Array) -> bool:
    """Return whether values are whole numbers, none of them missing."""
    return bool(np.isfinite(values).all() and (values == np.floor(values)).all())


def go_one_way(values: Array) -> bool:
    """Return whether whole or other numbers rise from row to row, or fall; in equal rows they stand still."""
    if len(values) < 3 or not np.isfinite(values).all():
        return False
    steps = np.diff(values)
    return bool((steps > 0).all() or (steps < 0).all())


def count_on(values: Array) -> bool:
    """Return whether whole numbers rise or fall by as much from row to row."""
    if len(values) < 3 or not are_whole(values):
        return False
    steps = np.diff(values)
    return bool(steps[0] != 0 and (steps == steps[0]).all())


def series_of(values: Array) -> int:
    """Return the number of distinct values where each has at least two rows; else 0."""
    _, counts = np.unique(values.astype(str) if values.dtype.kind == TEXT else values, return_counts=True)
    return len(counts) if counts.min() > 1 else 0


def stand_in_blocks(values: Array) -> bool:
    """Return whether each of some values stands in one block of at least two rows, and in no other row."""
    texts = values.astype(str)
    changes = int((texts[1:] != texts[:-1]).sum())
    return series_of(values) > 1 and changes + 1 == series_of(values)
