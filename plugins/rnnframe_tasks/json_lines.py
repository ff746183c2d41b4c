"""JSON lines: a sample a line, {"x": [[1.5, 2], [1.6, null], ...], "y": "class"}, channels innermost.

One channel may be a plain list, `null` is a missing value, and "y" a class (a text or a whole number) or a number.
"""

import json
from typing import Any

import numpy as np

from rnnframe.plugin import Array, DataError
from rnnframe_tasks.files import read_lines
from rnnframe_tasks.labelled import Kind, Labelled, joined


def read_json_lines(path: str, target: str | None = None) -> Labelled:
    """Return the samples of a file; their targets are "y", or the key `target`. Raises `DataError` with the line."""
    target, samples, targets = target or "y", [], []
    others: set[str] = set()
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        where = f"data file {path!r}, line {number}"
        sample = _object(line, where)
        samples.append(_values(sample["x"], where))
        targets.append(_target(sample.get(target), target, where))
        others |= sample.keys() - {"x", target}
    sequences = joined(samples, f"data file {path!r}")
    remarks = tuple(f"its key {name!r} was not read" for name in sorted(others))
    without = targets.count(None)
    if without == len(targets):
        return Labelled(sequences, None, remarks=remarks)
    if without:
        raise DataError(
            f"data file {path!r}: sample {targets.index(None) + 1} has no {target!r}, and others have one; "
            "leave it out, or leave out all of them"
        )
    if any(type(each) is float for each in targets) and all(type(each) is not str for each in targets):
        return Labelled(sequences, np.array(targets, np.float64), "numbers", remarks=remarks)
    kind: Kind = "classes" if any(type(each) is str for each in targets) else "either"
    return Labelled(sequences, np.array([str(each) for each in targets]), kind, (), remarks)


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        sample = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} is no JSON: {error}") from None
    if not isinstance(sample, dict) or "x" not in sample:
        raise DataError(f'{where}: {line.strip()[:40]!r}; expected an object {{"x": [...], "y": ...}}')
    return sample


def _values(x: Any, where: str) -> Array:
    steps = x if isinstance(x, list) else []
    rows = [step if isinstance(step, list) else [step] for step in steps]
    if not rows or len({len(row) for row in rows}) != 1 or not rows[0]:
        raise DataError(f"{where}: x is no list of steps that all have the same channels")
    for number, row in enumerate(rows, 1):
        wrong = next((each for each in row if each is not None and type(each) not in (int, float)), None)
        if wrong is not None:
            raise DataError(f"{where}: x holds {str(wrong)[:40]!r} at step {number}; expected numbers, or null")
    try:
        return np.array(rows, np.float64)  # None becomes NaN
    except OverflowError:
        raise DataError(f"{where}: x holds a number that is too large for float64") from None


def _target(value: Any, name: str, where: str) -> Any:
    if value is not None and type(value) not in (str, int, float):
        raise DataError(f"{where}: {name!r} is {str(value)[:40]!r}; expected a class or a number")
    if isinstance(value, float) and not np.isfinite(value):
        raise DataError(f"{where}: {name!r} is {value}; expected a class or a number")
    return value
