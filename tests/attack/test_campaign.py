"""Kills, signals, interrupts, inputs, hostile plugins, budgets and more, each many times; every test prints its counts.

The programs behind kills and interrupts of trainings are those of the gate, which runs a few of each.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="forks, kills and reads /proc as Linux has them"),
]

TESTS = Path(__file__).parent.parent
LONGEST = 900  # seconds


def tried(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Run a program of the tests to its end, print what it printed, and return it."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=LONGEST)
    assert done.returncode == 0, done.stderr
    with capsys.disabled():
        print(f"\n{Path(str(words[0])).name}: {done.stdout.strip()[:300]}")
    return done.stdout


def test_configurations_at_random_keep_to_their_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(tried(capsys, TESTS / "attack" / "budgets.py", 1, 200, tmp_path, LONGEST - 200))
    assert found["failed"] == []
    assert found["tried"] > found["refused"] + found["late"]


@pytest.mark.parametrize("program", ["killed.py", "replaced.py"])
def test_a_kill_before_any_operation_on_files_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], program: str
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 5)
    assert int(tried(capsys, TESTS / "cli" / program, text, tmp_path, 1, 1).split()[0]) >= 40


@pytest.mark.parametrize("kernels", ["numpy", "compiled"])
@pytest.mark.parametrize("shards", [1, 2])
def test_interrupts_leave_an_engine_that_gives_equal_bits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], shards: int, kernels: str
) -> None:
    if kernels == "compiled":
        pytest.importorskip("numba")
    stores = ["full-history", "states", "auto:budget=1MiB", "circular-queue:k1=8,k2=16,weights=stored"]
    stores += ["checkpoint:slots=3", "checkpoint:slots=3,policy=online", f"checkpoint:medium=disk:path={tmp_path}"]
    counts = tried(capsys, TESTS / "interrupting.py", 11, 40, shards, kernels, *stores).split()
    assert sum(map(int, counts)) >= 125


def test_signals_once_and_twice_leave_runs_that_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(tried(capsys, TESTS / "attack" / "signals.py", tmp_path, 1, 40, 240))
    assert found["failed"] == []
    assert found["tried"] >= 20


def test_outputs_are_whole_or_not_there_whenever_a_command_is_killed_or_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnx")
    found = json.loads(tried(capsys, TESTS / "attack" / "written.py", tmp_path))
    assert [each["failed"] for each in found.values()] == [[], []]
    assert min(each["tried"] for each in found.values()) >= 15


def test_arrays_of_every_kind_are_taken_as_plain_ones_or_refused(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(tried(capsys, TESTS / "attack" / "inputs.py", 1, 5000, 120))
    assert found["failed"] == []
    assert found["tried"] >= 2000


def test_engines_are_copied_forked_called_together_and_dropped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(tried(capsys, TESTS / "attack" / "embedding.py", tmp_path, 1000))
    assert {name: each["failed"] for name, each in found.items() if each["failed"]} == {}
    assert found["engines"]["tried"] == 1000


def test_forty_hostile_plugins_are_told_on_one_line_and_harm_nobody_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(tried(capsys, TESTS / "attack" / "plugins.py", tmp_path))
    assert found["failures"] == []
    assert found["tried"] >= 40
