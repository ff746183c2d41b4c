"""Damaged tables are read as pandas reads them, or refused on one line that is no traceback."""

import bz2
import gzip
import random
from pathlib import Path

import numpy as np
import pytest
from benchmarks.public_subjects import SUBJECTS
from wheels import NoWheelError, unpacked

from rnnframe.errors import RnnframeError
from rnnframe_tasks.columns import Asked
from rnnframe_tasks.panel import panel_of
from rnnframe_tasks.roles import find_roles
from rnnframe_tasks.tables import Reading, Table, read_table
from rnnframe_tasks.told import read_remarks

from .table_damage import damaged

pandas = pytest.importorskip("pandas", reason="tables are read with pandas")

OWN = (
    "date,price,note\n" + "".join(f"2020-01-{n:02},{n * n % 7}.25,day {n}\n" for n in range(1, 29)),
    "id;year;v;w\n" + "".join(f"{n % 3};{1990 + n // 3};{n % 5};\n" for n in range(30)),
    "1.5 2 -3e5\n" + "".join(f"{n}.25  {n % 4}   1e{n}\n" for n in range(20)),
    '"a, b",c\n' + "".join(f'"1,{n:03}",x\n' for n in range(20)),
)
MOST = 60_000
ONE_LINE = 1500


def check(path: Path, missing: str) -> bool:
    """Read a table and find its series; return whether it was read. Raises for everything that is wrong."""
    try:
        table = read_table(str(path), Reading())
    except RnnframeError as error:
        check_refusal(str(error))
        return False
    assert any(same(table, path, sep, header) for sep in (",", ";", "\t", "|", r"\s+") for header in (0, None))
    try:
        roles = find_roles(table, Asked())
        read_remarks(table, roles, panel_of(table, roles, 0, missing))
    except RnnframeError as error:
        check_refusal(str(error))
    return True


def check_refusal(said: str) -> None:
    assert "\n" not in said
    assert len(said) < ONE_LINE


def same(table: Table, path: Path, sep: str, header: int | None) -> bool:
    """Return whether pandas reads the same cells with this mark and header."""
    named = "row name" in table.columns
    try:
        frame = pandas.read_csv(path, sep=sep, header=header, skipinitialspace=True, index_col=None if named else False)
    except (ValueError, pandas.errors.ParserWarning):
        return False
    if named:
        frame = frame.reset_index()
    if frame.shape != (table.rows, len(table.columns)):
        return False
    for (_, series), column in zip(frame.items(), table.columns.values(), strict=True):
        texts = [None if gap else str(cell).strip() for cell, gap in zip(series, series.isna(), strict=True)]
        if column.kind == "O" and texts != list(column.values):
            return False
        if column.kind == "f":
            numbers = np.array(
                [np.nan if text is None else float(text.replace("True", "1").replace("False", "0")) for text in texts]
            )
            if not np.array_equal(numbers, column.values, equal_nan=True):
                return False
    return True


def test_damaged_tables_are_read_as_pandas_reads_them_or_refused_on_one_line(tmp_path: Path) -> None:
    rng, read = random.Random(0), 0
    for number in range(150):
        path = tmp_path / f"{number}.csv"
        path.write_bytes(damaged(rng.choice(OWN).encode(), rng))
        read += check(path, rng.choice(("refuse", "last")))
    assert 30 < read < 150


@pytest.mark.slow
def test_two_thousand_damaged_public_tables(tmp_path: Path) -> None:
    rng, read, raws = random.Random(1), 0, []
    for subject in SUBJECTS:
        try:
            path = unpacked(subject.wheel) / subject.folder / subject.file
        except NoWheelError as error:
            pytest.skip(str(error))
        raw = {".gz": gzip.decompress, ".bz2": bz2.decompress}.get(path.suffix, bytes)(path.read_bytes())
        raws.append(raw if len(raw) < MOST else raw[: raw.rindex(b"\n", 0, MOST) + 1])
    for number in range(2000):
        path = tmp_path / f"{number}.csv"
        path.write_bytes(damaged(rng.choice(raws), rng))
        read += check(path, rng.choice(("refuse", "last")))
        path.unlink()
    assert 400 < read < 2000
