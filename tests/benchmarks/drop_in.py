"""The drop-in modules beside torch.nn's: time forward and back, packed sequences, and memory within a budget.

    python -m tests.benchmarks drop-in [--modules LSTM GRU RNN] [--threads 1 2] [--turns N] [--shapes 0 1 ...] [--no-dx]
    python -m tests.benchmarks drop-in --packed | --long

The modules of both libraries are in processes of their own and take turns; figures are medians of wall-clock
milliseconds, and of the ratios of the turns: above 1 ours is faster. dL/dx is among the gradients unless `--no-dx`.
`--packed`: 16 sequences of up to 1,000 steps. `--long`: 10,000 steps with store=auto:budget=16MiB, without dL/dx;
"above idle" is the peak of the resident set (Linux) above what the process holds after a warm-up with its data, which
the gradient of the outputs belongs to; the bytes of the outputs are left out.
"""

import argparse
import math
import statistics
import sys
import time
from pathlib import Path

from tests.benchmarks.machine import machine_line
from tests.benchmarks.memory import mebibytes, status
from tests.benchmarks.problems import SHAPES, Shape
from tests.benchmarks.processes import Worker, serve

PACKED, LONG = Shape(1000, 16, 64, 128), Shape(10_000, 32, 64, 128)
TURN_SECONDS = 0.5
"""Seconds of a turn on a shape, and at least five calls."""
BUDGET = "auto:budget=16MiB"


def main(words: list[str]) -> None:
    """Measure in turns and print a table for each module and number of threads."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks drop-in")
    parser.add_argument("--modules", nargs="+", default=["LSTM", "GRU", "RNN"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--shapes", nargs="+", type=int, default=[*range(len(SHAPES))])
    parser.add_argument("--no-dx", action="store_true")
    parser.add_argument("--packed", action="store_true")
    parser.add_argument("--long", action="store_true")
    options = parser.parse_args(words)
    print(machine_line())
    shapes = [PACKED] if options.packed else [LONG] if options.long else [SHAPES[n] for n in options.shapes]
    for threads in options.threads:
        for module in options.modules:
            print_table(module, threads, shapes, options)


def print_table(module: str, threads: int, shapes: list[Shape], options: argparse.Namespace) -> None:
    """Print one line for each shape, and the geometric mean of the ratios."""
    print(
        f"\n{module}, {threads} thread(s)\n{'T, B, inputs, H':24}{'torch ms':>10}{'ours ms':>10}{'ratio':>8}",
        flush=True,
    )
    workers = [Worker("tests.benchmarks.drop_in", subject, threads) for subject in ("torch", "ours")]
    ratios = []
    for shape in shapes:
        request = {
            "module": module,
            "shape": [shape.T, shape.B, shape.I, shape.H],
            "dx": not options.no_dx,
            "packed": options.packed,
            "long": options.long,
        }
        turns = [[worker.ask(**request) for worker in workers] for _ in range(options.turns)]
        medians = [statistics.median(turn[n]["ms"] for turn in turns) for n in (0, 1)]
        ratios.append(statistics.median(torch["ms"] / ours["ms"] for torch, ours in turns))
        line = f"{shape!s:24}{medians[0]:>10.1f}{medians[1]:>10.1f}{ratios[-1]:>8.2f}"
        if options.long:
            peaks = [statistics.median(turn[n]["above_idle"] for turn in turns) for n in (0, 1)]
            line += f"   above idle {mebibytes(peaks[0])}, {mebibytes(peaks[1])}"
        print(line, flush=True)
    print(f"geometric mean {math.prod(ratios) ** (1 / len(ratios)):.2f}, lowest {min(ratios):.2f}")
    for worker in workers:
        worker.close()


def answer(subject: str, threads: int, request: dict) -> dict:
    """Time one module of one library, after a warm-up."""
    import torch
    from torch import nn
    from torch.nn.utils.rnn import pack_padded_sequence

    import rnnframe_torch as rft

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    steps, batch, inputs, hidden = request["shape"]
    ours = subject == "ours"
    store = {"store": BUDGET} if ours and request["long"] else {}
    module = getattr(rft if ours else nn, request["module"])(inputs, hidden, **store)
    x = torch.randn(steps, batch, inputs, requires_grad=request["dx"] and not request["long"])
    slope = torch.randn(steps, batch, hidden)
    lengths = torch.linspace(steps // 10, steps, batch).long().flip(0)

    def gradient(count: int) -> None:
        for parameter in (*module.parameters(), x):
            parameter.grad = None
        if request["packed"]:
            packed = pack_padded_sequence(x, lengths)
            module(packed)[0].data.backward(pack_padded_sequence(slope, lengths).data)
        else:
            module(x[:count])[0].backward(slope[:count])

    gradient(min(steps, 200))
    if request["long"]:
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        idle = status("VmRSS")
    times: list[float] = []
    once = request["long"] or request["packed"]
    while not times or (not once and (len(times) < 5 or sum(times) < TURN_SECONDS)):
        begun = time.perf_counter()
        gradient(steps)
        times.append(time.perf_counter() - begun)
    found = {"ms": statistics.median(times) * 1e3}
    return found | ({"above_idle": status("VmHWM") - idle - slope.nbytes} if request["long"] else {})


if __name__ == "__main__":
    serve(int(sys.argv[2]), lambda request: answer(sys.argv[1], int(sys.argv[2]), request))
