"""Tables of the commands: whole lines for programs, as wide as the terminal for people."""

import sys

import pytest

from rnnframe.cli.output import print_table

ROWS = [
    ["circular-queue:k1=32,k2=128,weights=current", "32", "3.3 MiB", "1.00", "0.00427 s", "truncated"],
    ["states", "103", "4.6 MiB", "1.00", "0.00274 s", "exact"],
]
HEAD = ["store", "chunk", "bytes", "forward/T", "time", "gradient"]


def test_a_row_is_one_line_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEAD, ROWS)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_table_fits_the_terminal_and_loses_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(HEAD, ROWS)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) == 4
    assert lines[1].split()[0] + lines[2].split()[0] == ROWS[0][0]
    assert "3.3 MiB" in lines[1]
