"""A table of 20,000 x 321 read by pandas and here: time, processor time and memory, each in a process of its own.

    python -m tests.benchmarks table-reading [--rows N] [--columns N] [--turns N] [--profile]

The table is written first: a date an hour, and columns of numbers with four decimals. "pandas" is
`pandas.read_csv(file)`; "columns" checks its columns and finds their roles; "task" is what `train` does before its
first update: besides, it standardises the columns and computes the naive forecast's errors and a digest. Every turn
runs each of them once, in a process that has read a small file; what stands beside pandas' is the median over the
turns. Peaks are of the resident set (Linux). With --profile, the shares of the functions of "task" in the time of its
thread are printed instead.
"""

import argparse
import cProfile
import json
import os
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.machine import machine_line, surroundings
from tests.benchmarks.memory import mebibytes, status

SUBJECTS = ("pandas", "columns", "task")
MEASURES = ("seconds", "processor", "peak", "above_idle")


def main(words: list[str]) -> None:
    """Write the table, let every subject read it in turn, and print a row for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks table-reading")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=321)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.one:
        print(json.dumps(measured(*options.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "table.csv"))
        write(path, options.rows, options.columns)
        if options.profile:
            profile(path)
            return
        found: dict[str, list[dict[str, float]]] = {subject: [] for subject in SUBJECTS}
        for _ in range(options.turns):
            for subject in SUBJECTS:
                found[subject].append(in_a_process(subject, path))
    print(f"{machine_line()}\n\n{options.rows:,} rows of {options.columns} columns, {options.turns} turns\n")
    print("| read by | seconds | of pandas' | processor | of pandas' | peak | of pandas' | above idle | of pandas' |")
    print("|---|---|---|---|---|---|---|---|---|")
    for subject, turns in found.items():
        cells = [cell for measure in MEASURES for cell in pair(measure, turns, found["pandas"])]
        print(f"| {subject} | {' | '.join(cells)} |")


def pair(measure: str, turns: list[dict[str, float]], pandas: list[dict[str, float]]) -> tuple[str, str]:
    """Return the median of a measure, and the median of its ratio to pandas' in the same turn."""
    middle = statistics.median(turn[measure] for turn in turns)
    ratio = statistics.median(turn[measure] / base[measure] for turn, base in zip(turns, pandas, strict=True))
    told = f"{middle:.2f}" if measure in ("seconds", "processor") else mebibytes(middle)
    return told, f"{ratio:.2f}"


def write(path: str, rows: int, columns: int) -> None:
    """Write a table of numbers with a date an hour."""
    import numpy as np
    import pandas

    hours = pandas.date_range("2012-01-01", periods=rows, freq="h", name="date")
    values = np.random.default_rng(0).normal(size=(rows, columns)).round(4)
    pandas.DataFrame(values, index=hours).add_prefix("v").to_csv(path)


def in_a_process(subject: str, path: str) -> dict[str, float]:
    """Measure one subject in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks", "table-reading", "--one", subject, path]
    environment = surroundings(os.cpu_count() or 1)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measured(subject: str, path: str) -> dict[str, float]:
    """Measure one subject in this process, which reads a small table first."""
    read = reader_of(subject)
    with tempfile.TemporaryDirectory() as folder:
        small = str(Path(folder, "small.csv"))
        write(small, 300, 3)
        read(small)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    idle, begun, processor = status("VmRSS"), time.perf_counter(), time.process_time()
    kept = read(path)
    found = {"seconds": time.perf_counter() - begun, "processor": time.process_time() - processor}
    peak = status("VmHWM")
    del kept
    return {**found, "peak": peak, "above_idle": peak - idle}


def reader_of(subject: str) -> Callable[[str], object]:
    """Return a function that reads a table and returns what it holds."""
    import pandas

    import rnnframe as rf
    from rnnframe.plugin import Setting
    from rnnframe_tasks.columns import Asked
    from rnnframe_tasks.roles import find_roles
    from rnnframe_tasks.tables import Reading, read_table

    def columns(path: str) -> object:
        table = read_table(path, Reading())
        return table, find_roles(table, Asked())

    def task(path: str) -> object:
        return rf.task("forecast").open(Setting(data=path, batch=32, steps=64, held_out=0.2))

    return {"pandas": pandas.read_csv, "columns": columns, "task": task}[subject]


def profile(path: str) -> None:
    """Print the functions of "task" that take most of its time in themselves."""
    read = reader_of("task")
    read(path)
    profiler = cProfile.Profile(time.thread_time)
    profiler.runcall(read, path)
    pstats.Stats(profiler).strip_dirs().sort_stats("tottime").print_stats(25)
