"""Bytes and time of one gradient for every store, beside torch's: each in a process of its own, taking turns.

    python -m tests.benchmarks memory [STEPS ...] [--threads N] [--turns N] [--kernels numpy|compiled] [--only SPEC ...]

One LSTM of 128 on 64 inputs, batch 32, a linear readout with squared error at every step, float32; the input gradient
is not asked for. "above idle" is the peak of the resident set above what the process holds with its data in memory and
everything imported (Linux). Times are medians of the turns. Below each table stands which of ours hold at most 3 % of
what torch holds by default, and how long they take beside it.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from tests.benchmarks.kernels import KERNELS
from tests.benchmarks.machine import machine_line, surroundings

BATCH, INPUTS, HIDDEN, OUTPUTS = 32, 64, 128, 8
STORES = (
    "full-history",
    "full-history:keep=lean",
    "states",
    "auto:budget=49MiB",  # half of full history over 1000 steps
    "auto:budget=7MiB",
    "auto:budget=2.4MiB",
    "checkpoint",
    "checkpoint:policy=revolve,slots=20",
    "circular-queue:k1=32,k2=64",
)
TORCH = ("torch", "torch checkpoint")
SMALL = 0.03  # of torch's peak


def main(words: list[str]) -> None:
    """Run every subject in turn and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks memory")
    parser.add_argument("steps", type=int, nargs="*", default=[1000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=[*STORES, *TORCH], metavar="SPEC", help="stores, or 'torch'")
    parser.add_argument("--kernels", choices=KERNELS, default="numpy")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.one:
        print(json.dumps(measure(options.one, options.steps[0], options.threads, options.kernels)))
        return
    print(f"{machine_line()}; {options.threads} thread(s), kernels: {options.kernels}")
    for steps in options.steps:
        rows: dict[str, list[dict]] = {subject: [] for subject in options.only}
        for _ in range(options.turns):
            for subject in rows:
                rows[subject].append(in_a_process(subject, steps, options))
        print(f"\nT={steps}, B={BATCH}, inputs={INPUTS}, H={HIDDEN}")
        print(f"{'':36}{'predicted':>12}{'above idle':>12}{'time':>12}{'forward/T':>11}")
        medians = {subject: median_of(results) for subject, results in rows.items() if any(results)}
        for subject in rows:
            print(line(subject, medians.get(subject)))
        for pairing in pairings(medians):
            print(pairing)


def median_of(results: list[dict]) -> dict:
    """Return the medians of what was measured in some turns."""
    medians = {name: statistics.median(found[name] for found in results) for name in ("above_idle", "seconds")}
    return results[0] | medians


def line(subject: str, found: dict | None) -> str:
    """Return one row of the table."""
    if found is None:
        return f"{subject:36}{'not installed':>24}"
    predicted, forward = found["predicted"], found["forward"]
    return (
        f"{subject:36}{mebibytes(predicted) if predicted else '-':>12}{mebibytes(found['above_idle']):>12}"
        f"{found['seconds'] * 1e3:>9.0f} ms{f'{forward:.2f}' if forward else '-':>11}"
    )


def pairings(medians: dict[str, dict]) -> list[str]:
    """Return a line for each exact one of ours in 3 % of torch's memory, with its time beside torch's."""
    if "torch" not in medians:
        return []
    torch = medians["torch"]
    return [
        f"{subject}: {found['above_idle'] / torch['above_idle']:.1%} of torch's memory, "
        f"{torch['seconds'] / found['seconds']:.2f} times its speed"
        for subject, found in medians.items()
        if found.get("exact") and found["above_idle"] <= SMALL * torch["above_idle"]
    ]


def mebibytes(count: float) -> str:
    """Write bytes in MiB."""
    return f"{count / 2**20:.1f} MiB"


def in_a_process(subject: str, steps: int, options: argparse.Namespace) -> dict:
    """Measure one subject in a fresh process; empty where its library is missing."""
    command = [sys.executable, "-m", "tests.benchmarks", "memory", str(steps), "--threads", str(options.threads)]
    command += ["--kernels", options.kernels, "--one", subject]
    environment = surroundings(options.threads)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        if "No module named 'torch'" in done.stderr:
            return {}
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def measure(subject: str, steps: int, threads: int, kernels: str) -> dict:
    """Measure one subject in this process."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.standard_normal((steps, BATCH, INPUTS), np.float32)
    y = rng.standard_normal((steps, BATCH, OUTPUTS), np.float32)
    subject_of = torch_subject if subject in TORCH else partial(our_subject, kernels=kernels)
    warm, _ = subject_of(subject, x, y, threads)
    warm(32)  # everything imported
    del warm
    gc.collect()
    gradient, report = subject_of(subject, x, y, threads)
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    idle = status("VmRSS")
    gradient(steps)
    above = status("VmHWM") - idle
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        gradient(steps)
        times.append(time.perf_counter() - begun)
    return {"above_idle": above, "seconds": min(times), **report(steps)}


def our_subject(store, x, y, threads, kernels):
    """Return a function that computes a gradient with rnnframe, and one that reports on it."""
    import rnnframe as rf
    from tests.benchmarks.kernels import engine_options

    network = rf.Network(cells=[f"lstm:hidden={HIDDEN}"], head=f"mse:outputs={OUTPUTS}", inputs=INPUTS)
    engine, last = rf.Engine(network, store=store, shards=threads, **engine_options(kernels)), {}

    def gradient(steps):
        last["result"] = engine.gradients(x[:steps], y[:steps])

    def report(steps):
        told = last["result"].report
        return {"predicted": told.predicted_bytes, "forward": told.forward_steps / steps, "exact": told.exact}

    return gradient, report


def torch_subject(subject, x, y, threads):
    """Return the same for torch.nn.LSTM, plain or with torch.utils.checkpoint over segments of about sqrt(T)."""
    import torch
    from torch.utils.checkpoint import checkpoint

    torch.set_num_threads(threads)
    lstm, readout = torch.nn.LSTM(INPUTS, HIDDEN), torch.nn.Linear(HIDDEN, OUTPUTS)
    x, y = torch.from_numpy(x), torch.from_numpy(y)

    def segment(x, y, h, c):
        out, (h, c) = lstm(x, (h, c))
        return ((readout(out) - y) ** 2).sum(), h, c

    def gradient(steps):
        lstm.zero_grad()
        readout.zero_grad()
        h = c = torch.zeros(1, BATCH, HIDDEN)
        length = steps if subject == "torch" else max(20, round(steps**0.5))
        total = torch.zeros(())
        for start in range(0, steps, length):
            part = x[start : min(start + length, steps)], y[start : min(start + length, steps)]
            loss, h, c = (
                segment(*part, h, c) if subject == "torch" else checkpoint(segment, *part, h, c, use_reentrant=False)
            )
            total = total + loss
        (total / (steps * BATCH * OUTPUTS)).backward()

    return gradient, lambda steps: {"predicted": None, "forward": None}


def status(name: str) -> int:
    """Return a line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)
