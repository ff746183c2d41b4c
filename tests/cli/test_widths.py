"""What the commands print on a terminal of 80 columns: no line is longer, and no column is lost."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import SMALL, TEXT

pty = pytest.importorskip("pty", reason="there are no pseudo-terminals on this system")
COLUMNS = 80
COMMANDS = [
    "compare --steps 100 --batch 4 --cell gru:hidden=16",
    "plan --steps 10000 --cell gru:hidden=16 --budget 600KiB",
    "explain lstm",
    "explain gru:hidden=64,reset=before --steps 100000 --batch 128",
    "plugins",
    "show",
    "show lstm",
    "show forecast",
    "show checkpoint",
    "report text",
    "report text classes",
    "evaluate text",
    "evaluate classes",
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train two small models: one of characters, one that puts sequences into classes with long names."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "text.txt").write_text(TEXT)
    names = ("rising-and-falling", "only-rising", "only-falling", "neither-of-them")
    made = ({"x": [n % 7 - t * (n % 4) for t in range(6)], "y": names[n % 4]} for n in range(80))
    (folder / "classes.jsonl").write_text("".join(json.dumps(sequence) + "\n" for sequence in made))
    for words in (
        ("--data", "text.txt", *SMALL, "--out", "text"),
        (
            "--task",
            "classify",
            "--data",
            "classes.jsonl",
            "--cell",
            "gru:hidden=4",
            "--epochs",
            "1",
            "--quiet",
            "--out",
            "classes",
        ),
    ):
        subprocess.run([sys.executable, "-m", "rnnframe", "train", *words], cwd=folder, check=True)
    return folder


def typed(words: list[str], folder: Path) -> str:
    """Type a command at a terminal of 80 columns and return what it shows."""
    main, terminal = pty.openpty()
    environment = os.environ | {"COLUMNS": str(COLUMNS)}
    with subprocess.Popen(
        [sys.executable, "-m", "rnnframe", *words], cwd=folder, env=environment, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                piece = os.read(main, 65536)
            except OSError:  # Linux says so where the other end is closed
                break
            if not piece:
                break
            shown += piece
    os.close(main)
    text = shown.decode().replace("\r\n", "\n")
    assert process.returncode == 0, text
    return text


@pytest.mark.parametrize("command", COMMANDS)
def test_no_line_is_longer_than_the_terminal_is_wide(work: Path, command: str) -> None:
    longest = max(typed(shlex.split(command), work).splitlines(), key=len)
    assert len(longest) <= COLUMNS, longest


def test_a_table_that_is_too_wide_goes_on_below_with_its_first_column(work: Path) -> None:
    text = typed(shlex.split(COMMANDS[0]), work)
    above, below = text.split("\n\n")[:2]
    for column in ("predicted", "held", "above idle", "time", "forward/T"):
        assert all(word in above for word in column.split())
    assert below.splitlines()[0].split() == ["store", "gradient,", "beside", "full", "history"]
    assert [line.split()[0] for line in below.splitlines()[1:3]] == ["full-history", "checkpoint"]
