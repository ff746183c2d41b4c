"""Run as a program: runs under a quota, copied, moved, gone on with by two, with clocks that went back, and judged.

    python places.py FOLDER SEED COUNT SECONDS

A training that a quota ends says one line, and goes on to the bits of one that nothing ended; so does each copy of a
run. Of two processes that go on with one run, one is refused. A kill during `evaluate` or `backtest` changes no file.
Prints how many were tried, and what failed.
"""

import json
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "cli"))

from killed import WORDS

from rnnframe.cli import main, with_commands
from rnnframe.registry.registry import installed_registry

READY = (with_commands(), installed_registry().names("task"))  # imported once, not by each
SMALL = WORDS.split()
GO_ON = ["--quiet", "--sample", "0"]
LONGEST = 60
"""Seconds; what takes longer, hangs."""


def started(words: list[str], err: Path, before: Callable[[], object] | None = None) -> int:
    """Start a command in a process of its own, which calls `before` first; return its number once it is there."""
    there, tell = os.pipe()
    child = os.fork()
    if child:
        os.close(tell)
        os.read(there, 1)  # what is sent before would reach this program's own code in the child
        os.close(there)
        return child
    signal.alarm(LONGEST)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    if before is not None:
        before()
    sys.argv = ["rnnframe", *words]
    try:
        os.close(tell)
        main()
    except SystemExit as end:
        os._exit(int(end.code or 0))
    except BaseException:
        os._exit(98)
    os._exit(99)


def ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Places:
    """The whole run to compare with, and what is tried with others."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng, self.err = folder, random.Random(seed), folder / "err"
        self.text, self.table = folder / "text.txt", folder / "table.csv"
        self.text.write_text("the quick brown fox jumps over the lazy dog. " * 9)
        self.table.write_text("price\n" + "".join(f"{n * n % 7}.5\n" for n in range(200)))
        self.words = ["train", "--data", str(self.text), *SMALL, "--out"]
        forecast = ["train", "--task", "forecast:horizon=2", "--data", str(self.table), *SMALL, "--out"]
        for words, name in ((self.words, "whole"), (forecast, "forecast")):
            assert ended(started([*words, str(folder / name)], self.err)) == 0, self.err.read_text()
        self.expected = self.weights(folder / "whole")

    def weights(self, run: Path) -> bytes:
        return (run / "weights.safetensors").read_bytes()

    def stopped(self) -> Path:
        """Return a run that was stopped after some batches."""
        run = self.folder / "run"
        shutil.rmtree(run, ignore_errors=True)
        after = str(self.rng.randint(1, 20))
        assert ended(started([*self.words, str(run), "--stop-after", after], self.err)) == 0, self.err.read_text()
        return run

    def goes_on(self, run: Path, before: Callable[[], object] | None = None) -> str:
        """Go on with a run; return what is wrong with its end."""
        code = ended(started(["train", "--resume", str(run), *GO_ON], self.err, before))
        said = self.err.read_text()
        if code == 2 and "finished its 2 epochs" in said:
            code = 0
        if code == 1 and not list(run.rglob("0*.safetensors")):  # ended before its first checkpoint
            code = ended(started([*self.words, str(run), "--force"], self.err, before))
        if code or self.weights(run) != self.expected:
            return f"goes on with {code} {said[:300]!r}, to other bits: {code == 0}"
        return ""

    def quota(self) -> str:
        """Write under a limit of so many bytes a file, as a quota sets one."""
        run, most = self.folder / "run", self.rng.choice((0, 100, 400, 1000, 2000, 4000, 8000))
        shutil.rmtree(run, ignore_errors=True)
        code = ended(
            started([*self.words, str(run)], self.err, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
        )
        said = self.err.read_text()
        one_line = said.startswith("rnnframe: error: cannot ") and said.count("\n") == 1
        if most == 0:  # not even the line can be written to a file
            one_line = said == ""
        if code not in (0, 1) or (code and not one_line) or list(run.rglob("*.new")):
            return f"{most} bytes: {code} {said[:300]!r} {[str(each) for each in run.rglob('*.new')]}"
        if code and not (run / "config.toml").exists():
            shutil.rmtree(run, ignore_errors=True)
            code = ended(started([*self.words, str(run)], self.err))
        wrong = self.goes_on(run)
        return f"{most} bytes: {wrong}" if wrong else ""

    def copied(self) -> str:
        """Copy a run, move it, and go on with both."""
        run, copy, moved = self.stopped(), self.folder / "a copy", self.folder / "moved" / "far"
        for each in (copy, moved.parent):
            shutil.rmtree(each, ignore_errors=True)
        shutil.copytree(run, copy)
        moved.parent.mkdir()
        shutil.move(run, moved)
        return self.goes_on(copy) or self.goes_on(moved)

    def shared(self) -> str:
        """Go on with one run in two processes at once."""
        run = self.stopped()
        errs = [self.folder / f"err{n}" for n in (1, 2)]
        words = ["train", "--resume", str(run), *GO_ON]
        codes = [ended(child) for child in [started(words, err) for err in errs]]
        said = [err.read_text() for err in errs]
        fine = all(
            code == 0 or (code == 1 and "is in use by process" in text) or (code == 2 and "finished its" in text)
            for code, text in zip(codes, said, strict=True)
        )
        if not fine or 0 not in codes or self.weights(run) != self.expected:
            return f"{codes} {said!r:.400}, to other bits: {self.weights(run) != self.expected}"
        return ""

    def set_back(self) -> str:
        """Go on with a run from the future, while the clock goes back."""
        run = self.stopped()
        later = time.time() + 1e9
        for path in [*run.rglob("*"), self.text]:
            os.utime(path, (later, later))
        began = time.time()
        rng = self.rng

        def back() -> None:
            time.time = lambda: began - 1e6 * rng.random()

        return self.goes_on(run, back)

    def judged(self) -> str:
        """Kill or interrupt a process that judges a run."""
        run = self.folder / self.rng.choice(("whole", "forecast"))
        files = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        command = [self.rng.choice(("evaluate", "backtest")) if run.name == "forecast" else "evaluate", str(run)]
        out = self.folder / "errors.csv"
        if command[0] == "backtest":
            out.write_text("old")
            command += ["--out", str(out)]
        child = started(command, self.err)
        time.sleep(self.rng.uniform(0, 0.3))
        how = self.rng.choice((signal.SIGKILL, signal.SIGINT, signal.SIGTERM))
        os.kill(child, how)
        code, said = ended(child), self.err.read_text()
        if {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} != files:
            return f"{command[0]}: the run has changed"
        if code not in (0, 130, -how) or said.strip().count("\n") or "Traceback" in said:
            return f"{command[0]}: {code} {said[:300]!r}"
        return f"{command[0]} after {how.name}: half a file" if out.exists() and out.read_text() == "" else ""


WAYS = (Places.quota, Places.copied, Places.shared, Places.set_back, Places.judged)


def attack(folder: Path, seed: int, count: int, seconds: float) -> dict[str, object]:
    places, ends, tried, failed = Places(folder, seed), time.monotonic() + seconds, 0, []
    while tried < count and time.monotonic() < ends:
        way = WAYS[tried % len(WAYS)]
        tried += 1
        wrong = way(places)
        if wrong:
            failed.append(f"{way.__name__}: {wrong}")
    return {"tried": tried, "failed": failed}


if __name__ == "__main__":
    print(json.dumps(attack(Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))))
