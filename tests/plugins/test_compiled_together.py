"""Compiling less, and by two processes: rare kernels, the helper, and files that several processes write at once."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from pathlib import Path

import pytest

pytest.importorskip("numba")
place = pytest.importorskip("rnnframe_compiled.place", reason="numba is not installed")

with place.kept():
    from rnnframe_compiled import second_process

WRITING = """
import sys
from rnnframe_compiled.cache_files import CheckedFiles
files = CheckedFiles(sys.argv[1], "function", "stamp")
mine, found = sys.argv[2], 0
for turn in range(400):
    key = (mine, turn % 7)
    files.save(key, [key] * 200)
    for name in "ab":
        other = files.load((name, turn % 7))
        assert other is None or other == [(name, turn % 7)] * 200, other
        found += other is not None and name != mine
    assert files.load(key) is not None
print(found)
"""
ECHO = """
import struct, sys
read = sys.stdin.buffer.read
while size := read(8):
    read(*struct.unpack("<Q", size))
    print("done", flush=True)
"""
DEAF = "import time; time.sleep(600)"
BROKEN = "raise SystemExit(1)"


def test_processes_that_write_code_at_once_lose_none_and_read_none_of_each_other(tmp_path: Path) -> None:
    words = [sys.executable, "-c", WRITING, str(tmp_path)]
    running = [subprocess.Popen([*words, name], stdout=subprocess.PIPE, text=True) for name in "ab"]
    told = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum(map(int, told)) > 0  # they have met


class Popen(subprocess.Popen):
    """Remembers what was started."""

    started: list["subprocess.Popen[bytes]"]

    def __init__(self, *words, **options) -> None:
        super().__init__(*words, **options)
        self.started.append(self)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list["subprocess.Popen[bytes]"]:
    """The processes that helpers are, on a machine with a free core."""
    monkeypatch.setattr(Popen, "started", [], raising=False)
    monkeypatch.setattr(subprocess, "Popen", Popen)
    monkeypatch.setattr(second_process, "has_free_core", lambda: True)
    return Popen.started


def done_by_us(folder: Path, count: int = 4, seconds: float = 0.3, lasts: bool = True) -> list[int]:
    """Return which of some tasks are left for us where each takes a while."""
    tasks, done = deque(range(count)), []
    with second_process.helped(place.Place(folder, lasts), tasks):
        while tasks:
            done.append(tasks.popleft())
            time.sleep(seconds)
    return done


def test_a_helper_takes_tasks_from_the_end(started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(second_process, "_PROGRAM", ECHO)
    done = done_by_us(tmp_path, 40)
    assert done == list(range(len(done)))
    assert len(done) < 40
    assert len(started) == 1
    assert all(process.returncode is not None for process in started)


@pytest.mark.parametrize("program", [DEAF, BROKEN])
def test_a_helper_that_fails_or_is_slow_is_ended_and_its_task_is_told_to_nobody(
    started, program: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(second_process, "_PROGRAM", program)
    monkeypatch.setattr(second_process, "_PATIENCE", 0.1)
    begun = time.perf_counter()
    assert done_by_us(tmp_path) == [0, 1, 2]  # the last one was handed over, and is compiled when all else is
    assert time.perf_counter() - begun < 10
    assert started[0].returncode is not None


def test_there_is_no_helper_for_one_task_without_a_free_core_or_where_nothing_is_kept(
    started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(second_process, "_PROGRAM", ECHO)
    assert done_by_us(tmp_path, 1) == [0]
    assert done_by_us(tmp_path, 2, lasts=False) == [0, 1]
    monkeypatch.setattr(second_process, "has_free_core", lambda: False)
    assert done_by_us(tmp_path, 2) == [0, 1]
    assert not started


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="sets what such a system tells")
@pytest.mark.parametrize(("cores", "load", "free"), [(1, 0.0, False), (2, 0.3, True), (2, 2.1, False), (8, 2.1, True)])
def test_a_core_is_free_where_a_machine_is_not_all_at_work(
    cores: int, load: float, free: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 9.0, 9.0))
    assert second_process.has_free_core() is free


def test_of_processes_that_begin_together_one_has_a_helper(
    started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(second_process, "_PROGRAM", ECHO)
    with second_process.helped(place.Place(tmp_path, lasts=True), deque([1, 2])):
        assert done_by_us(tmp_path) == [0, 1, 2, 3]
    assert len(started) == 1


def test_an_error_or_an_interrupt_ends_the_helper_at_once(
    started, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(second_process, "_PROGRAM", DEAF)
    for error in (KeyboardInterrupt, RuntimeError):
        begun = time.perf_counter()
        with pytest.raises(error), second_process.helped(place.Place(tmp_path, lasts=True), deque([1, 2])):
            raise error
        assert time.perf_counter() - begun < 2
    assert [process.poll() is not None for process in started] == [True, True]


TRAIN = ("--batch", "4", "--steps", "8", "--no-out", "--stop-after", "1", "--sample", "0")
FIRST = """
import subprocess, sys
from rnnframe_compiled import second_process
second_process.has_free_core = lambda: True
start = subprocess.Popen
def told(*words, **options):
    process = start(*words, **options)
    print(process.pid, file=sys.stderr, flush=True)
    return process
subprocess.Popen = told
from rnnframe.__main__ import main
main()
"""


def first_start(text: Path, cache: Path, *options: str) -> "subprocess.Popen[str]":
    """Begin a training whose kernels are to be compiled; the helper's number is told on stderr."""
    words = [sys.executable, "-c", FIRST, "train", "--data", str(text), "--kernels", "compiled", *TRAIN, *options]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A small text."""
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog. " * 20)
    return path


def is_there(number: int) -> bool:
    """Tell whether a process still runs; a zombie, which has ended and waits for its parent to collect it, does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_helper_ends_with_a_training_that_is_stopped_while_it_compiles(
    ending: int, text: Path, tmp_path: Path
) -> None:
    with first_start(text, tmp_path / "cache", "--layers", "elman:hidden=4") as process:
        assert process.stderr is not None
        lines = [process.stderr.readline() for _ in range(2)]
        assert lines[0] == "rnnframe: compiling elman, heads for float32, once on this machine ...\n"
        assert is_there(int(lines[1]))
        time.sleep(0.5)
        process.send_signal(ending)
        rest = process.stderr.read()
    assert process.returncode == (130 if ending == signal.SIGINT else -ending)
    assert rest.strip("\n") in ("", "rnnframe: error: stopped")  # click ends the line of ^C
    deadline = time.monotonic() + 20
    while is_there(int(lines[1])) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_there(int(lines[1]))


def test_a_first_training_compiles_what_it_runs_and_later_ones_what_else_they_run(text: Path, tmp_path: Path) -> None:
    cache, two = tmp_path / "cache", ("--layers", "lstm:hidden=4 lstm:hidden=4", "--store", "states")

    def told(*options: str) -> list[str]:
        process = first_start(text, cache, *options)
        _, lines = process.communicate(timeout=300)
        assert process.returncode == 0, lines
        return [line.partition(" for ")[0] for line in lines.splitlines() if "compiling" in line]

    def names() -> set[str]:
        return {path.name.partition("-")[0] for path in cache.rglob("*.nbc")}

    kernels = {"lstm.forward", "lstm.backward", "packing.pack", "packing.pack_transposed"}
    head = {"heads.readout", "heads.reverse", "packing.pack_columns", "softmax.cross_entropy"}
    shared = {"products.product", "gradients.gradient_products"}
    rare = {"gradients.input_gradient", "lstm.rebuild", "lstm.activate"}
    assert told("--layers", "lstm:hidden=4") == ["rnnframe: compiling lstm, heads"]
    assert names() == kernels | head | shared
    assert told("--layers", "lstm:hidden=4") == []
    what = ["what a tape leaves out", "gates that a tape leaves out", "gradients of inputs"]
    assert sorted(told(*two)) == sorted(f"rnnframe: compiling {each}" for each in what)
    assert names() == kernels | head | shared | rare
    assert told(*two) == []
