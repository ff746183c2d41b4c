"""Time a step from a hundred to a hundred thousand steps, in one thread and in several.

    python -m tests.benchmarks scaling [--threads 1,2] [--kernels numpy,compiled] [--stores SPEC SPEC ...]
                                       [--steps 100,1000,10000,100000] [--turns N]

One LSTM of 128 on 64 inputs, batch 32, squared error of 8 outputs at every step, float32; one call of
`Engine.gradients`. Every number of threads and every kind of kernels has a process of its own, which goes through the
lengths in turns; the longest has one turn. Times are medians.
"""

import argparse
import statistics
import sys
import time

from tests.benchmarks.kernels import KERNELS
from tests.benchmarks.machine import machine_line
from tests.benchmarks.options import names_of, numbers
from tests.benchmarks.processes import Worker, serve

STORES = ("checkpoint", "circular-queue:k1=32,k2=64")
STEPS = (100, 1000, 10_000, 100_000)

BATCH, INPUTS, HIDDEN, OUTPUTS = 32, 64, 128, 8
MODULE = "tests.benchmarks.scaling"


def main(words: list[str]) -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks scaling")
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--kernels", type=names_of(KERNELS), default=list(KERNELS))
    parser.add_argument("--stores", nargs="+", default=STORES, metavar="SPEC")
    parser.add_argument("--steps", type=numbers, default=list(STEPS))
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args(words)
    print(machine_line(), flush=True)
    titles = ["kernels", "store", "threads", *(f"T = {steps:,}: us a step" for steps in options.steps)]
    print("\n| " + " | ".join([*titles, "largest / smallest", "forward / T"]) + f" |\n|{'---|' * (len(titles) + 2)}")
    missing = {}
    for kernels in options.kernels:
        for threads in options.threads:
            worker = Worker(MODULE, kernels, threads)
            for store in options.stores:
                row = measure(worker, store, options.steps, options.turns)
                if "missing" in row:
                    missing[kernels] = row["missing"]
                    break
                times = row["times"]
                cells = [kernels, f"`{store}`", str(threads), *(f"{1e6 * found:.1f}" for found in times)]
                cells += [f"{max(times) / min(times):.2f}", " ".join(f"{found:.2f}" for found in row["forward"])]
                print(f"| {' | '.join(cells)} |", flush=True)
            worker.close()
    for name, why in missing.items():
        print(f"\n{name} was left out: {why}")


def measure(worker: Worker, store: str, lengths: list[int], turns: int) -> dict:
    """Return seconds a step for each length, and how often a step is run forward."""
    times: dict[int, list[float]] = {steps: [] for steps in lengths}
    forward: dict[int, float] = {}
    for turn in range(turns):
        for steps in lengths:
            if turn and steps == max(lengths):
                continue
            answer = worker.ask(store=store, steps=steps)
            if "missing" in answer:
                return answer
            times[steps].append(answer["seconds"])
            forward[steps] = answer["forward"]
    return {"times": [statistics.median(found) for found in times.values()], "forward": [*forward.values()]}


class Subject:
    """Engines of one kind of kernels, and data that is as long as was asked for so far."""

    def __init__(self, kernels: str, threads: int) -> None:
        self._kernels, self._threads = kernels, threads
        self._data: tuple = ((), ())

    def answer(self, request: dict) -> dict:
        """Return the seconds a step, after a call that does not count where that is short; some 4000 steps at least."""
        import rnnframe as rf
        from tests.benchmarks.kernels import engine_options

        steps = request["steps"]
        x, y = self._of_length(steps)
        network = rf.Network([f"lstm:hidden={HIDDEN}"], f"mse:outputs={OUTPUTS}", INPUTS)
        engine = rf.Engine(network, request["store"], shards=self._threads, **engine_options(self._kernels))
        if steps <= 10_000:
            engine.gradients(x, y)
        times = []
        for _ in range(max(1, 4000 // steps)):
            begun = time.perf_counter()
            report = engine.gradients(x, y).report
            times.append(time.perf_counter() - begun)
        return {"seconds": statistics.median(times) / steps, "forward": report.forward_steps / steps}

    def _of_length(self, steps: int) -> tuple:
        import numpy as np

        if len(self._data[0]) < steps:
            rng = np.random.default_rng(0)
            short = (rng.standard_normal((100, BATCH, width), np.float32) for width in (INPUTS, OUTPUTS))
            self._data = tuple(np.tile(part, (-(-steps // 100), 1, 1)) for part in short)
        return tuple(part[:steps] for part in self._data)


if __name__ == "__main__":
    serve(int(sys.argv[2]), Subject(sys.argv[1], int(sys.argv[2])).answer)
