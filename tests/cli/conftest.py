import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rnnframe.cli import main

TEXT = "".join(f"{n}: the quick brown fox jumps over the lazy dog {n * 7 % 13} times.\n" for n in range(60))
SMALL = ("--cell", "elman:hidden=8", "--batch", "4", "--steps", "16", "--epochs", "2", "--quiet", "--sample", "20")


@pytest.fixture(autouse=True)
def _nothing_is_said_of_kernels(everything_compiled: None, numpy_where_numba_is_missing: None) -> None:
    """No command says that it compiles, or that it could."""


class Outcome:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def __repr__(self) -> str:
        return f"exit code {self.code}\nstdout: {self.out}\nstderr: {self.err}"


def done(outcome: Outcome) -> Outcome:
    """Return what a command printed that must end well; else all of it is in the failure."""
    assert outcome.code == 0, outcome
    return outcome


Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _runs_are_kept_elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs without a name are kept under the current folder."""
    monkeypatch.chdir(tmp_path_factory.mktemp("work"))


@pytest.fixture(autouse=True)
def _lines_are_as_long_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some terminals and tools export their width, which progress lines keep to."""
    monkeypatch.delenv("COLUMNS", raising=False)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command in this process and return exit code, stdout and stderr."""

    def typed(*words: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["rnnframe", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        code = stop.value.code
        assert isinstance(code, int)
        return Outcome(code, captured.out, captured.err)

    return typed


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def train(run: Run, text: Path) -> Run:
    """Train a tiny model on a small text; further words override the small options."""
    return lambda *words: run("train", "--data", text, *SMALL, *words)


def started(*words: object) -> "subprocess.Popen[str]":
    """Start a command as a process of its own."""
    command = [sys.executable, "-m", "rnnframe", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
