"""Run as a program: train again and again, each time killed (-9) before another of its operations on files.

Every run is a process of its own, forked from this one, which has imported all that there is to import.

    python killed.py TEXT FOLDER FIRST STEP

prints one line: how many operations a whole run has, how many were tried, and how many began anew for want of a first
checkpoint; it fails where a run that was killed and resumed differs from the whole one in one bit.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import safetensors.numpy

from rnnframe.cli import main, with_commands
from rnnframe.registry.registry import installed_registry
from rnnframe.runs.folder import RunFolder

FORKED_WITH = (safetensors.numpy, with_commands(), installed_registry().names("task"))  # imported once, not by each

WORDS = (
    "--cell elman:hidden=3 --batch 2 --steps 8 --epochs 2 --save-every 2 --quiet --sample 0 --kernels numpy --shards 1"
)
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.truncate")


def train(words: list[str], before: Callable[[], None] | None = None) -> int:
    """Train in a process of its own, which calls `before` before every operation on files; return how it ended."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)
    if before is not None:
        watch(before)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    sys.argv = ["rnnframe", "train", *words]
    try:
        main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    os._exit(99)


def watch(before: Callable[[], None], place: str = "") -> None:
    """Call `before` before every operation on files whose path begins with `place`, and before every flush."""

    def event(name: str, arguments: tuple[Any, ...]) -> None:
        writes = name in CHANGES or (name == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and str(arguments[0]).startswith(place):
            before()

    flush = os.fsync

    def fsync(descriptor: int) -> None:
        before()
        flush(descriptor)

    sys.addaudithook(event)
    os.fsync = fsync


class Countdown:
    """Kills its process at the call number `left`."""

    signal = signal.SIGKILL

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.signal)


def content(run: Path) -> tuple[Any, ...]:
    checkpoint = RunFolder.open(run).load()
    arrays = {group: {name: a.tobytes() for name, a in arrays.items()} for group, arrays in checkpoint.groups.items()}
    progress = {key: value for key, value in checkpoint.progress.items() if key != "metrics_size"}
    kinds = [line[:60] for line in (run / "metrics.jsonl").read_text().splitlines()]
    return checkpoint.number, checkpoint.best, arrays, progress, kinds, (run / "weights.safetensors").read_bytes()


def try_all(text: Path, folder: Path, first: int, step: int) -> None:
    whole, run = folder / "whole", folder / "run"
    words = ["--data", str(text), *WORDS.split(), "--out"]
    assert train([*words, str(whole)]) == 0
    expected = content(whole)
    number, tried, anew, ended = first, 0, 0, False
    while not ended:
        shutil.rmtree(run, ignore_errors=True)
        code = train([*words, str(run)], Countdown(number))
        ended = code == 0
        assert ended or code == -signal.SIGKILL, code
        if not ended:
            tried += 1
            code = train(["--resume", str(run), "--quiet", "--sample", "0"])
            if code == 1 and not RunFolder(run).checkpoints.numbers():
                anew += 1
                code = train([*words, str(run), "--force"])
            finished = code == 2 and content(run)[0] == expected[0]  # killed when all was done but the unlocking
            assert code == 0 or finished, f"killed before operation {number}: resumed with {code}"
        assert content(run) == expected, f"killed before operation {number}"
        left_over = [path.name for path in run.rglob("*.new")]
        assert code == 2 or not left_over, left_over
        number += step
    print(f"{number - step} {tried} {anew}")


if __name__ == "__main__":
    try_all(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
