"""Whole epochs of training on tiny Shakespeare beside torch: batches, head, clipping and optimizer included.

    RNNFRAME_DATA=FOLDER python -m tests.benchmarks epoch [--threads 1,2] [--only torch,numpy,...] [--epochs N]
                                                          [--seeds N] [--turn BATCHES] [--turns N]

The corpus is tinyshakespeare.txt in that folder, its last tenth held out: 32 streams read 128 characters at a time, the
state carried from batch to batch; one LSTM of 256, readout and cross entropy over 65 characters; Adam with lr 2e-3, the
gradient clipped to norm 1. Ours is `Training`, as `rnnframe train` runs it.

- `torch` is what its users write: nn.Embedding of 64, nn.LSTM, nn.Linear. `torch one-hot` is our network: the LSTM
  reads one-hot vectors, and starts from our parameters. Ours looks the rows of U up.
- Multiply-adds a character, forward and backward: ours 0.84 million, one-hot 0.97, with the embedding 1.03.

Each runs in a process of its own, held to as many cores as threads, and they take turns of some batches. The time of an
epoch is the median turn's time a batch, times the batches of an epoch; validation is left out. With --turns it stops
early, which is enough for the times.
"""

import argparse
import os
import statistics
import sys
from pathlib import Path

import attrs

from tests.benchmarks.machine import machine_line
from tests.benchmarks.options import names_of, numbers
from tests.benchmarks.processes import Worker

CORPUS = "tinyshakespeare.txt"
BATCH, STEPS, HIDDEN, EMBEDDING, LR, CLIP = 32, 128, 256, 64, 2e-3, 1.0
SUBJECTS = ("torch", "torch one-hot", "numpy", "compiled")
MODULE = "tests.benchmarks.epoch_worker"


@attrs.define
class Course:
    """How a training goes: seconds a batch of each turn, and the held-out loss of each epoch and seed."""

    seconds: list[float] = attrs.field(factory=list)
    losses: dict[tuple[int, int], float] = attrs.field(factory=dict)
    batches: int = 0

    @property
    def epoch(self) -> float:
        """Seconds of an epoch."""
        return statistics.median(self.seconds) * self.batches


def main(words: list[str]) -> None:
    """Train and print a Markdown table for each number of threads."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks epoch")
    parser.add_argument("--threads", type=numbers, default=[1, 2])
    parser.add_argument("--only", type=names_of(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--turn", type=int, default=25, metavar="BATCHES", help="a tenth of an epoch by default")
    parser.add_argument("--turns", type=int, default=sys.maxsize, help="stop after so many")
    options = parser.parse_args(words)
    corpus = Path(os.environ.get("RNNFRAME_DATA", "")) / CORPUS
    if not corpus.is_file():
        sys.exit(f"{CORPUS} is not in the folder that RNNFRAME_DATA names; put it there")
    print(machine_line(), flush=True)
    for threads in options.threads:
        courses: dict[str, Course] = {name: Course() for name in options.only}
        missing: dict[str, str] = {}
        for seed in range(options.seeds):
            workers = {name: Worker(MODULE, name, threads, str(corpus), str(seed)) for name in courses}
            for epoch in range(options.epochs):
                one_epoch(workers, courses, (epoch, seed), options, missing)
            for worker in workers.values():
                worker.close()
            courses = {name: course for name, course in courses.items() if name not in missing}
        table(courses, threads, options.epochs, options.seeds)
        for name, why in missing.items():
            print(f"\n{name} was left out: {why}", flush=True)


def one_epoch(
    workers: dict[str, Worker],
    courses: dict[str, Course],
    place: tuple[int, int],
    options: argparse.Namespace,
    missing: dict[str, str],
) -> None:
    """Let each train for an epoch, in turns."""
    going = [name for name in courses if name not in missing]
    for _ in range(options.turns):
        for name in list(going):
            answer = workers[name].ask(batches=options.turn)
            if "missing" in answer:
                missing[name] = answer["missing"]
                going.remove(name)
                continue
            courses[name].seconds.append(answer["seconds"] / answer["batches"])
            courses[name].batches = answer["batches_of_an_epoch"]
            if answer["valid_loss"] is not None:
                courses[name].losses[place] = answer["valid_loss"]
                going.remove(name)
        if not going:
            return


def table(courses: dict[str, Course], threads: int, epochs: int, seeds: int) -> None:
    """Print seconds an epoch with the ratios to ours, and the losses of each epoch, one value a seed."""
    print(f"\n{threads} thread(s)\n")
    own = [name for name in courses if not name.startswith("torch")]
    told = [epoch for epoch in range(epochs) if any((epoch, 0) in course.losses for course in courses.values())]
    titles = ["", "seconds an epoch", *(f"beside {name}" for name in own)]
    titles += [f"epoch {epoch + 1}, nats/char" for epoch in told]
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for name, course in courses.items():
        cells = [name, f"{course.epoch:.2f}", *(f"{course.epoch / courses[one].epoch:.2f}" for one in own)]
        for epoch in told:
            losses = [course.losses.get((epoch, seed)) for seed in range(seeds)]
            cells.append(", ".join(f"{loss:.3f}" for loss in losses if loss is not None))
        print(f"| {' | '.join(cells)} |", flush=True)
