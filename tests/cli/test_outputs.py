"""Files that a user names as output: there whole or not at all, and what was there stays if they cannot be written."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import rnnframe as rf
from rnnframe.errors import RunError

from .conftest import Run

resource = pytest.importorskip("resource", reason="limits are set as Unix has them")


@contextmanager
def quota() -> Iterator[None]:
    """Let no file grow beyond 64 bytes meanwhile, as where a quota is used up: not that of the tests' own output."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


OUTPUTS = {
    "play": ("play", "--steps", 3, "--store", "states", "--out", "OUT.html"),
    "export": ("export", "RUN", "OUT.onnx"),
    "predict csv": ("predict", "RUN", "--data", "TEXT", "--out", "OUT.csv"),
    "predict npz": ("predict", "RUN", "--data", "TEXT", "--out", "OUT.npz"),
    "report": ("report", "RUN", "--page", "OUT.html"),
    "picture": ("plan", "--inputs", 2, "--batch", 2, "--steps", 9, "--cell", "gru:hidden=4", "--plot", "OUT.png"),
}
NEEDS = {"export": "onnx", "report": "plotly", "picture": "matplotlib"}


@pytest.fixture
def trained(train: Run, tmp_path: Path) -> Path:
    assert train("--out", tmp_path / "run", "--epochs", 1).code == 0
    return tmp_path / "run"


def typed(name: str, trained: Path, text: Path, folder: Path) -> tuple[list[object], Path]:
    """Return the words of a command, and the file that it writes."""
    pytest.importorskip(NEEDS.get(name, "rnnframe"))
    folder.mkdir()
    words = [{"RUN": trained, "TEXT": text}.get(str(word), word) for word in OUTPUTS[name]]
    out = folder / Path(str(words[-1])).name
    return [*words[:-1], out], out


@pytest.mark.parametrize("name", OUTPUTS)
def test_where_an_output_cannot_be_written_the_old_one_stays_whole(
    run: Run, trained: Path, text: Path, tmp_path: Path, name: str
) -> None:
    words, out = typed(name, trained, text, tmp_path / "outputs")
    out.write_text("old")
    with quota():
        outcome = run(*words)
    assert outcome.code in (1, 2)
    assert outcome.err.count("\n") == 1, outcome.err
    assert "RNNFRAME_TRACEBACK" not in outcome.err
    assert (out.read_text(), os.listdir(out.parent)) == ("old", [out.name])


@pytest.mark.parametrize("name", ["play", "export"])
def test_an_output_is_never_written_through_a_link(
    run: Run, trained: Path, text: Path, tmp_path: Path, name: str
) -> None:
    words, out = typed(name, trained, text, tmp_path / "outputs")
    (tmp_path / "letter").write_text("dear")
    out.symlink_to(tmp_path / "letter")
    assert run(*words).code == 0
    assert (tmp_path / "letter").read_text() == "dear"
    assert not out.is_symlink()


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    out = tmp_path / "null"
    try:
        os.mknod(out, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except OSError:
        os.mkfifo(out)
    before = out.lstat()
    with pytest.raises(RunError, match="it is no file, and is not replaced"):
        rf.Network(["elman:hidden=2"], "mse", 2).save(out)
    assert out.lstat() == before
    assert os.listdir(tmp_path) == ["null"]


@pytest.mark.parametrize("name", ["predict csv", "picture"])
def test_a_pipe_is_not_replaced_by_a_file(run: Run, trained: Path, text: Path, tmp_path: Path, name: str) -> None:
    words, out = typed(name, trained, text, tmp_path / "outputs")
    os.mkfifo(out)
    outcome = run(*words)
    assert outcome.code
    assert outcome.err.endswith("it is no file, and is not replaced\n")
    assert out.is_fifo()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_an_error_that_cannot_be_told_still_ends_with_its_code() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "rnnframe", "nothing"], stderr=full, check=False)
    assert done.returncode == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [("show", "cells"), ("--help",)])
def test_an_output_that_is_full_is_told_on_one_line(words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "rnnframe", *words]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "rnnframe: error: cannot write the output: No space left on device; free some space, or print elsewhere\n"
    )
