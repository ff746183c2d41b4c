"""The progress line takes one row, on a terminal of 80 columns and elsewhere."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rnnframe_progress.fitting import Part, fitted

from .conftest import Run

WORDS = ("--cell", "gru:hidden=8", "--batch", "4", "--epochs", "3", "--sample", "0", "--no-out", "--kernels", "numpy")
NEEDED = (r"loss \d", r"valid \d", r"\d steps/s", r"\d:\d\d left")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_a_terminal(columns: int, *words: object) -> list[str]:
    """Return the rows that a command writes to a terminal of so many columns."""
    pty, fcntl, termios = (pytest.importorskip(name) for name in ("pty", "fcntl", "termios"))
    master, slave = pty.openpty()
    fcntl.ioctl(
        slave, termios.TIOCSWINSZ, (24).to_bytes(2, sys.byteorder) + columns.to_bytes(2, sys.byteorder) + b"\0" * 4
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
    command = [sys.executable, "-m", "rnnframe", *map(str, words)]
    ends = {"stdin": slave, "stdout": slave, "stderr": slave}
    child = subprocess.Popen(command, env={**environment, "TERM": "xterm"}, **ends)
    os.close(slave)
    written = b""
    with contextlib.suppress(OSError):  # the terminal is closed with the process
        while piece := os.read(master, 4096):
            written += piece
    assert child.wait() == 0
    os.close(master)
    return [row for row in re.split(r"[\r\n]+", CONTROL.sub("", written.decode())) if row.strip()]


@pytest.mark.parametrize("task", ["characters", "copy:delay=20,samples=4000"])
def test_a_live_line_takes_one_row_of_80_columns(text: Path, task: str) -> None:
    data = ("--data", text) if task == "characters" else ()
    rows = on_a_terminal(80, "train", "--task", task, *data, *WORDS)
    shown = rows[: next(n for n, row in enumerate(rows) if row.startswith("held-out part"))]
    assert all(row.startswith("epoch ") for row in shown)
    assert 0 < max(map(len, shown)) < 80
    for row in shown:
        if "epoch 1" not in row:
            for part in NEEDED:
                assert re.search(part, row), row


def test_a_wide_terminal_shows_all(text: Path) -> None:
    rows = on_a_terminal(160, "train", "--data", text, *WORDS)
    assert max(map(len, rows)) < 160
    (last,) = {row for row in rows if row.startswith("epoch 3/3")}
    for part in (*NEEDED, "nats/char", "store ", "kernels numpy"):
        assert re.search(part, last)


@pytest.mark.parametrize("task", ["characters", "forecast:horizon=2"])
def test_plain_lines_are_as_wide_as_columns_says(run: Run, text: Path, monkeypatch, tmp_path: Path, task: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "series.csv").write_text("v\n" + "\n".join(str(n % 7 + n / 50) for n in range(300)))
    data = text if task == "characters" else tmp_path / "series.csv"
    lines = run("train", "--task", task, "--data", data, *WORDS).err.splitlines()
    lines = [line for line in lines if "remark" not in line]
    assert len(lines) == 3
    for line in lines:
        assert len(line) <= 80
        for part in NEEDED:
            assert re.search(part, line), line


PARTS = [Part("a" * 10), Part("b" * 10, rank=1, shorter="b"), Part("c" * 10, rank=2)]


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (None, "aaaaaaaaaa  bbbbbbbbbb  cccccccccc"),
        (34, "aaaaaaaaaa  bbbbbbbbbb  cccccccccc"),
        (33, "aaaaaaaaaa  bbbbbbbbbb"),
        (21, "aaaaaaaaaa  b"),
        (12, "aaaaaaaaaa  "),
        (4, "aaaa"),
    ],
)
def test_what_matters_least_is_left_out_first(width, expected):
    assert fitted(PARTS, width) == expected
