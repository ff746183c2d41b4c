"""Runs that are killed: at any operation on files, and at any time."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import TEXT, Run, started
from .test_resume import same

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills as POSIX does")

KILLED, REPLACED = (Path(__file__).parent / name for name in ("killed.py", "replaced.py"))
WORDS = (
    "--cell",
    "lstm:hidden=24",
    "--batch",
    4,
    "--steps",
    16,
    "--epochs",
    12,
    "--save-every",
    1,
    "--evaluate-every",
    9,
)
WORDS += ("--keep", 1, "--accumulate", 2, "--quiet", "--sample", 0, "--kernels", "numpy")


def try_operations(tmp_path: Path, first: int, step: int, program: Path = KILLED) -> list[int]:
    text = tmp_path / "text.txt"
    text.write_text(TEXT[:200])
    command = [sys.executable, program, text, tmp_path, str(first), str(step)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return [int(number) for number in done.stdout.split()]


def test_a_run_that_is_killed_between_two_operations_on_files_goes_on_bit_for_bit(tmp_path: Path) -> None:
    operations, tried, anew = try_operations(tmp_path, 3, 7)
    assert tried >= operations // 7 - 1
    assert 0 < anew < 9  # killed before there was a checkpoint


@pytest.mark.slow
def test_a_run_that_is_killed_between_any_two_operations_on_files_goes_on_bit_for_bit(tmp_path: Path) -> None:
    operations, tried, _ = try_operations(tmp_path, 1, 1)
    assert tried == operations - 1 > 100


def test_a_run_is_replaced_as_a_whole_or_not_at_all_whatever_operation_a_kill_comes_before(tmp_path: Path) -> None:
    operations, kept, begun = try_operations(tmp_path, 1, 1, REPLACED)
    assert kept + begun == operations > 40
    assert kept > 15
    assert begun > 5


@pytest.fixture
def whole(tmp_path: Path, run: Run, text: Path) -> tuple[Path, float]:
    """An uninterrupted run, and the seconds that it takes as a process of its own."""
    begun = time.monotonic()
    process = started("train", "--data", text, *WORDS, "--out", tmp_path / "whole")
    assert process.communicate(timeout=300)[1] == ""
    return tmp_path / "whole", time.monotonic() - begun


def kill_at(moments: list[float], whole: tuple[Path, float], text: Path, tmp_path: Path, run: Run) -> None:
    in_the_middle = 0
    for number, moment in enumerate(moments):
        folder = tmp_path / f"run{number}"
        process = started("train", "--data", text, *WORDS, "--out", folder)
        time.sleep(moment * whole[1])
        process.send_signal(signal.SIGKILL)
        process.communicate()
        torn = list(folder.rglob("*.new"))
        outcome = run("train", "--resume", folder, "--quiet", "--sample", 0)
        if outcome.code == 1 and not list(folder.rglob("0*.safetensors")):  # killed before there was a checkpoint
            outcome = run("train", "--data", text, *WORDS, "--out", folder, "--force")
        elif outcome.code == 0:
            in_the_middle += 1
        assert outcome.code == 0 or "has finished its " in outcome.err, outcome.err
        assert same(folder, whole[0]), (number, moment, torn)
        shutil.rmtree(folder)
    assert in_the_middle >= len(moments) / 4


def test_runs_that_are_killed_at_any_time_end_as_if_they_had_not_been(
    tmp_path: Path, run: Run, text: Path, whole: tuple[Path, float]
) -> None:
    draw = random.Random(1)
    kill_at([draw.uniform(0.4, 0.95) for _ in range(3)], whole, text, tmp_path, run)


@pytest.mark.slow
def test_thirty_runs_that_are_killed_at_any_time_end_as_if_they_had_not_been(
    tmp_path: Path, run: Run, text: Path, whole: tuple[Path, float]
) -> None:
    draw = random.Random(2)
    kill_at([draw.uniform(0.2, 1.0) for _ in range(30)], whole, text, tmp_path, run)
