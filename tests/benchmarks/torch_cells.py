"""PyTorch cells within a byte budget: peak memory and CPU time beside plain torch, each in a process of its own.

    python -m tests.benchmarks torch-cells [STEPS ...] [--turns N] [--only SPEC ...] [--cells step|chunk ...]
    python -m tests.benchmarks torch-cells 2000 --grid

An LSTM of 128 on 64 inputs, batch 32, a linear readout with squared error inside the loss, float32, one thread: as
`nn.LSTMCell` step by step ("step") and as `nn.LSTM` by chunks ("chunk"). "above idle" is the peak of the resident set
above what the process holds with its data in memory and after a warm-up (Linux). Times are CPU seconds, medians of the
turns. With `--grid`: other cells, stores and budgets, and how far each peak is above its budget. "in use" is there what
malloc has handed out at the peak (glibc): small tensors that come and go leave holes between those that stay.
"""

import argparse
import ctypes
import gc
import itertools
import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tests.benchmarks.machine import machine_line, surroundings
from tests.benchmarks.memory import mebibytes, status

BATCH, INPUTS, HIDDEN, OUTPUTS = 32, 64, 128, 8
SUBJECTS = ("torch", "torch checkpoint", "auto:budget=16MiB")
BUDGETS = ("4MiB", "16MiB", "64MiB")
STORES = ("auto:budget={}", "checkpoint:budget={}", "checkpoint:policy=revolve,budget={}")
CELLS = ("step", "chunk", "gru norm dropout", "attention", "spiking")


def main(words: list[str]) -> None:
    """Run every subject in turn and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks torch-cells")
    parser.add_argument("steps", type=int, nargs="*", default=[10_000])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=SUBJECTS, metavar="SPEC", help="stores, or 'torch'")
    parser.add_argument("--cells", nargs="+", default=["step", "chunk"], choices=CELLS)
    parser.add_argument("--grid", action="store_true", help="every cell, store and budget once")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args(words)
    if options.one:
        print(json.dumps(measure(options.one, options.cells[0], options.steps[0], grid=options.grid)))
        return
    print(f"{machine_line()}; 1 thread")
    for steps in options.steps:
        if options.grid:
            print_grid(steps)
        else:
            for cell in options.cells:
                print_pairs(cell, steps, options.only, options.turns)


def print_pairs(cell: str, steps: int, subjects: list[str], turns: int) -> None:
    """Print memory and CPU time of the subjects for one cell; times are beside torch's of the same turn."""
    rows: dict[str, list[dict]] = {subject: [] for subject in subjects}
    for _ in range(turns):
        for subject in rows:
            rows[subject].append(in_a_process(subject, cell, steps))
    print(f"\n{cell}, T={steps}, B={BATCH}, inputs={INPUTS}, H={HIDDEN}")
    print(f"{'':36}{'above idle':>12}{'CPU time':>12}{'beside torch':>14}")
    for subject, found in rows.items():
        above, seconds = (statistics.median(each[name] for each in found) for name in ("above_idle", "seconds"))
        beside = [mine["seconds"] / plain["seconds"] for mine, plain in zip(found, rows.get("torch", []), strict=False)]
        print(
            f"{subject:36}{mebibytes(above):>12}{seconds:>10.2f} s"
            f"{f'{statistics.median(beside):.2f}' if beside else '-':>14}"
        )


def print_grid(steps: int) -> None:
    """Print, for every cell, store and budget, how far the peak is above the budget."""
    print(f"{'':60}{'peak':>12}{'above':>12}{'in use':>12}{'above':>12}")
    worst = {"above_idle": 0.0, "in_use": 0.0}
    for cell, store, budget in itertools.product(CELLS, STORES, BUDGETS):
        spec = store.format(budget)
        found = in_a_process(spec, cell, steps, grid=True)
        if not found:
            print(f"{cell + ', ' + spec:60}{'refused':>12}")
            continue
        cells = [f"{cell + ', ' + spec:60}"]
        for name in worst:
            above = found[name] - int(budget.removesuffix("MiB")) * 2**20
            worst[name] = max(worst[name], above)
            cells += [f"{mebibytes(found[name]):>12}", f"{mebibytes(above):>12}"]
        print("".join(cells))
    print(f"the most above a budget: {mebibytes(worst['above_idle'])}; in use: {mebibytes(worst['in_use'])}")


def in_a_process(subject: str, cell: str, steps: int, *, grid: bool = False) -> dict:
    """Measure one subject in a fresh process; empty for a budget of the grid that is refused."""
    command = [sys.executable, "-m", "tests.benchmarks", "torch-cells", str(steps), "--cells", cell, "--one", subject]
    command += ["--grid"] * grid
    done = subprocess.run(command, env=surroundings(1), capture_output=True, text=True, check=False)
    if done.returncode:
        if grid and "does not fit" in done.stderr:
            return {}
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def measure(subject: str, cell: str, steps: int, *, grid: bool) -> dict:
    """Measure one subject in this process; what is in use as well, for the grid: to ask for it takes time."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = torch.randn(steps, BATCH, INPUTS), torch.randn(steps, BATCH, OUTPUTS)
    gradient = subject_of(subject, cell, x, y)
    gradient(200)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    idle, used = status("VmRSS"), handed_out() if grid else 0
    begun = time.process_time()
    gradient(steps)
    seconds = time.process_time() - begun
    found = {"above_idle": status("VmHWM") - idle, "seconds": seconds}
    return found | ({"in_use": peak_of(handed_out, lambda: gradient(steps)) - used} if grid else {})


class MallocInfo(ctypes.Structure):
    """What glibc's `mallinfo2` returns."""

    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_: ClassVar = [(name, ctypes.c_size_t) for name in names.split()]


def handed_out() -> int:
    """Return the bytes that malloc has handed out and not got back."""
    mallinfo = ctypes.CDLL("libc.so.6").mallinfo2
    mallinfo.restype = MallocInfo
    found = mallinfo()
    return found.uordblks + found.hblkhd


def peak_of(read: Callable[[], int], work: Callable[[], object]) -> int:
    """Return the largest value of `read` while `work` goes on, read every millisecond."""
    ended, peak = threading.Event(), [read()]

    def sample() -> None:
        while not ended.wait(0.001):
            peak[0] = max(peak[0], read())

    sampler = threading.Thread(target=sample)
    sampler.start()
    work()
    ended.set()
    sampler.join()
    return peak[0]


def subject_of(subject, cell, x, y):
    """Return a function that computes the gradients of the first steps."""
    import torch

    import rnnframe_torch as rft

    module, start = made(cell)
    readout, chunks = torch.nn.Linear(HIDDEN, OUTPUTS), cell == "chunk"

    def loss_fn(outputs, y):
        return ((readout(outputs) - y) ** 2).sum()

    def plain(x, y, state):
        if chunks:
            outputs, state = module(x, state)
            return loss_fn(outputs, y), state
        total = torch.zeros(())
        for x_t, y_t in zip(x, y, strict=True):
            output, state = module(x_t, state)
            total = total + loss_fn(output, y_t)
        return total, state

    def in_segments(x, y, state):
        from torch.utils.checkpoint import checkpoint

        length, total = max(20, round(len(x) ** 0.5)), torch.zeros(())
        for begin in range(0, len(x), length):
            end = begin + length
            loss, state = checkpoint(plain, x[begin:end], y[begin:end], state, use_reentrant=False)
            total = total + loss
        return total, state

    def ours(x, y, state):
        return rft.unroll_loss(module, x, y, loss_fn, state, subject, whole_chunks=chunks)

    run = {"torch": plain, "torch checkpoint": in_segments}.get(subject, ours)

    def gradient(steps):
        for each in (*module.parameters(), *readout.parameters()):
            each.grad = None
        run(x[:steps], y[:steps], start)[0].backward()

    return gradient


def made(cell):
    """Return a cell and its first state."""
    import torch
    from torch import nn

    zeros = torch.zeros(BATCH, HIDDEN)
    if cell == "chunk":
        return nn.LSTM(INPUTS, HIDDEN), (zeros[None], zeros[None])
    if cell == "attention":
        return attention(), (zeros, torch.randn(16, BATCH, INPUTS))
    return {"step": step, "gru norm dropout": normed, "spiking": spiking}[cell](), {
        "step": (zeros, zeros),
        "spiking": (zeros, zeros),
    }.get(cell, zeros)


def step():
    """Return nn.LSTMCell as a step."""
    from torch import nn

    class Step(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(INPUTS, HIDDEN)

        def forward(self, x, state):
            h, c = self.cell(x, state)
            return h, (h, c)

    return Step()


def normed():
    """Return a GRU with dropout and a layer norm."""
    from torch import nn

    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.norm, self.drop = nn.GRUCell(INPUTS, HIDDEN), nn.LayerNorm(HIDDEN), nn.Dropout(0.3)

        def forward(self, x, h):
            h = self.norm(self.cell(x, self.drop(h)))
            return h, h

    return Normed()


def attention():
    """Return a GRU that attends to a memory in its state."""
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.cell = nn.Linear(HIDDEN, INPUTS), nn.GRUCell(2 * INPUTS, HIDDEN)

        def forward(self, x, state):
            h, memory = state
            scores = torch.softmax(torch.einsum("bi,mbi->mb", self.query(h), memory), 0)
            h = self.cell(torch.cat([x, torch.einsum("mb,mbi->bi", scores, memory)], 1), h)
            return h, (h, memory)

    return Attention()


def spiking():
    """Return leaky neurons that spike, with a surrogate gradient."""
    import torch
    from torch import nn

    class Spike(torch.autograd.Function):
        @staticmethod
        def forward(ctx, v):
            ctx.save_for_backward(v)
            return (v > 0).to(v.dtype)

        @staticmethod
        def backward(ctx, slope):
            (v,) = ctx.saved_tensors
            return slope / (1 + 10 * v.abs()) ** 2

    class Spiking(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.back = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

        def forward(self, x, state):
            v, spikes = state
            v = 0.9 * v + self.into(x) + self.back(spikes) - spikes
            spikes = Spike.apply(v - 1)
            return spikes, (v, spikes)

    return Spiking()
