"""Run as a program: a plugin of each kind for each of its methods, which fails; type commands that call it.

    python methods.py FOLDER SEED

tries every fourth method, from number SEED on. A command that fails must say so on one line that names the plugin.
Prints how many plugins were tried, and what failed.
"""

import inspect
import io
import json
import os
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import rnnframe.plugin
from rnnframe.cli import main

SOURCE = """
import attrs, rnnframe as rf
from rnnframe.plugin import hookimpl
base = type(rf.default_registry().{make}({spec!r}))
def fail(self, *_, **__):
    raise RuntimeError("no more")
Failing = attrs.frozen(kw_only=True)(type("Failing", (base,), {{"name": "failing", {method!r}: {wrap}(fail)}}))
@hookimpl
def {hook}():
    return [Failing]
"""
KINDS = {  # what makes one -> spec of a working one, hook, contracts, words of a command
    "cell": ("elman:hidden=2", "rnnframe_cells", ("Layer", "Cell"), ("--cell", "failing:hidden=3")),
    "readout": ("affine", "rnnframe_readouts", ("Readout",), ("--head", "mse:readout=failing,outputs=2")),
    "loss": ("mse", "rnnframe_losses", ("Loss",), ("--head", "failing:outputs=2")),
    "optimizer": ("sgd", "rnnframe_optimizers", ("Optimizer",), ("--optimizer", "failing")),
    "learning_rate": ("constant", "rnnframe_learning_rates", ("LearningRate",), ("--rate", "failing")),
    "store": ("checkpoint:slots=2", "rnnframe_state_stores", ("StateStore",), ("--store", "failing")),
    "medium": ("float16", "rnnframe_media", ("Medium",), ("--store", "checkpoint:medium=failing")),
    "task": ("characters", "rnnframe_tasks", ("Task",), ("--task", "failing")),
    "observer": ("tensorboard:path=x", "rnnframe_observers", ("Observer",), ("--observer", "failing:path=x")),
}
TRAIN = [
    "--batch",
    "2",
    "--steps",
    "8",
    "--epochs",
    "1",
    "--quiet",
    "--sample",
    "5",
    "--kernels",
    "numpy",
    "--shards",
    "1",
]
SIZES = ["--inputs", "2", "--steps", "8", "--batch", "2"]


def typed(*words: object) -> tuple[int, str]:
    """Type a command in this process; return the exit code and what it said."""
    sys.argv = ["rnnframe", *map(str, words)]
    told = io.StringIO()
    try:
        with redirect_stderr(told), redirect_stdout(io.StringIO()):
            main()
    except SystemExit as end:
        return int(end.code or 0), told.getvalue()


def all_methods() -> list[tuple[str, str, str]]:
    """Return kinds with the methods of their contracts, and how each is declared."""
    found = []
    for make, (_, _, contracts, _) in KINDS.items():
        for contract in contracts:
            for name, value in vars(getattr(rnnframe.plugin, contract)).items():
                kinds = {property: "property", classmethod: "classmethod"}
                if not name.startswith("_") and (inspect.isfunction(value) or type(value) in kinds):
                    found.append((make, name, kinds.get(type(value), "")))
    return found


def commands(make: str, text: Path, run: Path) -> list[tuple[object, ...]]:
    """Return commands that use a plugin of a kind."""
    words = KINDS[make][3]
    if make in ("readout", "loss"):
        network = ("--cell", "elman:hidden=3", *words, *SIZES)
        return [("plan", *network), ("compare", *network)]
    found: list[tuple[object, ...]] = [("train", "--data", text, *TRAIN, *words, "--out", run)]
    found += [("evaluate", run), ("predict", run, "--data", text, "--out", text.with_name("out.csv"))]
    found.append(("sample", run, "--length", 3))
    return found + ([("plan", *SIZES, *words)] if make in ("cell", "store", "medium") else [])


def attack(folder: Path, seed: int) -> dict[str, object]:
    text, run = folder / "text.txt", folder / "run"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 20)
    os.chdir(folder)
    failed, chosen = [], all_methods()[seed % 4 :: 4]
    for make, method, wrap in chosen:
        spec, hook = KINDS[make][:2]
        file = folder / f"{make}_{method}.py"
        file.write_text(SOURCE.format(make=make, spec=spec, hook=hook, method=method, wrap=wrap))
        shutil.rmtree(run, ignore_errors=True)
        for words in commands(make, text, run):
            if words[0] != "train" and run in words and not (run / "weights.safetensors").exists():
                continue
            code, told = typed("--plugin", file, *words)
            unnamed = code and file.name not in told
            if unnamed or code not in (0, 1, 2) or told.count("\n") > 1 or "Traceback" in told:
                failed.append(f"{make}.{method}, {words[0]}: {code} {told[:300]!r}")
    return {"tried": len(chosen), "failed": failed}


if __name__ == "__main__":
    print(json.dumps(attack(Path(sys.argv[1]).resolve(), int(sys.argv[2]))))
