"""Columns by role: what options ask for, what was found, and how a sentence names them."""

from collections.abc import Iterable

import attrs

from rnnframe.plugin import DataError
from rnnframe_tasks.tables import Table


@attrs.frozen(kw_only=True)
class Asked:
    """The columns that options name, by name or number; None or empty where an option was not given."""

    column: tuple[str, ...] | None = None
    also: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    time: str | None = None
    id: str | None = None


@attrs.frozen(kw_only=True)
class Roles:
    """Columns by role.

    time: one column, or year with quarter, month, day, hour, minute; empty without. left_out: why, by name.
    """

    time: tuple[str, ...] = ()
    id: str | None = None
    targets: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    left_out: dict[str, str] = attrs.field(factory=dict)


def named(table: Table, asked: str, option: str) -> str:
    """Return the column that a text names, or whose number it is, from 1; raises `DataError`."""
    if asked in table.columns:
        return asked
    names = list(table.columns)
    numbered = {str(number): name for number, name in enumerate(names, 1)}
    if asked in numbered:
        return numbered[asked]
    raise DataError(f"data file {table.path!r} has no column {asked!r}, which {option}= names; it has {listed(names)}")


def called(names: Iterable[str]) -> str:
    """Return names of columns as a sentence has them: date, year and month, column 2."""
    return " and ".join(f"column {name}" if name.isdecimal() else name for name in names)


def listed(names: Iterable[str], most: int = 12) -> str:
    """Return names with commas between them, the first ones of many, and the beginning of long ones."""
    names = [name if len(name) <= 80 else f"{name[:77]}..." for name in names]
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])} and {len(names) - most + 1} more"
