"""Tables of the commands: whole lines for programs, as wide as the terminal for people."""

import sys

import pytest

from rnnframe.cli.output import human_seconds, print_remarks, print_table, print_text

ROWS = [
    ["circular-queue:k1=32,k2=128,weights=current", "32", "3.3 MiB", "1.00", "0.00427 s", "truncated"],
    ["states", "103", "4.6 MiB", "1.00", "0.00274 s", "exact"],
]
HEAD = ["store", "chunk", "bytes", "forward/T", "time", "gradient"]


def test_a_row_is_one_line_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(HEAD, ROWS)
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_no_name_in_a_table_or_remark_gives_a_terminal_orders(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "ozone\x1b]0;title\x07\n\x9b2J"
    print_table(["column", hostile], [[hostile, "1.5"]])
    print_remarks([f"{hostile} has gaps"], hostile)
    for printed in capsys.readouterr():
        assert all(line.isprintable() for line in printed.splitlines())
        assert r"ozone\x1b]0;title\x07 \x9b2J" in printed


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


def test_paragraphs_and_items_are_broken_at_the_width_of_the_terminal_and_formulas_are_not(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "A paragraph of\nseven words is here.\n\n- one item of words\n- two\n\n    a formula = that stays as it is"
    print_text(text)
    assert capsys.readouterr().out == text + "\n"
    monkeypatch.setenv("COLUMNS", "16")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_text(text)
    assert capsys.readouterr().out.splitlines() == [
        *("A paragraph of", "seven words is", "here.", ""),
        *("- one item of", "  words", "- two", ""),
        "    a formula = that stays as it is",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 s"), (4.29e-5, "42.9 µs"), (0.00427, "4.27 ms"), (0.2, "0.2 s"), (12.34, "12.3 s"), (1250.4, "1,250 s")],
)
def test_a_time_is_written_in_the_unit_that_suits_it(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text
