"""What a recurrence can learn, by cell: parity, copying, and adding over 600 steps.

    python -m tests.benchmarks theory [--problems parity,copy,adding] [--cells gru,mingru,...] [--seeds N] [--updates N]

parity: a bit at each step, the parity of all bits until now is asked for at each step. Trained on 24 steps, judged on
the steps 25 to 96 of longer sequences, where guessing reaches 50 %. A layer whose state is multiplied by numbers from 0
to 1 that depend on x cannot do it, nor one whose numbers do not depend on x (Grazzi, Siems, Zela et al. 2024,
arXiv 2411.12537). Nor can a single indrnn: whether a unit rises or falls with what it was before is the sign of its w,
at a one as at a zero.

copy: 5 symbols of 8, 25 empty steps, then the symbols are asked for (Hochreiter & Schmidhuber 1997): guessing reaches
12.5 %.

adding: of 600 numbers from 0 to 1 two are marked, and their sum is asked for at the end (the same paper, section 5.4).
Guessing 1 has a mean squared error of 0.167; the GRU of Bai, Kolter & Koltun (2018, arXiv 1803.01271) reaches 5.3e-5. A
linear recurrence right on x cannot do it: it adds up the marks apart from the numbers. On units that let a marked
number alone through, relu(x + mark - 1), it can, if it forgets slowly enough.

Each cell is a layer of 64 values before a dense readout, but those that put out as much as comes in stand on a dense
layer of 64. Adam with a learning rate of 4e-3, gradients clipped to 1, 64 samples fresh at each update; which seeds
reached the goal, 99 % right or an error of 1e-3, is counted, and the median of the figure shown.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import attrs
import numpy as np

import rnnframe as rf
from tests.benchmarks.machine import machine_line
from tests.benchmarks.options import names_of

CELLS = {
    "elman": ["elman:hidden=64"],
    "gru": ["gru:hidden=64"],
    "lstm": ["lstm:hidden=64"],
    "slstm": ["slstm:hidden=64"],
    "indrnn": ["indrnn:hidden=64"],
    "mingru": ["mingru:hidden=64"],
    "minlstm": ["minlstm:hidden=64"],
    "lru": ["lru:units=64,states=64"],
    "relu lru": ["dense:units=64,activation=relu", "lru:units=64,states=64,least=0.99,most=0.9999"],
    "rglru": ["dense:units=64", "rglru"],
    "selective-ssm": ["dense:units=64", "selective-ssm"],
    "linear-attention": ["linear-attention:heads=4,keys=16,values=16"],
}
BATCH, SYMBOLS, COPIED, DELAY, ADDED = 64, 8, 5, 25, 600


@attrs.frozen(kw_only=True)
class Problem:
    """How samples are made, and what is judged.

    `samples` makes x, targets and weights of the losses (None: all count) from a generator, a number of samples, and
    whether they are judged. `figure` is found from outputs, targets and weights; `reached` tells whether it is good.
    """

    inputs: int
    head: str
    samples: Callable[[np.random.Generator, int, bool], tuple[np.ndarray, np.ndarray, np.ndarray | None]]
    measure: str
    figure: Callable[[np.ndarray, np.ndarray, np.ndarray | None], float]
    reached: Callable[[float], bool]
    shown: str
    updates: int = 1500
    cells: tuple[str, ...] = tuple(name for name in CELLS if name != "relu lru")


def parity(rng: np.random.Generator, count: int, judged: bool):
    """Return bits [T, B, 1] and their parities until each step; judged are the steps that training does not have."""
    steps = 96 if judged else 24
    bits = rng.integers(0, 2, (steps, count))
    weights = np.ones((steps, count), np.float32)
    weights[: 24 if judged else 0] = 0
    return bits[:, :, None].astype(np.float32), np.cumsum(bits, axis=0) % 2, weights


def copying(rng: np.random.Generator, count: int, judged: bool):
    """Return one-hot symbols, then a delay, then a mark at each step where one is asked for."""
    symbols = rng.integers(0, SYMBOLS, (COPIED, count))
    steps = 2 * COPIED + DELAY
    x, y = np.zeros((steps, count, SYMBOLS + 1), np.float32), np.zeros((steps, count), np.int64)
    x[:COPIED, :, :SYMBOLS] = np.eye(SYMBOLS, dtype=np.float32)[symbols]
    x[-COPIED:, :, SYMBOLS] = 1
    y[-COPIED:] = symbols
    weights = np.zeros((steps, count), np.float32)
    weights[-COPIED:] = 1
    return x, y, weights


def adding(rng: np.random.Generator, count: int, judged: bool):
    """Return numbers beside marks, [T, B, 2], and the sum of the two marked ones, one in each half."""
    x, samples = np.zeros((ADDED, count, 2), np.float32), np.arange(count)
    x[..., 0] = rng.random((ADDED, count))
    places = [rng.integers(first, first + ADDED // 2, count) for first in (0, ADDED // 2)]
    for place in places:
        x[place, samples, 1] = 1
    return x, sum(x[place, samples, :1] for place in places), None


def share_right(outputs: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Return the share of right answers where they count."""
    return float(np.mean((outputs.argmax(axis=2) == y)[weights > 0]))


def squared_error(outputs: np.ndarray, y: np.ndarray, _: None) -> float:
    """Return the mean squared error at the last step."""
    return float(np.mean(np.square(outputs[-1] - y)))


def right_enough(figure: float) -> bool:
    """99 %."""
    return figure >= 0.99


def near_enough(figure: float) -> bool:
    """1e-3."""
    return figure <= 1e-3


PROBLEMS = {
    "parity": Problem(
        inputs=1,
        head="softmax:classes=2",
        samples=parity,
        measure="right at steps 25 to 96",
        figure=share_right,
        reached=right_enough,
        shown=".1%",
    ),
    "copy": Problem(
        inputs=SYMBOLS + 1,
        head=f"softmax:classes={SYMBOLS}",
        samples=copying,
        measure="symbols right",
        figure=share_right,
        reached=right_enough,
        shown=".1%",
    ),
    "adding": Problem(
        inputs=2,
        head="mse:outputs=1,at=last",
        samples=adding,
        measure="squared error",
        figure=squared_error,
        reached=near_enough,
        shown=".1e",
        updates=2000,
        cells=("elman", "lstm", "gru", "mingru", "lru", "relu lru"),
    ),
}


def main(words: list[str]) -> None:
    """Train each cell on each problem, and print a Markdown table of each problem."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks theory")
    parser.add_argument("--problems", type=names_of(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--cells", type=names_of(CELLS), help="none: all that the problem is meant for")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, help="at most; none: as many as the problem is given")
    parser.add_argument("--kernels", default="auto", help="what computes the cells")
    options = parser.parse_args(words)
    print(machine_line(), flush=True)
    for name in options.problems:
        problem = PROBLEMS[name]
        updates = options.updates or problem.updates
        print(f"\n{name}, at most {updates} updates\n")
        print(
            f"| cell | {problem.measure} | solved | updates until then | seconds |\n|---|---|---|---|---|", flush=True
        )
        for cell in options.cells or problem.cells:
            print(row(problem, cell, updates, options), flush=True)


def row(problem: Problem, cell: str, updates: int, options: argparse.Namespace) -> str:
    """Return the row of a cell."""
    begun = time.perf_counter()
    found = [trained(problem, cell, updates, seed, options.kernels) for seed in range(options.seeds)]
    figure = statistics.median(figure for figure, _ in found)
    solved = [done for figure, done in found if problem.reached(figure)]
    until = f"{statistics.median(solved):,.0f}" if solved else ""
    shown, seconds = format(figure, problem.shown), time.perf_counter() - begun
    return f"| {cell} | {shown} | {len(solved)} of {len(found)} | {until} | {seconds:.0f} |"


def trained(problem: Problem, cell: str, updates: int, seed: int, kernels: str) -> tuple[float, int]:
    """Train until the goal is reached; return the last figure, and after how many updates."""
    network = rf.Network(CELLS[cell], problem.head, problem.inputs, seed=seed)
    trainer = rf.Trainer(rf.Engine(network, seed=seed, kernels=kernels), "adam:lr=4e-3", clip=1.0)
    rng, (x, y, weights) = np.random.default_rng(seed), problem.samples(np.random.default_rng(999), 256, True)
    for update in range(1, updates + 1):
        given, targets, counted = problem.samples(rng, BATCH, False)
        trainer.step(given, targets, weights=counted)
        if update % 100 == 0 or update == updates:
            outputs, _ = rf.Inference(network).predict(x)
            figure = problem.figure(outputs, y, weights)
            if problem.reached(figure):
                break
    return figure, update
