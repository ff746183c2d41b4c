"""Forward and backward of one recurrent layer beside torch's and jax's, over seven shapes.

    python -m tests.benchmarks speed [--cells lstm,gru,elman] [--threads 1,2] [--only torch,numpy,...]
                                     [--settings layer,model] [--shapes 1,4] [--turns N] [--seconds S]
                                     [--precision bfloat16] [--avx2]

float32; no gradient of the inputs. "layer" is the bare layer with dL/dh_t given; "model" has a linear readout and the
mean cross entropy of 65 classes. Ours is one call of `Engine.gradients` with full history in either setting. With
--precision bfloat16 ours in that precision stands beside torch's under autocast and beside ours in float32, on the
shapes of at least 128 units. With --avx2 every library does without AVX-512. Where torch and jax are left out, compiled
kernels stand beside numpy.

Each library runs in a process of its own, held to as many cores as threads; they take turns on each shape, and every
figure is the median of all calls. After their first turn the gradients are compared. GFLOP/s counts the matrix
products alone; the last columns are the rate of a plain matrix product in the same turns (numpy's BLAS, the same number
of threads; the median, of the shape that has the best) and the share of it.
"""

import argparse
import math
import statistics

import attrs

from tests.benchmarks.machine import WITHOUT_AVX512, machine_line
from tests.benchmarks.options import names_of, numbers
from tests.benchmarks.problems import GATES, SHAPES, Problem, Setting
from tests.benchmarks.processes import Worker
from tests.benchmarks.worker import MATMUL, SUBJECTS

MODULE = "tests.benchmarks.worker"
OTHERS = ("torch", "jax", "torch-bfloat16")
USUAL = ("torch", "jax", "numpy", "compiled")
BFLOAT16 = ("torch-bfloat16", "compiled", "compiled-bfloat16")
MODULES = {"lstm": "nn.LSTM", "gru": "nn.GRU", "elman": "nn.RNN"}


def main(words: list[str]) -> None:
    """Measure and print a Markdown table for each cell, setting and number of threads."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks speed")
    parser.add_argument("--cells", type=names_of(GATES), default=list(GATES))
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--only", type=names_of(SUBJECTS), help="libraries and kernels")
    parser.add_argument("--settings", type=names_of(Setting.__args__), default=list(Setting.__args__))
    parser.add_argument("--shapes", type=numbers, help="numbers from 1")
    parser.add_argument("--precision", choices=["bfloat16"])
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn on a shape, and at least three calls")
    parser.add_argument("--avx2", action="store_const", const=WITHOUT_AVX512, help="without AVX-512")
    options = parser.parse_args(words)
    rounds = options.precision is not None
    options.only = options.only or list(BFLOAT16 if rounds else USUAL)
    chosen = [n + 1 for n, shape in enumerate(SHAPES) if shape.H >= 128 or not rounds]
    shapes = [SHAPES[number - 1] for number in options.shapes or chosen]
    print(machine_line(), flush=True)
    print("best product: " + Worker(MODULE, MATMUL, 1, settings=options.avx2).ask(seconds=0)["blas"], flush=True)
    missing: dict[str, str] = {}
    for threads in options.threads:
        matmul = Worker(MODULE, MATMUL, threads, settings=options.avx2)
        workers = {name: Worker(MODULE, name, threads, settings=options.avx2) for name in options.only}
        for cell in options.cells:
            for setting in options.settings:
                problems = [Problem(cell, shape, setting) for shape in shapes]
                print(f"\n{cell}, {setting}, {threads} thread(s)\n", flush=True)
                table(problems, workers, matmul, missing, options)
        for worker in (matmul, *workers.values()):
            worker.close()
    for name, why in missing.items():
        print(f"\n{name} was left out: {why}")


def table(
    problems: list[Problem],
    workers: dict[str, Worker],
    matmul: Worker,
    missing: dict[str, str],
    options: argparse.Namespace,
) -> None:
    """Measure the problems and print their rows as they come, then the geometric means."""
    rows: list[dict[str, float]] = []
    columns: list[str] = []
    for problem in problems:
        medians, peak = measure(problem, workers, matmul, missing, options.turns, options.seconds)
        if not rows:
            columns = list(medians)
            header(columns, problem.cell)
        rows.append(medians)
        print_row(str(problem.shape), problem, medians, peak)
    compared = pairs(columns)
    if compared:
        ratios = [[row[other] / row[own] for row in rows] for other, own in compared]
        for title, mean in (("geometric mean", statistics.geometric_mean), ("lowest", min)):
            cells = [title, *("" for _ in columns), *(f"**{mean(found):.2f}**" for found in ratios), "", "", ""]
            print(f"| {' | '.join(cells)} |")


def measure(
    problem: Problem, workers: dict[str, Worker], matmul: Worker, missing: dict[str, str], turns: int, seconds: float
) -> tuple[dict[str, float], float]:
    """Return each library's median time in seconds, and the rate of the best product meanwhile.

    Libraries that are not there go to `missing`.
    """
    products: dict[str, list[float]] = {}
    times: dict[str, list[float]] = {name: [] for name in workers if name not in missing}
    norms: dict[str, list[float]] = {}
    request = {"cell": problem.cell, "shape": attrs.astuple(problem.shape), "setting": problem.setting}
    for _ in range(turns):
        for shape, found in matmul.ask(seconds=seconds / 5)["rates"].items():
            products.setdefault(shape, []).extend(found)
        for name in list(times):
            answer = workers[name].ask(**request, seconds=seconds)
            if "missing" in answer:
                missing[name] = answer["missing"]
                del times[name]
                continue
            times[name] += answer["times"]
            norms[name] = answer["norms"]
    compare(norms, problem)
    medians = {name: statistics.median(found) for name, found in times.items()}
    return medians, max(map(statistics.median, products.values()))


def compare(norms: dict[str, list[float]], problem: Problem) -> None:
    """Say so where two libraries did not compute the same thing."""
    for name, found in norms.items():
        for expected in norms.values():
            rounds = any(each.endswith("bfloat16") for each in norms)
            if any(
                not math.isclose(a, b, rel_tol=2e-2 if rounds else 1e-3) for a, b in zip(found, expected, strict=True)
            ):
                raise SystemExit(f"{name} computed another gradient of {problem}: norms {norms}")


def pairs(columns: list[str]) -> list[tuple[str, str]]:
    """Return the pairs whose times are compared: of another library and ours, or else of numpy and what is compiled."""
    others = OTHERS if set(OTHERS) & set(columns) else ("numpy",)
    return [(other, own) for own in columns if own not in others for other in columns if other in others]


def header(columns: list[str], cell: str) -> None:
    """Print the head of the table."""
    names = {name: name for name in columns} | {"torch": MODULES[cell], "jax": "jax scan"}
    names["torch-bfloat16"] = f"{MODULES[cell]} autocast"
    titles = ["T, B, inputs, H", *(f"{names[name]} ms" for name in columns)]
    titles += [f"{names[other]} / {own}" for other, own in pairs(columns)]
    for name in rated(columns):
        titles += [f"{name} GFLOP/s", "best product", f"{name} of best"]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")


def rated(columns: list[str]) -> list[str]:
    """Return whose rates are shown: our fastest kernels'."""
    return [name for name in columns if name not in OTHERS][-1:]


def print_row(title: str, problem: Problem, medians: dict[str, float], peak: float) -> None:
    """Print one shape's times, ratios and rates."""
    cells = [title, *(f"{seconds * 1e3:.2f}" for seconds in medians.values())]
    cells += [f"{medians[a] / medians[b]:.2f}" for a, b in pairs(list(medians))]
    for name in rated(list(medians)):
        rate = problem.flops / medians[name] / 1e9
        cells += [f"{rate:.3g}", f"{peak:.3g}", f"{100 * rate / peak:.0f} %"]
    print(f"| {' | '.join(cells)} |", flush=True)
