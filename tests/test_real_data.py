"""Proofs on real data, which take minutes: `pytest -m slow`, with -s to see the figures.

The data is what aeon, scikit-learn and statsmodels carry, where they are installed, or files of the same names in the
folder that RNNFRAME_DATA names; for the chorales that folder alone.
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow


def found(name: str, package: str | None = None, inside: str = "") -> Path:
    """Return a file of RNNFRAME_DATA or of an installed package; skip the test where there is none."""
    spec = importlib.util.find_spec(package) if package else None
    folders = [Path(os.environ.get("RNNFRAME_DATA", ""))]
    folders += [Path(place, inside) for place in (spec.submodule_search_locations or [] if spec else [])]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    carrier = f", or {package} installed" if package else ""
    pytest.skip(f"needs {name} in the folder that RNNFRAME_DATA names{carrier}")


def rnnframe(*words: object) -> dict:
    """Type a command and return what it prints as JSON."""
    command = [sys.executable, "-m", "rnnframe", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report: dict = json.loads(done.stdout)
    print(*words[:5], {name: value for name, value in report.items() if "loss" in name or name == "measures"})
    return report


def test_japanese_vowels_are_told_apart(tmp_path: Path) -> None:
    inside = "datasets/data/JapaneseVowels"
    train, test = (found(f"JapaneseVowels_{part}.ts", "aeon", inside) for part in ("TRAIN", "TEST"))
    words = ("--cell", "gru:hidden=64", "--batch", 16, "--epochs", 30, "--quiet")
    rnnframe("train", "--task", "classify", "--data", train, "--out", tmp_path / "run", *words)
    judged = rnnframe("evaluate", tmp_path / "run", "--data", test)
    assert judged["count"] == 370
    assert judged["measures"]["accuracy"] >= 0.95


def test_digits_are_told_apart_pixel_by_pixel(tmp_path: Path) -> None:
    file = found("digits.csv.gz", "sklearn", "datasets/data")
    table = np.loadtxt(file, delimiter=",", dtype=np.float32)
    order = np.random.default_rng(0).permutation(len(table))
    for name, chosen in {"train": order[360:], "test": order[:360]}.items():
        np.savez(tmp_path / f"{name}.npz", x=table[chosen, :-1, None], y=table[chosen, -1].astype(int))
    words = ("--cell", "gru:hidden=128", "--batch", 16, "--optimizer", "adamw:lr=5e-3,weight_decay=0.1", "--epochs", 30)
    run = ("--out", tmp_path / "run", "--quiet")
    rnnframe("train", "--task", "classify", "--data", tmp_path / "train.npz", *run, *words)
    judged = rnnframe("evaluate", tmp_path / "run", "--data", tmp_path / "test.npz")
    assert judged["count"] == 360
    assert judged["measures"]["accuracy"] >= 0.92


def test_co2_is_forecast_better_than_by_repeating_the_last_year() -> None:
    task = "forecast:column=co2,horizon=12,season=52,difference=52,missing=last"
    words = ("--cell", "gru:hidden=32", "--steps", 104, "--held-out", 0.2, "--epochs", 12, "--quiet")
    file = found("co2.csv", "statsmodels", "datasets/co2")
    measures = rnnframe("train", "--task", task, "--data", file, *words)["measures"]
    assert measures["MAE"] < measures["seasonal-naive MAE"] / 2


def test_chorales_are_predicted_nearly_as_well_as_in_the_literature(tmp_path: Path) -> None:
    """Bai, Kolter & Koltun (2018), table 1: 8.45 nats a step for an LSTM."""
    file = found("jsb_chorales.npz")
    words = ("--cell", "lstm:hidden=200", "--batch", 8, "--optimizer", "adam:lr=1e-2", "--epochs", 40, "--quiet")
    rnnframe("train", "--task", "rolls", "--data", file, "--out", tmp_path / "run", *words)
    judged = rnnframe("evaluate", tmp_path / "run", "--data", file)
    assert judged["measures"]["nats/step, mean over rolls"] < 8.65


def test_two_numbers_are_added_over_600_steps() -> None:
    task = "adding:length=600,samples=20000"
    words = ("--cell", "gru:hidden=64", "--batch", 50, "--optimizer", "adam:lr=5e-3", "--epochs", 4, "--quiet")
    assert rnnframe("train", "--task", task, *words)["valid_loss"] < 0.01
