"""What the name of a column says of it: that it is a time, a part of a date, an id or a code."""

import re

TIMES = ("time", "t", "date", "datetime", "timestamp", "ds", "year", "period", "index", "step", "obs", "day", "month")
PARTS = ("year", "quarter", "month", "day", "hour", "minute")
DATE_WORDS = (*PARTS, "yr", "decade", "week", "weekday", "dayofweek", "day_of_week", "second")
KEYS = ("id", "unique_id", "identifier", "individual", "subject", "patient", "participant")
IDS = (*KEYS, "key", "series", "group", "name", "item", "sku", "store", "station", "symbol", "ticker")
CODES = ("code", "zip", "postal_code", "postcode", "fips")


def plain_name(name: str) -> str:
    """Return a name in small letters, its words joined by underscores; `AirportID` is two words."""
    words = re.sub(r"(?<=[a-z])I[dD]$", "_id", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def is_id(name: str) -> bool:
    """Return whether a name is one that columns have which tell series apart."""
    return plain_name(name) in IDS or is_key(name)


def is_key(name: str) -> bool:
    """Return whether a name says that a column does nothing but tell rows or series apart."""
    return plain_name(name) in KEYS or plain_name(name).endswith("_id")
