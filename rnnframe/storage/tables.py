"""Columns as a file: CSV, row by row as they arrive, or NPZ, one array per column."""

import csv
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from rnnframe.arrays import Array
from rnnframe.errors import DataError, OptionError
from rnnframe.storage.durable import check_replaceable, is_same_file

SUFFIXES = (".csv", ".npz")
"""What is written, by the end of the file's name."""


def check_suffix(path: str) -> None:
    """Raise `OptionError` if the file name does not end in a known format."""
    if not path.strip():
        raise OptionError(f"--out {path!r} names no file; give one that ends in {' or '.join(SUFFIXES)}")
    if Path(path).suffix.lower() not in SUFFIXES:
        raise OptionError(f"cannot tell how to write {path!r}; end its name in {' or '.join(SUFFIXES)}")


def check_apart(out: str, data: str) -> None:
    """Raise `OptionError` if writing `out` would replace `data`: the same file by path, by a link or by a hard link."""
    if is_same_file(out, data):
        raise OptionError(f"--out {out!r} is the file of --data {data!r}, which it would replace; give another file")


def write_table(path: str, pieces: Iterable[Mapping[str, Array]]) -> int:
    """Write columns that arrive in pieces; an existing file is replaced when the new one is complete.

    Parameters
    ----------
    path
        A file name that ends in .csv or .npz.
    pieces
        Name -> column [rows]; all pieces have the same names.

    Returns
    -------
    int
        The number of rows.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    check_suffix(path)
    target = Path(path)
    beside = target.with_name(target.name + ".new")
    write = _write_csv if target.suffix.lower() == ".csv" else _write_npz
    try:
        check_replaceable(target)
        beside.unlink(missing_ok=True)  # of a process that was killed
        try:
            rows = write(beside, pieces)
            os.replace(beside, target)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {path!r}: {error.strerror or error}") from None
    return rows


def _write_csv(path: Path, pieces: Iterable[Mapping[str, Array]]) -> int:
    rows = 0
    with open(path, "x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        for number, columns in enumerate(pieces):
            if number == 0:
                writer.writerow(columns)
            texts = [column.astype(str).tolist() for column in columns.values()]  # the fewest digits that read back
            writer.writerows(zip(*texts, strict=True))
            rows += len(texts[0])
    return rows


def _write_npz(path: Path, pieces: Iterable[Mapping[str, Array]]) -> int:
    gathered = list(pieces)
    names = list(gathered[0]) if gathered else []
    rows = 0
    # numpy.savez takes the names as keywords, and uses some keywords itself
    with open(path, "xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            column = np.concatenate([piece[name] for piece in gathered])
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, column, allow_pickle=False)
            rows = len(column)
    return rows
