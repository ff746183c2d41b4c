"""Sequences far longer than memory: anonymous bytes above idle, and time a step beside full history's at T = 1000.

    python -m tests.benchmarks long [--disk FOLDER] [--shrink N]

Two cases, each process by itself, data read from memory-mapped files in FOLDER (by default the system's for temporary
files): a million steps of one sample (LSTM 64, 8 inputs) with checkpoints in RAM, and a hundred thousand steps of 32
samples (LSTM 128, 64 inputs) with checkpoints on the disk and, beside it, in the same RAM alone. The peak of RssAnon is
sampled every 10 ms (Linux); the pages of mapped files are the system's and are not counted.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import attrs

OUTPUTS = 8


@attrs.frozen
class Case:
    """A network, a batch, a length, and the stores that run it beside full history over 1000 steps."""

    steps: int
    batch: int
    inputs: int
    hidden: int
    stores: tuple[str, ...]


CASES = (
    Case(1_000_000, 1, 8, 64, ("checkpoint",)),
    Case(100_000, 32, 64, 128, ("checkpoint:budget=20MiB,medium=disk:path={}", "checkpoint:budget=20MiB")),
)


def main(words: list[str]) -> None:
    """Run every case and print a row for each store."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks long")
    parser.add_argument("--disk", default=tempfile.gettempdir())
    parser.add_argument("--shrink", type=int, default=1, help="divide the lengths by this, to try it out")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.one:
        number, store, folder = options.one
        print(json.dumps(measure(CASES[int(number)], store, Path(folder), options.shrink)))
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, 1 thread, Python {platform.python_version()}")
    for number, case in enumerate(CASES):
        print(f"\nT={case.steps // options.shrink}, B={case.batch}, inputs={case.inputs}, H={case.hidden}")
        print(f"{'':50}{'predicted':>12}{'anonymous':>12}{'us a step':>12}{'forward/T':>11}")
        with tempfile.TemporaryDirectory(dir=options.disk) as folder:
            write_data(case, Path(folder), case.steps // options.shrink)
            for store in ("full-history", *(store.format(options.disk) for store in case.stores)):
                row = in_a_process(number, store, folder, options.shrink)
                print(
                    f"{store.replace(options.disk, 'DISK'):50}{row['predicted'] / 2**20:>8.1f} MiB"
                    f"{row['anonymous'] / 2**20:>8.1f} MiB{row['seconds'] * 1e6:>12.1f}{row['forward']:>11.2f}"
                )


def write_data(case: Case, folder: Path, steps: int) -> None:
    """Write inputs and targets as memory-mapped files, a thousand steps at a time."""
    import numpy as np

    rng = np.random.default_rng(0)
    for name, width in (("x", case.inputs), ("y", OUTPUTS)):
        array = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, (steps, case.batch, width))
        for start in range(0, steps, 1000):
            array[start : start + 1000] = rng.standard_normal(array[start : start + 1000].shape, np.float32)
        array.flush()


def in_a_process(number: int, store: str, folder: str, shrink: int) -> dict:
    """Measure one store in a fresh process."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # set on some machines, where they slow numpy down
        environment.pop(name, None)
    command = [sys.executable, "-m", "tests.benchmarks", "long", "--shrink", str(shrink)]
    command += ["--one", str(number), store, folder]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def measure(case: Case, store: str, folder: Path, shrink: int) -> dict:
    """Measure one store in this process; full history over the first 1000 steps."""
    import numpy as np

    import rnnframe as rf

    x, y = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in "xy")
    steps = 1000 if store == "full-history" else len(x)
    network = rf.Network([f"lstm:hidden={case.hidden}"], f"mse:outputs={OUTPUTS}", case.inputs)
    rf.Engine(network, "full-history", chunk=8, shards=1).gradients(x[:16], y[:16])  # everything imported
    engine = rf.Engine(network, store, shards=1)
    idle = anonymous()
    with Sampler() as sampler:
        report = engine.gradients(x[:steps], y[:steps]).report
    # By the clock in runs of their own: the first one pays for fresh pages, and for being watched.
    turns = 5 if store == "full-history" else 1
    seconds = min(timed(lambda: engine.gradients(x[:steps], y[:steps])) for _ in range(turns))
    return {
        "predicted": report.predicted_bytes,
        "anonymous": sampler.peak - idle,
        "seconds": seconds / steps,
        "forward": report.forward_steps / steps,
    }


def timed(work) -> float:
    """Return the seconds that `work` takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


class Sampler:
    """The largest RssAnon while it is open."""

    def __enter__(self):
        self.peak, self._done = anonymous(), threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def _sample(self) -> None:
        while not self._done.wait(0.01):
            self.peak = max(self.peak, anonymous())

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()


def anonymous() -> int:
    """Return the bytes of RssAnon."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise LookupError("RssAnon")
