"""What a batch of samples of different lengths costs, beside what its real steps cost in a batch without padding.

    python -m tests.benchmarks lengths [--cell lstm:hidden=128] [--kernels numpy,compiled] [--shards 1,2] [--chunk N]

32 samples of 64 inputs in float32, padded to 1,000 steps; their lengths are spread evenly from 100 to 1,000. The last
column is the time of the batch with lengths, over its part of the steps of the time that the whole array takes: 1 would
be no cost but that of the real steps. Full batch and cut one take turns; figures are medians of all calls.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

import numpy as np

import rnnframe as rf
from tests.benchmarks.machine import machine_line, surroundings
from tests.benchmarks.speed import numbers

STEPS, SAMPLES, INPUTS = 1000, 32, 64
CALLS = 7
INSIDE = "RNNFRAME_BENCHMARK_LENGTHS"


def main(words: list[str]) -> None:
    """Measure and print a Markdown table, in a process whose BLAS has one thread."""
    if INSIDE not in os.environ:
        command = [sys.executable, "-m", "tests.benchmarks", "lengths", *words]
        sys.exit(subprocess.run(command, env=surroundings(1) | {INSIDE: "1"}, check=False).returncode)
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks lengths")
    parser.add_argument("--cell", default="lstm:hidden=128")
    parser.add_argument("--kernels", type=lambda text: text.split(","), default=["numpy", "compiled"])
    parser.add_argument("--shards", type=numbers, default=[1, 2])
    parser.add_argument("--chunk", type=int)
    options = parser.parse_args(words)
    print(machine_line())
    print("\n| kernels | shards | chunk | whole array ms | with lengths ms | of its real steps |")
    print("|---|---|---|---|---|---|")
    for kernels in options.kernels:
        for shards in options.shards:
            network = rf.Network([options.cell], "mse:outputs=1", INPUTS)
            engine = rf.Engine(network, chunk=options.chunk, shards=shards, kernels=kernels)
            whole, cut, real, chunk = measure(engine)
            row = kernels, shards, chunk, f"{whole * 1e3:.0f}", f"{cut * 1e3:.0f}", f"{cut / whole / real:.2f}"
            print("| " + " | ".join(map(str, row)) + " |", flush=True)


def measure(engine):
    """Return the seconds of the whole array and of the cut one, the part of real steps in it, and the chunk length."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(STEPS, SAMPLES, INPUTS)).astype("float32")
    y = rng.normal(size=(STEPS, SAMPLES, 1)).astype("float32")
    lengths = rng.permutation(np.linspace(100, STEPS, SAMPLES).astype(int))
    times = {"whole": [], "cut": []}
    for _ in range(CALLS + 1):
        for name, given in (("whole", None), ("cut", lengths)):
            begun = time.perf_counter()
            report = engine.gradients(x, y, lengths=given).report
            times[name].append(time.perf_counter() - begun)
    whole, cut = (statistics.median(seconds[1:]) for seconds in times.values())
    return whole, cut, lengths.sum() / (STEPS * SAMPLES), report.chunk
