"""What masks, weight drop and norms cost in a training step of an LSTM.

    python -m tests.benchmarks extras [--shapes 128,32,64,256 ...] [--only NAME,...] [--turns N] [--seconds S]

Forward and backward of one layer under a readout with the mean cross entropy of 65 classes, one thread, float32, full
history: `Engine.gradients` of the network with and without the extra take turns in one process. Times are medians, the
ratio is the median of those of the turns: 1.10 is ten per cent slower.
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
from tests.benchmarks.options import names_of
from tests.benchmarks.problems import CLASSES

INSIDE = "RNNFRAME_BENCHMARK_EXTRAS"
LSTM = "lstm:hidden={}"
EXTRAS = {
    "masked-inputs": ("compiled", "dropout:rate=0.2 lstm:hidden={}"),
    "variational": ("compiled", "dropout:rate=0.2,variational=yes lstm:hidden={}"),
    "recurrent-mask": ("numpy", "lstm:hidden={},recurrent_dropout=0.2"),
    "weight-drop": ("compiled", "lstm:hidden={},weight_drop=0.5"),
    "layer-norm": ("compiled", "lstm:hidden={},norm=layer"),
}


def main(words: list[str]) -> None:
    """Measure and print a Markdown table, in a process that is held to one thread."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks extras")
    parser.add_argument("--shapes", nargs="+", default=["128,32,64,256", "128,32,64,128"])
    parser.add_argument("--only", type=names_of(EXTRAS), default=list(EXTRAS))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn, and at least two calls")
    options = parser.parse_args(words)
    if INSIDE not in os.environ:
        line = [sys.executable, "-m", "tests.benchmarks", "extras", *words]
        raise SystemExit(subprocess.run(line, env=surroundings(1) | {INSIDE: "1"}, check=False).returncode)
    print(f"{machine_line()}\n\n| extra | kernels | T, B, inputs, H | without ms | with ms | ratio |\n{'|---' * 6}|")
    for shape in options.shapes:
        for name in options.only:
            kernels, spec = EXTRAS[name]
            sizes = tuple(map(int, shape.split(",")))
            without, ours, ratio = compared(kernels, spec, sizes, options)
            told = f"{1e3 * without:.2f} | {1e3 * ours:.2f} | {ratio:.3f}"
            print(f"| {name} | {kernels} | {', '.join(map(str, sizes))} | {told} |", flush=True)


def compared(
    kernels: str, spec: str, shape: tuple[int, ...], options: argparse.Namespace
) -> tuple[float, float, float]:
    """Return the seconds of a call without and with the extra, and their ratio."""
    steps, batch, inputs, hidden = shape
    rng = np.random.default_rng(0)
    x = rng.standard_normal((steps, batch, inputs)).astype(np.float32)
    y = rng.integers(0, CLASSES, (steps, batch))
    engines = []
    for each in (LSTM, spec):
        network = rf.Network(each.format(hidden).split(), f"softmax:classes={CLASSES}", inputs)
        engines.append(rf.Engine(network, shards=1, kernels=kernels))
    turns = [[seconds(engine, x, y, options.seconds) for engine in engines] for _ in range(options.turns + 1)][1:]
    without, ours = (statistics.median(column) for column in zip(*turns, strict=True))
    return without, ours, statistics.median(b / a for a, b in turns)


def seconds(engine: rf.Engine, x: np.ndarray, y: np.ndarray, at_least: float) -> float:
    """Return the median seconds of calls within a turn."""
    times: list[float] = []
    while len(times) < 2 or sum(times) < at_least:
        begun = time.perf_counter()
        engine.run(x, y, None, lambda gradients, loss: None)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)
