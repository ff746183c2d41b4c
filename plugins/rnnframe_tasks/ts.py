"""The `.ts` format of the UEA and UCR archives: a sample a line, channels between colons, the target at the end.

The specification: https://www.aeon-toolkit.org/en/stable/api_reference/data_format.html. A file must be what its header
says; where it is not, it is refused with the line.
"""

from collections.abc import Iterator

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.files import read_lines
from rnnframe_tasks.labelled import UNKNOWN, Kind, Labelled, joined, known_targets, number_of, read_values

BOOLEANS = ("timestamps", "missing", "univariate", "equallength", "targetlabel")
COUNTS = {"dimension": "dimension", "dimensions": "dimension", "serieslength": "serieslength"}
"""Identifiers with a whole number; the archives write the first one in two ways."""
COMMENTS = ("#", "%")
MOST_DIGITS = 18
"""Of a count; Python reads no whole number of thousands of digits."""


@attrs.frozen(kw_only=True)
class Header:
    """What the lines before @data say; None where they say nothing. `unread`: identifiers that the format has not."""

    missing: bool | None = None
    univariate: bool | None = None
    equallength: bool | None = None
    dimension: int | None = None
    serieslength: int | None = None
    classes: tuple[str, ...] = ()
    kind: Kind | None = None
    unread: tuple[str, ...] = ()


def read_ts(path: str) -> Labelled:
    """Return the samples of a `.ts` file; raises `DataError` with the line where it is not as its header says."""
    lines = [(number, line.strip()) for number, line in enumerate(read_lines(path), 1)]
    first = next((at for at, (_, line) in enumerate(lines) if line.lower().split()[:1] == ["@data"]), None)
    if first is None:
        raise DataError(f"data file {path!r} has no line @data; it is no .ts file of the UEA archive")
    header = _header(lines[: first + 1], path)
    samples, texts = [], []
    for number, line in lines[first + 1 :]:
        if not line:
            continue
        where = f"data file {path!r}, line {number}"
        parts = [part.strip() for part in line.split(":")]
        if header.kind is not None:
            texts.append(_target(parts.pop(), header, where))
        samples.append(_sample(parts, where))
        _check(samples[-1], samples[0], header, where)
    if not samples:
        raise DataError(f"data file {path!r} has no samples after @data")
    told = tuple(f"@{name} of its header is no identifier of the .ts format and was not read" for name in header.unread)
    return Labelled(
        joined(samples, f"data file {path!r}"),
        _targets(texts, header, path),
        header.kind or "either",
        header.classes,
        told,
    )


def _header(lines: list[tuple[int, str]], path: str) -> Header:
    found: dict[str, tuple[str, ...]] = {}
    for number, line in lines:
        if not line or line.startswith(COMMENTS):
            continue
        where = f"data file {path!r}, line {number}"
        if not line.startswith("@") or not line[1:].strip():
            raise DataError(f"{where}: {line[:40]!r} before @data; expected @IDENTIFIER VALUE, or a comment (#)")
        name, *values = line[1:].split()
        name = COUNTS.get(name.lower(), name.lower())
        if name == "data" and values:
            raise DataError(f"{where}: @data is followed by {values[0][:40]!r}; the samples begin on the next line")
        if found.get(name, tuple(values)) != tuple(values) and name != "problemname":
            raise DataError(f"{where}: @{name} is {' '.join(values)!r} here and {' '.join(found[name])!r} above")
        found[name] = tuple(values)
    return _checked(found, f"data file {path!r}")


def _checked(found: dict[str, tuple[str, ...]], where: str) -> Header:
    flags = {name: _flag(name, found[name], where) for name in BOOLEANS if name in found}
    counts = {name: _count(name, found[name], where) for name in set(COUNTS.values()) if name in found}
    if flags.pop("timestamps", False):
        raise DataError(
            f"{where} has time stamps (@timeStamps true): each value comes with its date, and the steps may be uneven; "
            "that is not read. Resample it to equal steps and write it with @timeStamps false"
        )
    classes = found.get("classlabel", ())
    labelled = bool(classes) and _flag("classlabel", classes[:1], where)
    valued = flags.pop("targetlabel", False)
    if labelled and valued:
        raise DataError(f"{where}: @classLabel and @targetLabel are both true; a sample has a class or a number")
    if labelled and len(classes) == 1:
        raise DataError(f"{where}: @classLabel true names no classes; list them behind it")
    if "classlabel" not in found and "targetlabel" not in found:
        raise DataError(
            f"{where} does not say what stands at the end of a line; "
            "add @classLabel true with the classes, @targetLabel true for numbers, or @classLabel false"
        )
    if flags.get("univariate") and counts.get("dimension", 1) != 1:
        raise DataError(f"{where}: @univariate true, but @dimension {counts['dimension']}; correct one of them")
    unread = tuple(name for name in found if name not in (*BOOLEANS, *COUNTS, "classlabel", "problemname", "data"))
    kind: Kind | None = "classes" if labelled else "numbers" if valued else None
    return Header(
        missing=flags.get("missing"),
        univariate=flags.get("univariate"),
        equallength=flags.get("equallength"),
        dimension=counts.get("dimension"),
        serieslength=counts.get("serieslength"),
        classes=classes[1:] if labelled else (),
        kind=kind,
        unread=unread,
    )


def _flag(name: str, values: tuple[str, ...], where: str) -> bool:
    if len(values) != 1 or values[0].lower() not in ("true", "false"):
        raise DataError(f"{where}: @{name} is {' '.join(values)[:40]!r}; expected true or false")
    return values[0].lower() == "true"


def _count(name: str, values: tuple[str, ...], where: str) -> int:
    if len(values) != 1 or not values[0].isdecimal() or len(values[0]) > MOST_DIGITS or int(values[0]) < 1:
        raise DataError(f"{where}: @{name} is {' '.join(values)[:40]!r}; expected a whole number above 0")
    return int(values[0])


def _target(text: str, header: Header, where: str) -> str:
    if not text:
        raise DataError(f"{where}: nothing stands behind the last colon; expected a {_what(header)}, or ? for none")
    if text == UNKNOWN:
        return text
    if header.kind == "classes" and text not in header.classes:
        named = ", ".join(header.classes)
        raise DataError(f"{where}: class {text[:40]!r} is not among those that @classLabel names ({named[:200]})")
    if header.kind == "numbers" and not _is_finite(text):
        raise DataError(f"{where}: the target is {text[:40]!r}; @targetLabel true expects a number, or ? for none")
    return text


def _what(header: Header) -> str:
    return "class" if header.kind == "classes" else "number"


def _is_finite(text: str) -> bool:
    try:
        return bool(np.isfinite(number_of(text)))
    except ValueError:
        return False


def _sample(parts: list[str], where: str) -> Array:
    channels = [
        read_values([text.strip() for text in part.split(",")] if part else [], f"{where}, channel {number}")
        for number, part in enumerate(parts, 1)
    ]
    lengths = sorted({len(channel) for channel in channels})
    if len(lengths) != 1 or lengths[0] == 0:
        told = " and ".join(map(str, lengths)) if lengths else "no"
        raise DataError(f"{where}: the channels have {told} steps; expected one number above 0")
    return np.stack(channels, axis=1)


def _check(sample: Array, first: Array, header: Header, where: str) -> None:
    """Raise `DataError` where a sample is not what the header says, or has other channels than the first one."""
    for wrong in _contradictions(sample, first, header):
        raise DataError(f"{where}: {wrong}")


def _contradictions(sample: Array, first: Array, header: Header) -> Iterator[str]:
    steps, channels = sample.shape
    if header.dimension not in (None, channels):
        yield f"{channels} channels; the header says @dimension {header.dimension}"
    if header.univariate is not None and header.univariate != (channels == 1):
        yield f"{channels} channels; the header says @univariate {str(header.univariate).lower()}"
    if channels != first.shape[1]:
        yield f"{channels} channels; the samples before have {first.shape[1]}"
    if header.serieslength not in (None, steps):
        yield f"{steps} steps; the header says @seriesLength {header.serieslength}"
    if header.equallength and steps != len(first):
        yield f"{steps} steps; the samples before have {len(first)}, and the header says @equalLength true"
    if header.missing is False and np.isnan(sample).any():
        yield "a value is missing; the header says @missing false"


def _targets(texts: list[str], header: Header, path: str) -> Array | None:
    known = known_targets(texts, f"data file {path!r}") if texts else None
    if known is None:
        return None
    return np.array(known) if header.kind == "classes" else np.array([number_of(text) for text in known])
