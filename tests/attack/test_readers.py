"""What reads texts and files of others: inputs that once ended in a traceback, and a small part of the campaign."""

import random
from pathlib import Path

import pytest

from attack.guided import changed
from attack.readers import READERS, attempt, seeds
from rnnframe.errors import DataError
from rnnframe_tasks.columns import Asked
from rnnframe_tasks.roles import find_roles
from rnnframe_tasks.tables import Reading, read_table

DIGITS = "9" * 5000
"""Python reads no whole number of so many digits."""
ONCE = [
    ("ts", b"@\n@classLabel false\n@data\n1,2\n"),
    ("ts", f"@dimension {DIGITS}\n@classLabel false\n@data\n1,2\n".encode()),
    ("table", f"column={DIGITS}".encode()),
    ("table", f"id={DIGITS}".encode()),
    ("spec", b"\0" + b"bidirectional(" * 900 + b"lstm:hidden=3" + b")" * 900),
]


@pytest.mark.parametrize(("reader", "given"), ONCE, ids=range(len(ONCE)))
def test_what_once_ended_in_a_traceback_is_one_line(reader: str, given: bytes, tmp_path: Path) -> None:
    assert attempt(reader, given, tmp_path) is None


@pytest.mark.parametrize("text", [f"{DIGITS},{DIGITS}\n1,2\n3,4\n", f"{DIGITS} {DIGITS}\n" * 5, f"1,{DIGITS}\n1,2\n"])
def test_a_table_with_numbers_of_thousands_of_digits_is_read_or_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(text)
    try:
        find_roles(read_table(str(tmp_path / "table.csv"), Reading()), Asked())
    except DataError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


@pytest.mark.parametrize("reader", READERS)
def test_changed_texts_and_files_are_read_or_refused_on_one_line(
    reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rng, begin = random.Random(reader), seeds(reader)
    if not begin:
        pytest.skip(f"without a package that reader {reader} needs")
    given = [*begin, *(changed(rng.choice(begin), rng, begin) for _ in range(60))]
    assert [fault for each in given if (fault := attempt(reader, each, tmp_path))] == []
