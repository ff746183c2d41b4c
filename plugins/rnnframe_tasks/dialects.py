"""How a table of text is written: what stands between its values, and whether its first line names the columns.

The rules, for a file that no option describes, decided on its first lines:

- Values are parted by a tab, a semicolon, a bar or a comma, the first of these that parts every line into as many
  values; by white space where none of them does and it does.
- The first line holds names if one of its values is a text, or if its values count on: 0, 1, 2 or 1990, 1991, 1992.
  An empty value before such names is the unnamed index that pandas writes. Other numbers are the first row. Beside
  texts, a number above numbers that does not count on, or a date above dates, may be a value of a table without names.
- A line of names that is one value short belongs to a table whose rows begin with a name of their own, as R writes it.

What can be read in two ways is refused with the option that settles it.
"""

import csv
import io
import itertools
import re
from collections.abc import Sequence

import attrs

from rnnframe.plugin import DataError
from rnnframe_tasks.files import is_number

LINES = 50
"""Lines that are looked at."""

MARKS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|", "space": r"\s+", "point": "."}
"""Marks that have a name, since a spec cannot hold all of them as they are."""

_TRIED = ("\t", ";", "|", ",")
_WORD = re.compile(r'"((?:[^"]|"")*)"(?=\s|$)|(\S+)')
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = re.compile(
    rf"(\d{{1,4}}([-/.])\d{{1,2}}\2\d{{1,4}}([ T].*)?)|((?=.*\d).*\b({_MONTHS})[a-z]*\b.*)", re.IGNORECASE
)
_YEARS = range(1000, 3000)


@attrs.frozen(kw_only=True)
class Dialect:
    """How a table of text is written.

    sep: what stands between values; a regular expression if it is longer than one character. names: of the columns.
    header: whether the first line holds names. rows_named: whether rows begin with a value that has no name.
    trailing: whether every row ends with a mark that nothing follows. remarks: what was decided.
    """

    sep: str
    decimal: str
    names: tuple[str, ...]
    header: bool
    rows_named: bool = False
    trailing: bool = False
    remarks: tuple[str, ...] = ()


def dialect_of(text: str, path: str, sep: str | None, decimal: str | None, header: str | None) -> Dialect:
    """Return how a table is written, from its first lines and the options that were given; raises `DataError`."""
    lines = list(itertools.islice((line for line in text.splitlines() if line.strip()), LINES))
    if not lines:
        raise DataError(f"data file {path!r} has no rows")
    chosen = MARKS.get(sep, sep) if sep else _mark_of(lines)
    rows = _cut(lines, chosen)
    remarks: list[str] = []
    headed = header == "yes" if header else _is_header(rows, path, remarks)
    if not decimal and not sep and chosen == ",":
        _refuse_decimal_commas(rows, headed, lines, path)
    names, widths = [cell.strip() for cell in rows[0]], {len(row) for row in rows[headed:]}
    rows_named = False
    trailing = headed and widths == {len(names) + 1} and all(not row[-1].strip() for row in rows[1:])
    if headed and widths == {len(names) + 1} and (trailing or len(names) > 1):
        rows_named = not trailing
        if rows_named:
            remarks.append("the first value of each row has no name of a column: taken as the name of the row")
    elif headed and widths and len(names) < max(widths):
        raise DataError(
            f"data file {path!r}: the first line has {len(names)} value{'s' * (len(names) > 1)} and a later one "
            f"{max(widths)}; remove lines above the names, or say what parts the values with sep="
        )
    for number, row in enumerate(rows, 1):
        if len(row) < (len(names) if headed else max(widths)):
            raise DataError(f"data file {path!r}, row {number}: {len(row)} values; expected {len(names)}")
    if not headed:
        names = [str(number) for number in range(1, max(map(len, rows)) + 1)]
    return Dialect(
        sep=chosen,
        decimal=MARKS.get(decimal, decimal) if decimal else ".",
        names=_distinct(names, path),
        header=headed,
        rows_named=rows_named,
        trailing=trailing,
        remarks=tuple(remarks),
    )


def _mark_of(lines: Sequence[str]) -> str:
    for mark in _TRIED:
        widths = {len(row) for row in _cut(lines, mark)}
        if min(widths) > 1 and (len(widths) == 1 or len({len(row) for row in _cut(lines[1:], mark)}) == 1):
            return mark
    spaced = [len(row) for row in _cut(lines, MARKS["space"])]
    even = set(spaced[1:]) <= {spaced[0], spaced[0] + 1} and len(set(spaced[1:])) <= 1
    if not any(mark in line for mark in _TRIED for line in lines) and min(spaced) > 1 and even:
        return MARKS["space"]
    return max(reversed(_TRIED), key=lambda mark: max(len(row) for row in _cut(lines, mark)))


def _cut(lines: Sequence[str], mark: str) -> list[list[str]]:
    if len(mark) > 1:
        return [[quoted or word for quoted, word in _WORD.findall(line)] for line in lines]
    try:
        return list(csv.reader(io.StringIO("\n".join(lines)), delimiter=mark, skipinitialspace=True))
    except csv.Error:  # such as a value without end; pandas will say so
        return [line.split(mark) for line in lines]


def _is_header(rows: Sequence[Sequence[str]], path: str, remarks: list[str]) -> bool:
    """Return whether the first line holds names; raises `DataError` where nobody can tell."""
    first = [cell.strip() for cell in rows[0]]
    if not all(is_number(cell) for cell in first if cell) or not any(first):
        _refuse_values(first, rows[1:], path)
        return True
    named = first[1:] if not first[0] else first
    numbers = [_whole(cell) for cell in named]
    counts_on = numbers[0] is not None and numbers == [numbers[0] + n for n in range(len(named))]
    if len(first) == 1 and named[0] == "0" and len(rows) > 1:
        raise DataError(
            f"data file {path!r}: the first line is 0, a name as pandas writes it or a value; add header=yes or "
            "header=no"
        )
    if counts_on and (len(named) > 1 or len(first) > 1):
        remarks.append(f"the first line counts {named[0]} to {named[-1]}: taken as names (header=no: as values)")
        return True
    remarks.append("the first line holds numbers: columns are named 1, 2, ... (header=yes: it holds names)")
    return False


def _refuse_values(first: Sequence[str], body: Sequence[Sequence[str]], path: str) -> None:
    """Raise `DataError` where a first line with texts may hold values: a number above numbers, a date above dates."""
    body = body[:10]
    if not body or any(len(row) != len(first) for row in body):
        return
    below = [[row[place].strip() for row in body if row[place].strip()] for place in range(len(first))]
    numbers = [n for n, cell in enumerate(first) if _is_amount(cell) and below[n] and all(map(_is_amount, below[n]))]
    dates = [
        n for n, cell in enumerate(first) if _DATE.fullmatch(cell) and below[n] and all(map(_DATE.fullmatch, below[n]))
    ]
    if numbers and _are_names([first[n] for n in numbers], [cell for n in numbers for cell in below[n]]):
        numbers = []
    for places, what in ((numbers, "numbers"), (dates, "dates")):
        if places:
            raise DataError(
                f"data file {path!r}: the first line holds {first[places[0]][:40]!r} above {what}, as a name or as a "
                "value; add header=yes or header=no"
            )


def _is_amount(cell: str) -> bool:
    return any(map(str.isdigit, cell)) and (is_number(cell) or is_number(re.sub(r"[,\s$€£%]", "", cell)))


def _whole(cell: str) -> int | None:
    """Return a whole number; None for another text, and for one of so many digits that it counts nothing."""
    return int(cell) if cell.isdecimal() and len(cell) <= 18 else None


def _are_names(cells: Sequence[str], below: Sequence[str]) -> bool:
    """Return whether numbers among names are names: 0, numbers that count on, years above what is no year, levels."""
    if not all(map(is_number, cells)):
        return False
    values = [float(cell) for cell in cells]
    steps = [after - before for before, after in itertools.pairwise(values)]
    years = all(_whole(cell) in _YEARS for cell in cells)
    if years and all(step > 0 for step in steps):
        return not all(_whole(cell) in _YEARS for cell in below)
    if len(values) < 3:
        return values in ([0], [0, 1], [1, 2])
    levels = all(0 <= value <= 1 for value in values)
    return all(step > 0 for step in steps) and (levels or max(steps) - min(steps) < 1e-9 * abs(values[-1]))


def _refuse_decimal_commas(rows: Sequence[Sequence[str]], headed: bool, lines: Sequence[str], path: str) -> None:
    """Raise `DataError` for lines such as 0,125 that are one number with a decimal comma, or two numbers."""
    body = rows[headed:]
    if not body or (headed and len(rows[0]) != 1):
        return
    if all(len(row) == 2 and row[0].lstrip("+-").isdecimal() and row[1].isdecimal() for row in body):
        raise DataError(
            f"data file {path!r}: {lines[headed].strip()!r} is one number with a decimal comma, or two numbers; "
            "add decimal=comma or sep=comma"
        )


def _distinct(names: Sequence[str], path: str) -> tuple[str, ...]:
    """Return names of columns, numbers for those that have none; raises `DataError` where two are the same."""
    made = tuple(name or f"column {number}" for number, name in enumerate(names, 1))
    if len(set(made)) != len(made):
        twice = next(name for name in made if made.count(name) > 1)
        raise DataError(f"data file {path!r} has two columns {twice!r}; rename one")
    return made
