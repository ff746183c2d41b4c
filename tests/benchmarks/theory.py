"""What a recurrence can learn, by cell: parity, and copying.

    python -m tests.benchmarks theory [--problems parity,copy] [--cells gru,mingru,...] [--seeds N] [--updates N]

parity: a bit at each step, the parity of all bits until now is asked for at each step. Trained on 24 steps, judged on
the steps 25 to 96 of longer sequences, where guessing reaches 50 %. A layer whose state is multiplied by numbers from 0
to 1 that depend on x cannot do it, nor one whose numbers do not depend on x (Grazzi, Siems, Zela et al. 2024,
arXiv 2411.12537). Nor can a single indrnn: whether a unit rises or falls with what it was before is the sign of its w,
at a one as at a zero.

copy: 5 symbols of 8, 25 empty steps, then the symbols are asked for (Hochreiter & Schmidhuber 1997): guessing reaches
12.5 %.

Each cell is a layer of 64 values before a dense readout, but those that put out as much as comes in stand on a dense
layer of 64. Adam with a learning rate of 4e-3, gradients clipped to 1, 64 samples fresh at each update; which seeds
reached the goal, 99 % right, is counted, and the median of the figure shown.
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
    "rglru": ["dense:units=64", "rglru"],
    "selective-ssm": ["dense:units=64", "selective-ssm"],
    "linear-attention": ["linear-attention:heads=4,keys=16,values=16"],
}
BATCH, SYMBOLS, COPIED, DELAY = 64, 8, 5, 25
GOAL = 0.99


@attrs.frozen
class Problem:
    """How samples are made, and what is judged.

    `samples` makes x, classes and weights of the losses from a generator, a number of samples, and whether they are
    judged.
    """

    inputs: int
    classes: int
    samples: Callable[[np.random.Generator, int, bool], tuple[np.ndarray, np.ndarray, np.ndarray]]
    measure: str


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


PROBLEMS = {
    "parity": Problem(1, 2, parity, "right at steps 25 to 96"),
    "copy": Problem(SYMBOLS + 1, SYMBOLS, copying, "symbols right"),
}


def main(words: list[str]) -> None:
    """Train each cell on each problem, and print a Markdown table of each problem."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks theory")
    parser.add_argument("--problems", type=names_of(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--cells", type=names_of(CELLS), default=list(CELLS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=1500, help="at most")
    options = parser.parse_args(words)
    print(machine_line(), flush=True)
    for name in options.problems:
        problem = PROBLEMS[name]
        print(f"\n{name}, at most {options.updates} updates\n")
        print(
            f"| cell | {problem.measure} | solved | updates until then | seconds |\n|---|---|---|---|---|", flush=True
        )
        for cell in options.cells:
            print(row(problem, cell, options.updates, options.seeds), flush=True)


def row(problem: Problem, cell: str, updates: int, seeds: int) -> str:
    """Return the row of a cell."""
    begun = time.perf_counter()
    found = [trained(problem, cell, updates, seed) for seed in range(seeds)]
    figure = statistics.median(figure for figure, _ in found)
    solved = [done for figure, done in found if figure >= GOAL]
    until = f"{statistics.median(solved):.0f}" if solved else ""
    return f"| {cell} | {figure:.1%} | {len(solved)} of {seeds} | {until} | {time.perf_counter() - begun:.0f} |"


def trained(problem: Problem, cell: str, updates: int, seed: int) -> tuple[float, int]:
    """Train until the goal is reached; return the last figure, and after how many updates."""
    network = rf.Network(CELLS[cell], f"softmax:classes={problem.classes}", problem.inputs, seed=seed)
    trainer = rf.Trainer(rf.Engine(network, seed=seed), "adam:lr=4e-3", clip=1.0)
    rng, judged = np.random.default_rng(seed), problem.samples(np.random.default_rng(999), 256, True)
    for update in range(1, updates + 1):
        x, y, weights = problem.samples(rng, BATCH, False)
        trainer.step(x, y, weights=weights)
        if update % 100 == 0 or update == updates:
            figure = judge(network, *judged)
            if figure >= GOAL:
                break
    return figure, update


def judge(network: rf.Network, x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """Return the share of right answers where they count."""
    outputs, _ = rf.Inference(network).predict(x)
    return float(np.mean((outputs.argmax(axis=2) == y)[weights > 0]))
