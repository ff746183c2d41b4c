"""The table of faults in README.md names tests that there are."""

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_fault_has_tests_of_these_names() -> None:
    rows = [line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("|")][2:]
    assert len(rows) == 17
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row)
        assert named, row
        for file, name in named:
            assert f"\ndef {name}(" in (HERE.parent / file).read_text(), f"{file} has no {name}"
