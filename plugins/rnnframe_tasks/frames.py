"""A column of a pandas frame as numbers, dates or texts, and why it is doubtful where it is."""

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnframe_tasks.files import is_number, quoted
from rnnframe_tasks.tables import Column, Reading

if TYPE_CHECKING:
    import pandas as pd

_ISO = re.compile(r"\d{4}-\d{1,2}(-\d{1,2}([ T].*)?)?")
_DAY_OR_MONTH = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})([ T]\d{1,2}:\d{2}(:\d{2})?)?")
_QUARTER = re.compile(r"(\d{4})[ :-]?[Qq]([1-4])")
_MONTH = re.compile(r"(\d{4})[ :]?[Mm](\d{1,2})")
_MONTH_NAME = re.compile(r"(\d{4})[ -]?([A-Za-z]{3,9})|([A-Za-z]{3,9})[ -](\d{4})")
_MARKS_IN_NUMBERS = r"[,\s$€£%'_]"
_MOSTLY = 0.5
"""A column of texts is a column of numbers with faults where this share of them is numbers."""


def column_of(pandas: Any, series: "pd.Series", name: str, reading: Reading) -> Column:
    """Return a column; that of nothing but gaps holds numbers."""
    kind = series.dtype
    if isinstance(kind, np.dtype) and kind.kind in "fiub":
        return Column(series.to_numpy(np.float64))
    if pandas.api.types.is_bool_dtype(kind) or pandas.api.types.is_numeric_dtype(kind):
        if pandas.api.types.is_complex_dtype(kind):
            return Column(series.astype(str).to_numpy(object), "holds complex numbers; exclude it with exclude=")
        return Column(series.to_numpy(np.float64, na_value=np.nan))
    if pandas.api.types.is_datetime64_any_dtype(kind):
        return Column(_naive(pandas, series))
    if isinstance(kind, pandas.PeriodDtype):
        return Column(_naive(pandas, series.dt.to_timestamp()))
    texts = series.astype(object)
    there = texts[series.notna()]
    if not len(there):
        return Column(np.full(len(series), np.nan))
    return _of_texts(pandas, texts, there, name, reading)


def _of_texts(pandas: Any, texts: "pd.Series", there: "pd.Series", name: str, reading: Reading) -> Column:
    if _numbers(pandas, there.iloc[:1]).notna().all() and (numbers := _numbers(pandas, there)).notna().all():
        return _spread(texts, numbers)
    there = there.astype(str).str.strip()
    dates, doubt = _dates(pandas, there, name, reading)
    if dates is not None:
        whole = np.full(len(texts), np.datetime64("NaT"), "datetime64[ns]")
        whole[texts.notna().to_numpy()] = _naive(pandas, dates)
        return Column(whole)
    numbers = _numbers(pandas, there)
    if numbers.notna().all():  # between white space that pandas does not skip
        return _spread(texts, numbers)
    values = np.full(len(texts), None, object)
    values[texts.notna().to_numpy()] = there.to_numpy(object)
    doubt = doubt or _doubt(pandas, texts, there, numbers, name) or _odd_date(texts, there, name)
    return Column(values, doubt)


def _numbers(pandas: Any, there: "pd.Series") -> "pd.Series":
    """Return numbers, NaN for what is none; those beyond float64 are infinite."""
    try:
        return pandas.to_numeric(there, errors="coerce").astype(np.float64)
    except OverflowError:
        return there.map(lambda cell: float(str(cell)) if is_number(str(cell)) else np.nan).astype(np.float64)


def _spread(texts: "pd.Series", numbers: "pd.Series") -> Column:
    """Return numbers as a column that has gaps where there are no texts."""
    whole = np.full(len(texts), np.nan)
    whole[texts.notna().to_numpy()] = numbers.to_numpy(np.float64)
    return Column(whole)


def _doubt(pandas: Any, texts: "pd.Series", there: "pd.Series", numbers: "pd.Series", name: str) -> str:
    """Return why texts may be meant as numbers; empty where they are not."""
    rows = np.flatnonzero(texts.notna().to_numpy()) + 1
    if numbers.notna().mean() >= _MOSTLY:
        place = int(np.flatnonzero(numbers.isna().to_numpy())[0])
        cell = there.iloc[place]
        return (
            f"holds {cell[:40]!r} in row {rows[place]} of the data among numbers; mend it, name it as no value with "
            f"na={quoted(cell)}, or leave the column out with exclude={quoted(name)}"
        )
    cleaned = _numbers(pandas, there.str.replace(_MARKS_IN_NUMBERS, "", regex=True))
    if cleaned.notna().mean() < _MOSTLY:
        return ""
    place = int(np.flatnonzero(cleaned.notna().to_numpy())[0])
    cell = there.iloc[place]
    way_out = "add decimal=comma, or " if re.fullmatch(r"[+-]?\d+,\d+", cell) else ""
    if there[cleaned.notna()].str.fullmatch(r"[+-]?\d{1,3}(,\d{3})*(\.\d*)?").all():
        way_out = f"add thousands=comma, {way_out or 'or '}"
    if (
        there[cleaned.notna()].str.fullmatch(r"[+-]?\d{1,3}(\.\d{3})*,\d+").all()
        and there.str.contains(".", regex=False).any()
    ):
        way_out = "add decimal=comma,thousands=point, or "
    return (
        f"holds {cell[:40]!r} in row {rows[place]} of the data, which pandas reads as a text; {way_out}write plain "
        f"numbers, or leave the column out with exclude={quoted(name)}"
    )


def _odd_date(texts: "pd.Series", there: "pd.Series", name: str) -> str:
    """Return why texts may be meant as dates; empty where they are not: all but a few are, or they have two forms."""
    forms = [there.str.fullmatch(form.pattern).to_numpy(bool) for form in (_ISO, _DAY_OR_MONTH)]
    usual = max(forms, key=np.count_nonzero)
    if (forms[0] | forms[1]).mean() < _MOSTLY or usual.all():
        return ""
    rows, place = np.flatnonzero(texts.notna().to_numpy()) + 1, int(np.argmin(usual))
    return (
        f"holds {there.iloc[place][:40]!r} in row {rows[place]} of the data among dates such as "
        f"{there.iloc[int(np.argmax(usual))]!r}; mend it, or leave the column out with exclude={quoted(name)}"
    )


def _dates(pandas: Any, there: "pd.Series", name: str, reading: Reading) -> tuple["pd.Series | None", str]:
    """Return texts as dates, None where they are none; and why they are doubtful."""
    first = there.iloc[0]
    if not there.str.contains(r"\d", regex=True).all():
        return None, ""
    if _QUARTER.fullmatch(first):
        parts = there.str.extract(r"^(\d{4})[ :-]?[Qq]([1-4])$")
        there = parts[0] + "-" + (pandas.to_numeric(parts[1]) * 3 - 2).astype("Int64").astype("string")
        found = pandas.to_datetime(there, format="%Y-%m", errors="coerce")
        return (found, "") if found.notna().all() else (None, "")
    if _MONTH.fullmatch(first):
        found = pandas.to_datetime(there.str.replace(r"[ :]?[Mm]", "-", regex=True), format="%Y-%m", errors="coerce")
        return (found, "") if found.notna().all() else (None, "")
    if _MONTH_NAME.fullmatch(first):
        parts = there.str.replace(r"[ -]", "", regex=True)
        order = ("%Y%b", "%Y%B") if first[0].isdigit() else ("%b%Y", "%B%Y")
        tried = (pandas.to_datetime(parts, format=form, errors="coerce") for form in order)
        return next((found for found in tried if found.notna().all()), None), ""
    if _DAY_OR_MONTH.fullmatch(first):
        return _day_or_month(pandas, there, name, reading)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it would guess
        try:
            form = "ISO8601" if _ISO.fullmatch(first) else None
            pandas.to_datetime(there.iloc[:20], format=form, utc=True)
            return pandas.to_datetime(there, format=form, utc=True), ""
        except (ValueError, TypeError, OverflowError, UserWarning, FutureWarning):
            return None, ""


def _day_or_month(pandas: Any, there: "pd.Series", name: str, reading: Reading) -> tuple["pd.Series | None", str]:
    """Return dates such as 13/02/2003: as only one order reads them all, or as only one makes equal steps."""
    match = _DAY_OR_MONTH.fullmatch(there.iloc[0])
    assert match is not None
    mark, year, clock = match[2], "%Y" if len(match[4]) == 4 else "%y", match[5] or ""
    rest = f" %H:%M{':%S' if clock.count(':') == 2 else ''}" if clock else ""
    orders = {False: f"%m{mark}%d{mark}{year}{rest}", True: f"%d{mark}%m{mark}{year}{rest}"}
    if reading.dayfirst is not None:
        orders = {reading.dayfirst: orders[reading.dayfirst]}
    read = {first: pandas.to_datetime(there, format=form, errors="coerce") for first, form in orders.items()}
    whole = {first: dates for first, dates in read.items() if dates.notna().all()}
    if len(whole) == 2:
        steps = {first: len(set(np.diff(dates.to_numpy()).tolist())) for first, dates in whole.items()}
        months = {first: dates.dt.day.nunique() for first, dates in whole.items()}
        fewer = [first for first in whole if steps[first] == 1 or months[first] == 1]
        whole = {first: whole[first] for first in fewer} if len(fewer) == 1 else whole
    if len(whole) == 2:
        return None, (
            f"holds dates such as {there.iloc[0]!r} of which either number may be the day; add dayfirst=yes or "
            f"dayfirst=no, or leave the column out with exclude={quoted(name)}"
        )
    return next(iter(whole.values()), None), ""


def _naive(pandas: Any, dates: "pd.Series") -> Any:
    """Return dates as datetime64[ns]; those with a time zone in universal time."""
    if getattr(dates.dt, "tz", None) is not None:
        dates = dates.dt.tz_convert("UTC").dt.tz_localize(None)
    return dates.to_numpy("datetime64[ns]")
