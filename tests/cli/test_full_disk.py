"""A disk that is full, in earnest: a file system of a few kilobytes."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run, started
from .test_resume import same

WORDS = ("--cell", "elman:hidden=8", "--batch", 4, "--steps", 16, "--epochs", 2, "--save-every", 5, "--keep", 99)
WORDS += ("--quiet", "--sample", 0, "--kernels", "numpy", "--optimizer", "adam:lr=1e-2")


def on_a_disk_of(size: str, place: Path, *script: object) -> "subprocess.CompletedProcess[str]":
    """Run a shell script with a file system of that size at `place`, which it alone sees."""
    words = " ".join(map(str, script))
    mounted = f"mount -t tmpfs -o size={size} none {place} && {words}"
    return subprocess.run(["unshare", "-rm", "sh", "-c", mounted], capture_output=True, text=True, check=False)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("unshare") is None or on_a_disk_of("64k", place, "true").returncode:
        pytest.skip("needs a file system of its own (unshare and mount)")
    return place


@pytest.mark.parametrize("size", ["56k", "84k", "104k"])
def test_a_run_whose_disk_is_full_says_so_and_loses_nothing_that_was_there(
    disk: Path, text: Path, run: Run, tmp_path: Path, size: str
) -> None:
    command = (sys.executable, "-m", "rnnframe", "train", "--data", text, *WORDS, "--out", disk / "run")
    keep = f"; code=$?; cp -r {disk / 'run'} {tmp_path / 'run'}; exit $code"
    full = on_a_disk_of(size, disk, *command, keep)
    assert full.returncode == 1, full.stderr
    assert "No space left on device" in full.stderr
    assert full.stderr.startswith("rnnframe: error: cannot write ")
    assert full.stderr.count("\n") == 1
    assert not list((tmp_path / "run").rglob("*.new"))
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) >= 1
    assert run("evaluate", tmp_path / "run").code == 0
    assert run("train", "--resume", tmp_path / "run", "--quiet", "--sample", 0).code == 0
    assert run("train", "--data", text, *WORDS, "--out", tmp_path / "whole").code == 0
    assert same(tmp_path / "run", tmp_path / "whole")


def test_a_disk_that_is_full_of_events_ends_them_and_not_the_training(disk: Path, text: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason='the writer is an extra: pip install "rnnframe[tensorboard]"')
    observer = f"tensorboard:path={disk / 'events'}"
    words = ("--data", text, *WORDS, "--out", tmp_path / "run", "--observer", observer)
    full = on_a_disk_of("8k", disk, sys.executable, "-m", "rnnframe", "train", *words)
    assert full.returncode == 0, full.stderr
    assert full.stderr.endswith(
        " is left out of the rest of this training: OSError: [Errno 28] No space left on device\n"
    )
    assert full.stderr.count("\n") == 1


def test_a_second_process_on_a_run_folder_is_refused(text: Path, run: Run, tmp_path: Path) -> None:
    words = ("train", "--data", text, *WORDS, "--epochs", 100_000, "--keep", 1, "--out", tmp_path / "run")
    first = started(*words)
    try:
        while not list((tmp_path / "run" / "checkpoints").glob("*.safetensors")) and first.poll() is None:
            pass
        in_use = f"is in use by process {first.pid}; wait until it ends, or take another folder"
        for second in (("train", "--resume", tmp_path / "run"), (*words, "--force")):
            refused = run(*second)
            assert refused.code == 1
            assert in_use in refused.err
        assert run("evaluate", tmp_path / "run").code == 0
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()
    assert run("train", "--resume", tmp_path / "run", "--quiet", "--stop-after", 1).code == 0
