"""The `.tsf` format of the Monash forecasting archive: a series a line, its attributes first, between colons.

Godahewa, Bergmeir, Webb, Hyndman & Montero-Manso (2021), "Monash time series forecasting archive".
"""

import numpy as np

from rnnframe.plugin import DataError
from rnnframe_tasks.files import read_lines
from rnnframe_tasks.labelled import Labelled, joined, known_targets, read_values

KINDS = ("string", "numeric", "date")
IDENTIFIERS = ("relation", "frequency", "horizon", "missing", "equallength", "data", "attribute")


def read_tsf(path: str, target: str | None = None) -> Labelled:
    """Return the series of a `.tsf` file; their targets are the attribute `target`. Raises `DataError`."""
    lines = [(number, line.strip()) for number, line in enumerate(read_lines(path), 1)]
    first = next((at for at, (_, line) in enumerate(lines) if line.lower() == "@data"), None)
    if first is None:
        raise DataError(f"data file {path!r} has no line @data; it is no .tsf file")
    names = _attributes(lines[:first], path)
    if target is not None and target not in names:
        raise DataError(f"data file {path!r} has no attribute {target!r}; it has {', '.join(names) or 'none'}")
    equal = any(line.lower().split() == ["@equallength", "true"] for _, line in lines[:first])
    full = any(line.lower().split() == ["@missing", "false"] for _, line in lines[:first])
    samples, texts = [], []
    for number, line in lines[first + 1 :]:
        if not line:
            continue
        where, parts = f"data file {path!r}, line {number}", line.split(":")
        if len(parts) != len(names) + 1:
            raise DataError(f"{where}: {len(parts) - 1} attributes before the values; the header has {len(names)}")
        samples.append(read_values([text.strip() for text in parts[-1].split(",")], where)[:, None])
        if equal and len(samples[-1]) != len(samples[0]):
            raise DataError(f"{where}: {len(samples[-1])} values; the header says @equallength true")
        if full and np.isnan(samples[-1]).any():
            raise DataError(f"{where}: a value is missing; the header says @missing false")
        texts.append(parts[names.index(target)].strip() if target is not None else "?")
    sequences = joined(samples, f"data file {path!r}")
    known = known_targets(texts, f"data file {path!r}")
    remarks = tuple(f"its attribute {name} was not read" for name in names if name != target)
    return Labelled(sequences, None if known is None else np.array(known), remarks=remarks)


def _attributes(lines: list[tuple[int, str]], path: str) -> list[str]:
    names = []
    for number, line in lines:
        if not line or line.startswith("#"):
            continue
        identifier, *values = line.split()
        if identifier[:1] != "@" or identifier[1:].lower() not in IDENTIFIERS:
            raise DataError(f"data file {path!r}, line {number}: {line[:40]!r} is no line of a .tsf header")
        if identifier.lower() == "@attribute":
            if len(values) != 2 or values[1].lower() not in KINDS:
                expected = f"expected @attribute NAME and {' or '.join(KINDS)}"
                raise DataError(f"data file {path!r}, line {number}: {line[:40]!r}; {expected}")
            names.append(values[0])
    return names
