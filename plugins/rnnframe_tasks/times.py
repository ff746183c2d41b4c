"""Times of rows: the order they make, the step between them, and the times after the last one."""

from collections.abc import Sequence
from typing import Literal

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.column_words import PARTS, plain_name
from rnnframe_tasks.months import month_numbers
from rnnframe_tasks.tables import Table

UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))
_SECOND = 1_000_000_000


@attrs.frozen(kw_only=True)
class Step:
    """What lies between two times: a number (nanoseconds between dates), months, or business days.

    exceptions: how many steps are others. first: the row before the first of these, from 0.
    """

    kind: Literal["number", "nanoseconds", "months", "business days"]
    size: float
    exceptions: int = 0
    first: int = 0

    def after(self, times: Array, count: int) -> Array:
        """Return the times `count` steps later."""
        if self.kind == "number":
            later: Array = times + count * self.size
        elif self.kind == "nanoseconds":
            later = times + np.timedelta64(int(count * self.size), "ns")
        elif self.kind == "business days":
            later = np.busday_offset(times.astype("datetime64[D]"), count, roll="preceding").astype("datetime64[ns]")
        else:
            later = _months_later(times, int(count * self.size))
        return later

    def __str__(self) -> str:
        if self.kind == "number":
            return f"{self.size:g}"
        if self.kind == "business days":
            return "1 business day"
        if self.kind == "months":
            size, unit = (self.size / 12, "year") if self.size % 12 == 0 else (self.size, "month")
            return _counted(size, unit)
        seconds = self.size / _SECOND
        for unit, length in UNITS:
            if seconds % length == 0:
                return _counted(seconds / length, unit)
        return f"{seconds:g} seconds"


def _counted(size: float, unit: str) -> str:
    return f"{size:g} {unit}{'' if size == 1 else 's'}"


def times_of(table: Table, names: Sequence[str]) -> Array:
    """Return the time of each row from one column, or from year, quarter, month and so on; raises `DataError`."""
    columns = [_numbers(table.columns[name].values) for name in names]
    for name, values in zip(names, columns, strict=True):
        gaps = np.isnat(values) if values.dtype.kind == "M" else ~np.isfinite(values)
        if gaps.any():
            raise DataError(
                f"data file {table.path!r}: column {name!r} has no time in row {int(gaps.argmax()) + 1} of the data; "
                "fill it in, or add time=none"
            )
    if len(columns) == 1:
        return _as_date(columns[0], plain_name(names[0]))
    parts = dict(zip(map(plain_name, names), columns, strict=True))
    months = parts["month"] if "month" in parts else parts["quarter"] * 3 - 2
    made = ((parts["year"] - 1970) * 12 + months - 1).astype("datetime64[M]").astype("datetime64[D]")
    made = made + (parts.get("day", np.ones(len(made))).astype(np.int64) - 1)
    made = made.astype("datetime64[s]")
    for part, seconds in (("hour", 3600), ("minute", 60)):
        if part in parts:
            made = made + (parts[part] * seconds).astype(np.int64)
    assert set(parts) <= set(PARTS)
    dates: Array = made.astype("datetime64[ns]")
    return dates


def _numbers(values: Array) -> Array:
    return values if values.dtype.kind != "O" or (months := month_numbers(values)) is None else months


def _as_date(values: Array, name: str) -> Array:
    """Return numbers that are written dates, such as 20030115 or 200301 in a column `date`, as dates."""
    if values.dtype.kind == "M" or name not in ("date", "day", "month", "period", "time", "ds"):
        return values
    whole = (values == np.floor(values)).all()
    days = whole and (values >= 1000_00_00).all() and (values <= 9999_99_99).all()
    months = whole and (values >= 1000_00).all() and (values <= 9999_99).all()
    if not (days or months):
        return values
    numbers = values.astype(np.int64)
    day = numbers % 100 if days else np.ones(len(numbers), np.int64)
    month = numbers // 100 % 100 if days else numbers % 100
    year = numbers // 10_000 if days else numbers // 100
    if not ((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)).all():
        return values
    made = ((year - 1970) * 12 + month - 1).astype("datetime64[M]").astype("datetime64[D]") + (day - 1)
    dates: Array = made.astype("datetime64[ns]")
    return dates


def step_of(times: Array) -> Step:
    """Return the step between times [rows] in order; the usual one, where they are not all the same."""
    if len(times) < 2:
        return Step(kind="number", size=1.0) if times.dtype.kind != "M" else Step(kind="nanoseconds", size=1.0)
    if times.dtype.kind != "M":
        return _usual("number", np.diff(times))
    steps = np.diff(times).astype(np.int64)
    plain = _usual("nanoseconds", steps)
    if not plain.exceptions:
        return plain
    days, months = times.astype("datetime64[D]"), times.astype("datetime64[M]")
    whole = bool((times == days).all())
    in_month = (days - months.astype("datetime64[D]")).astype(np.int64)
    last = bool((((days + 1).astype("datetime64[M]")) != months).all())
    if whole and (len(set(in_month.tolist())) == 1 or last):
        by_month = _usual("months", np.diff(months).astype(np.int64))
        if by_month.exceptions < plain.exceptions:
            return by_month
    if whole and bool(np.is_busday(days).all()):
        between = np.busday_count(days[:-1], days[1:])
        wrong = between != 1
        if wrong.sum() < plain.exceptions:
            return Step(kind="business days", size=1.0, exceptions=int(wrong.sum()), first=int(wrong.argmax()))
    return plain


def _usual(kind: Literal["number", "nanoseconds", "months"], steps: Array) -> Step:
    if kind == "number":
        middle = float(np.median(steps))
        wrong = np.abs(steps - middle) > 1e-6 * max(abs(middle), 1e-300)
        return Step(kind=kind, size=middle, exceptions=int(wrong.sum()), first=int(wrong.argmax()))
    sizes, counts = np.unique(steps, return_counts=True)
    size = sizes[counts.argmax()]
    wrong = steps != size
    return Step(kind=kind, size=float(size), exceptions=int(wrong.sum()), first=int(wrong.argmax()))


def _months_later(times: Array, count: int) -> Array:
    """Return dates some months later on the same day of the month; the last day of a month stays a last day."""
    days, months = times.astype("datetime64[D]"), times.astype("datetime64[M]")
    later = months + count
    length = ((later + 1).astype("datetime64[D]") - later.astype("datetime64[D]")).astype(np.int64)
    day = (days - months.astype("datetime64[D]")).astype(np.int64)
    is_last = (days + 1).astype("datetime64[M]") != months
    day = np.where(is_last & (day >= 27), length - 1, np.minimum(day, length - 1))
    made: Array = (later.astype("datetime64[D]") + day).astype("datetime64[ns]") + (times - days)
    return made
