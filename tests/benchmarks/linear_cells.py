"""Cells without a recurrent product beside our LSTM, and beside the best form of the same in torch.

    python -m tests.benchmarks linear-cells [--threads 1,2] [--cells mingru,minlstm,lru] [--shapes 1,3] [--turns N]
                                            [--seconds S] [--only rnnframe] [--forms loop,scan]

float32; forward and backward, no gradient of the inputs. "layer" is one layer with dL/dh given; "model" is two layers
with a linear readout and the mean cross entropy of 65 classes. Ours is one call of `Engine.gradients` with full history
on compiled kernels; an lru has as many states as units. Torch computes the layer in the forms of
`tests.benchmarks.torch_linear`; the fastest of a shape is shown, after the gradients of U were compared.

rnnframe and torch run in a process each, held to as many cores as threads, and take turns; times are medians of all
calls, ratios medians of those of the turns.
"""

import argparse
import math
import statistics

import attrs

from tests.benchmarks.machine import machine_line
from tests.benchmarks.options import names_of, numbers
from tests.benchmarks.problems import Shape
from tests.benchmarks.processes import Worker

MODULE = "tests.benchmarks.linear_cells_worker"
SHAPES = (Shape(128, 32, 64, 256), Shape(128, 32, 256, 256), Shape(1000, 16, 64, 128), Shape(1000, 16, 128, 128))
CELLS = ("mingru", "minlstm", "lru")
LIBRARIES = ("rnnframe", "torch")
FORMS = ("loop", "scan", "compiled scan", "logarithms")


def main(words: list[str]) -> None:
    """Measure and print a Markdown table for each number of threads and setting."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks linear-cells")
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--cells", type=names_of(CELLS), default=list(CELLS))
    parser.add_argument("--shapes", type=numbers, default=list(range(1, len(SHAPES) + 1)), help="numbers from 1")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn on a shape, and at least three calls")
    parser.add_argument("--only", type=names_of(LIBRARIES), default=list(LIBRARIES))
    parser.add_argument("--forms", type=names_of(FORMS), default=list(FORMS), help="of torch")
    options = parser.parse_args(words)
    shapes = [SHAPES[number - 1] for number in options.shapes]
    print(machine_line(), flush=True)
    for threads in options.threads:
        workers = {name: Worker(MODULE, name, threads) for name in options.only}
        for setting in ("layer", "model"):
            print(f"\n{setting}, {threads} thread(s)\n", flush=True)
            print("| T, B, inputs, H | lstm ms | cell | ms | lstm / cell | best in torch | ms | torch / cell |")
            print("|---|---|---|---|---|---|---|---|")
            for shape in shapes:
                for cell in options.cells:
                    print_row(shape, cell, setting, workers, options)
        for worker in workers.values():
            worker.close()


def print_row(shape: Shape, cell: str, setting: str, workers: dict, options: argparse.Namespace) -> None:
    """Measure a cell beside the LSTM and, as a layer, beside torch, and print its row."""
    asked = {"rnnframe": ["lstm", cell], "torch": [f"{cell} {form}" for form in forms(cell, options.forms)]}
    turns: dict[str, list[float]] = {}
    every: dict[str, list[float]] = {}
    norms: dict[str, float] = {}
    for _ in range(options.turns):
        for library, worker in workers.items():
            for subject in asked[library] if library == "rnnframe" or setting == "layer" else []:
                request = {"subject": subject, "shape": attrs.astuple(shape), "setting": setting}
                answer = worker.ask(**request, seconds=options.seconds)
                turns.setdefault(subject, []).append(statistics.median(answer["times"]))
                every.setdefault(subject, []).extend(answer["times"])
                norms[subject] = answer["norm"]
    for subject, norm in norms.items():
        if subject != "lstm" and not math.isclose(norm, norms.get(cell, norm), rel_tol=1e-3):
            raise SystemExit(f"{subject} computed another gradient of U: norms {norms}")
    median = {subject: statistics.median(found) for subject, found in every.items()}
    cells = [str(shape)]
    if "rnnframe" in workers:
        cells += [f"{median['lstm'] * 1e3:.2f}", cell, f"{median[cell] * 1e3:.2f}", ratio(turns["lstm"], turns[cell])]
    else:
        cells += ["", cell, "", ""]
    of_torch = [subject for subject in median if subject not in ("lstm", cell)]
    if of_torch:
        best = min(of_torch, key=median.__getitem__)
        against = ratio(turns[best], turns[cell]) if cell in turns else ""
        cells += [best.removeprefix(f"{cell} "), f"{median[best] * 1e3:.2f}", against]
    else:
        cells += ["", "", ""]
    print(f"| {' | '.join(cells)} |", flush=True)


def ratio(others: list[float], ours: list[float]) -> str:
    """Return how many times as long the others take, turn by turn."""
    return f"{statistics.median(a / b for a, b in zip(others, ours, strict=True)):.2f}"


def forms(cell: str, wanted: list[str]) -> list[str]:
    """Return the forms of a cell in torch: an lru's λ is complex, and nothing around its scan is worth compiling."""
    return [form for form in wanted if cell != "lru" or form in ("loop", "scan")]
