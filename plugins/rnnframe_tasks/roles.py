"""What each column of a table is: time, the name of a series, what is forecast, what is read beside it, or left out.

What an option names has that role. The others are told apart by these rules, and a person is told of the result:

- A column of dates is the time. Without one, the time is a column of numbers whose name says so (`year`, `t`) and that
  never falls, or one that counts: each value as much above the one before as the next. `year` with `month` or
  `quarter` beside it is read as a date.
- Where several rows have one time, one other column tells the series apart, and each has every time once: its id. So
  does, without a time, a column called `id` or the like with values that repeat. A column named as a time that rises
  in each series of such an id, as the year does in a table of countries and years, is the time.
- Numbers that are neither are forecast; further columns that count, parts of dates, codes, ids and texts are left out.

Where two columns could have a role, or a column that must be known is doubtful, the option that settles it is named.
"""

from collections.abc import Sequence

import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.column_words import CODES, DATE_WORDS, PARTS, TIMES, is_id, is_key, plain_name
from rnnframe_tasks.columns import Asked, Roles, called, listed, named
from rnnframe_tasks.row_patterns import (
    are_whole,
    count_on,
    fill_most,
    go_one_way,
    is_part,
    is_switch,
    repeats,
    rise_in,
    series_of,
    stand_in_blocks,
)
from rnnframe_tasks.tables import DATE, NUMBER, TEXT, Table

NOBODY = "none"
"""What `time=` and `id=` say where there is none."""


def find_roles(table: Table, asked: Asked) -> Roles:
    """Return what each column is; raises `DataError` with the option that settles what is doubtful."""
    finder = _Finder(table, asked)
    time = finder.time()
    name = finder.id(time)
    targets = finder.targets()
    return Roles(time=time, id=name, targets=targets, also=finder.also, known=finder.known, left_out=finder.left_out)


class _Finder:
    """Deals the columns of a table out to roles; each column gets one."""

    def __init__(self, table: Table, asked: Asked) -> None:
        self.table, self.asked = table, asked
        self.left_out: dict[str, str] = {}
        self._free = dict(table.columns)
        for name in self._named(asked.exclude, "exclude"):
            self._take(name, "exclude")
            self.left_out[name] = "exclude="
        self._column = None if asked.column is None else self._named(asked.column, "column")
        self.also, self.known = self._named(asked.also, "also"), self._named(asked.known, "known")
        for option, names in (("column", self._column or ()), ("also", self.also), ("known", self.known)):
            for name in names:
                self._take(name, option)

    def time(self) -> tuple[str, ...]:
        """Return the column of time, or those whose numbers make a date."""
        asked = self.asked.time
        if asked == NOBODY and asked not in self.table.columns:
            return ()
        if asked is not None:
            name = named(self.table, asked, "time")
            self._take(name, "time")
            if self.table.columns[name].kind == TEXT:
                raise DataError(self._says(name, "holds texts that are no dates; time= names dates or numbers"))
            return (name,)
        found = self._dates() or self._date_parts() or self._counting()
        for name in found:
            self._free.pop(name)
        return found

    def id(self, time: tuple[str, ...]) -> str | None:
        """Return the column that tells series apart."""
        asked = self.asked.id
        if asked == NOBODY and asked not in self.table.columns:
            return None
        if asked is not None:
            name = named(self.table, asked, "id")
            self._take(name, "id")
            return name
        found = self._that_parts(time) if time else self._that_repeats()
        if found is not None:
            self._free.pop(found)
        return found

    def targets(self) -> tuple[str, ...]:
        """Return what is forecast, and say of the rest why it is left out."""
        if self._column is not None:
            self.left_out |= dict.fromkeys(self._free, "not asked for")
            return self._column
        targets: list[str] = []
        for name, column in self._free.items():
            if column.doubt:
                raise DataError(self._says(name, column.doubt))
            reason = self._not_forecast(name)
            if reason:
                self.left_out[name] = reason
            else:
                targets.append(name)
        if targets:
            return tuple(targets)
        raise DataError(
            f"data file {self.table.path!r} has no column of numbers to forecast; it has {listed(self.table.columns)} "
            f"({listed(f'{name[:40]}: {why}' for name, why in self.left_out.items()) or 'all have another role'}); "
            "name one with column="
            + (", or say what parts the values of a line with sep=" if len(self.table.columns) == 1 else "")
        )

    def _not_forecast(self, name: str) -> str:
        column = self.table.columns[name]
        if column.kind == DATE:
            return "dates"
        if column.kind == TEXT:
            return "texts"
        if not np.isfinite(column.values).any():
            return "no values"
        if plain_name(name) in DATE_WORDS and are_whole(column.values):
            return "a part of a date, by its name"
        if is_id(name):
            return "an id, by its name"
        if plain_name(name) in CODES or plain_name(name).endswith(("_code", "_zip")):
            return "a code, by its name"
        return "counts the rows" if count_on(column.values) else ""

    def _dates(self) -> tuple[str, ...]:
        dates = [name for name, column in self._free.items() if column.kind == DATE]
        if len(dates) > 1:
            raise DataError(
                f"data file {self.table.path!r} has dates in {listed(dates)}; say which is the time with time=, or "
                "exclude= the others"
            )
        return tuple(dates)

    def _date_parts(self) -> tuple[str, ...]:
        """Return year and what stands beside it of a date, where that tells more rows apart than the year does."""
        by_name = {plain_name(name): name for name in self._free if plain_name(name) in PARTS}
        found = [part for part in PARTS if part in by_name and is_part(self.table.columns[by_name[part]].values, part)]
        if found[:1] != ["year"] or not {"month", "quarter"} & set(found):
            return ()
        return tuple(by_name[part] for part in found)

    def _counting(self) -> tuple[str, ...]:
        """Return the column of numbers that is the time, by its name or as it counts."""
        numbers = [name for name, column in self._free.items() if column.kind == NUMBER]
        rows = self._first_series()
        by_name = [
            name for name in numbers if plain_name(name) in TIMES and go_one_way(self.table.columns[name].values[rows])
        ]
        by_name.sort(key=lambda name: TIMES.index(plain_name(name)))
        counting = [name for name in numbers if count_on(self.table.columns[name].values)]
        if self._column is None and len(counting) == len(numbers) and not by_name:
            return ()  # nothing would be left to forecast
        return tuple((by_name or counting or self._rising_in_series(numbers))[:1])

    def _rising_in_series(self, numbers: Sequence[str]) -> list[str]:
        """Return the columns named as a time that rise in every series of some column that tells series apart."""
        if self.asked.id is not None:
            return []
        whole = [name for name in numbers if are_whole(self.table.columns[name].values)]
        named_so = [name for name in whole if plain_name(name) in TIMES]
        return [
            name
            for name in sorted(named_so, key=lambda name: TIMES.index(plain_name(name)))
            if any(
                rise_in(self.table.columns[other].values, self.table.columns[name].values)
                for other in self._telling_apart([name])
            )
        ]

    def _telling_apart(self, time: Sequence[str]) -> list[str]:
        """Return the columns with values that repeat, but in no two rows of one time."""
        times = [self.table.columns[name].values for name in time]
        return [
            name
            for name, column in self._free.items()
            if name not in time
            and plain_name(name) not in DATE_WORDS
            and not column.doubt
            and (column.kind == TEXT or (column.kind == NUMBER and are_whole(column.values)))
            and not repeats([column.values, *times]).any()
            and repeats([column.values]).any()
        ]

    def _first_series(self) -> Array | slice:
        """Return the rows of the first series, where `id=` says which they are; else all."""
        if self.asked.id is None or (self.asked.id == NOBODY and NOBODY not in self.table.columns):
            return slice(None)
        ids = self.table.columns[named(self.table, self.asked.id, "id")].values
        first: Array = np.array([value == ids[0] for value in ids])
        return first

    def _that_parts(self, time: tuple[str, ...]) -> str | None:
        """Return the column that tells the rows of one time apart; None where no time stands twice."""
        times = [self.table.columns[name].values for name in time]
        twice = repeats(times)
        if not twice.any():
            return None
        others = self._telling_apart(time)
        row = int(np.flatnonzero(twice)[0])
        likely = [name for name in others if self.table.columns[name].kind == TEXT or is_id(name)]
        likely = likely or [name for name in others if fill_most([self.table.columns[name].values], times)]
        if likely and all(self._deal_alike(likely[0], other) for other in likely[1:]):
            return likely[0]
        which = "the column that tells them apart"
        if others:
            which += f", such as {listed(others)},"
        raise DataError(
            f"data file {self.table.path!r}: row {row + 1} of the data has the {called(time)} of an earlier row; "
            f"if the rows of several series stand in it, name {which} with id=, else add time=none"
        )

    def _that_repeats(self) -> str | None:
        names = [name for name in self._free if is_id(name)]
        for name in names:
            values = self.table.columns[name].values
            if (is_key(name) and repeats([values]).any() and not series_of(values)) or is_switch(values):
                raise DataError(
                    self._says(name, f"holds a value in several rows; if each is a series, add id={name}, else id=none")
                )
        stacked = [name for name in names if series_of(self.table.columns[name].values) > 1]
        if len(stacked) > 1:
            raise DataError(
                f"data file {self.table.path!r}: {listed(stacked)} could each be the id of a series; say which is with "
                "id=, or id=none"
            )
        if stacked:
            self._refuse_times_again(stacked[0])
            return stacked[0]
        if self._column is not None:
            return None
        for name, column in self._free.items():
            if column.kind == TEXT and not column.doubt and stand_in_blocks(column.values):
                raise DataError(
                    self._says(
                        name, f"is the same over blocks of rows; if each is a series, add id={name}, else id=none"
                    )
                )
        return None

    def _refuse_times_again(self, id: str) -> None:
        """Raise `DataError` where no time was found, since a column of times has one twice in a series."""
        if self.asked.time is not None:
            return
        ids = self.table.columns[id].values
        for name, column in self._free.items():
            if plain_name(name) not in TIMES or column.kind != NUMBER or not are_whole(column.values):
                continue
            twice = repeats([ids, column.values])
            if twice.any():
                raise DataError(
                    f"data file {self.table.path!r}: row {int(twice.argmax()) + 1} of the data has the "
                    f"{called([name])} and the {called([id])} of an earlier row; if more than {id} tells series apart, "
                    "name one column that does with id=, else add time=none"
                )

    def _deal_alike(self, one: str, other: str) -> bool:
        """Return whether two columns deal the rows out to the same series."""
        columns = [self.table.columns[name].values for name in (one, other)]
        kinds = {int((~repeats(keys)).sum()) for keys in (columns[:1], columns[1:], columns)}
        return len(kinds) == 1

    def _named(self, asked: tuple[str, ...], option: str) -> tuple[str, ...]:
        return tuple(named(self.table, name, option) for name in asked)

    def _take(self, name: str, option: str) -> None:
        if name not in self._free:
            raise DataError(self._says(name, f"has two roles; take it out of {option}= or of the other option"))
        self._free.pop(name)

    def _says(self, name: str, what: str) -> str:
        return f"data file {self.table.path!r}: column {name!r} {what}"
