"""Months that are written as names: JAN, Feb, March."""

import calendar

import numpy as np

from rnnframe.plugin import Array

_NUMBERS = {
    name.lower(): number for names in (calendar.month_name, calendar.month_abbr) for number, name in enumerate(names)
} | {"sept": 9}


def month_numbers(values: Array) -> Array | None:
    """Return the numbers 1 to 12 of names of months, None where some text is none."""
    numbers = [_NUMBERS.get(str(value).strip().lower(), 0) for value in values]
    return np.array(numbers, np.float64) if all(numbers) else None
