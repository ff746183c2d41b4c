"""Tables of numbers by column: CSV, NPZ, and Parquet where pyarrow is installed."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rnnframe.plugin import Array, DataError, PluginError
from rnnframe_tasks.files import read_bytes, read_lines, read_npz

Columns = Mapping[str, Array]
"""Columns [rows] by name: float64, NaN where a value is missing; or texts."""


def read_columns(path: str) -> Columns:
    """Return the columns of a file, in its order; raises `DataError`."""
    readers = {".csv": _read_csv, ".tsv": _read_csv, ".txt": _read_csv, ".npz": _read_npz, ".parquet": _read_parquet}
    reader = readers.get(Path(path).suffix.lower())
    if reader is None:
        raise DataError(f"cannot tell what data file {path!r} is; end its name in {', '.join(readers)}")
    columns = reader(path)
    if not columns or not len(next(iter(columns.values()))):
        raise DataError(f"data file {path!r} has no rows")
    return columns


def _read_csv(path: str) -> Columns:
    lines = read_lines(path)
    first = next((line for line in lines if line.strip()), "")
    mark = max(",;\t", key=first.count)
    try:
        rows = [row for row in csv.reader(lines, delimiter=mark) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise DataError(f"data file {path!r} is no CSV: {error}") from None
    if not rows:
        raise DataError(f"data file {path!r} has no rows")
    headed = not any(_number(cell) is not None and cell.strip() for cell in rows[0])
    names = [cell.strip() for cell in rows[0]] if headed else [str(n) for n in range(1, len(rows[0]) + 1)]
    body = rows[1:] if headed else rows
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"data file {path!r} has two columns {twice!r}; rename one")
    for number, row in enumerate(body, 1 + headed):
        if len(row) != len(names):
            raise DataError(f"data file {path!r}, row {number}: {len(row)} values; expected {len(names)}")
    return {name: _column([row[n] for row in body]) for n, name in enumerate(names)}


def _column(cells: list[str]) -> Array:
    """Return numbers where all cells are, else texts."""
    values = [_number(cell) for cell in cells]
    if all(value is not None for value in values):
        return np.array(values, np.float64)
    return np.array([cell.strip() for cell in cells])


def _number(cell: str) -> float | None:
    """Return the number in a cell, NaN for an empty one, None for a text."""
    text = cell.strip()
    if text.lower() in ("", "na", "nan", "null"):
        return np.nan
    try:
        return float(text)
    except ValueError:
        return None


def _read_npz(path: str) -> Columns:
    columns: dict[str, Array] = {}
    for name, array in read_npz(path).items():
        if array.dtype.kind in "fiub" and array.ndim == 2:
            columns |= {f"{name}{n}": array[:, n].astype(np.float64) for n in range(array.shape[1])}
        elif array.ndim == 1 and array.dtype.kind in "fiubUM":
            columns[name] = array.astype(np.float64) if array.dtype.kind in "fiub" else array.astype(str)
    if len({len(column) for column in columns.values()}) > 1:
        told = ", ".join(f"{name} {len(column)}" for name, column in columns.items())
        raise DataError(f"data file {path!r} has columns of different lengths: {told}")
    return columns


def _read_parquet(path: str) -> Columns:
    raw = read_bytes(path)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise PluginError("Parquet files are read with pyarrow: pip install 'rnnframe[parquet]'") from None
    try:
        table = parquet.read_table(io.BytesIO(raw))
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"data file {path!r} is damaged or no Parquet file: {error}") from None
    columns: dict[str, Array] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_boolean(kind):
            columns[name] = np.array([np.nan if value is None else float(value) for value in column.to_pylist()])
        else:
            columns[name] = np.array([str(value) for value in column.to_pylist()])
    return columns
