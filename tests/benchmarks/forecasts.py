"""Eleven public series: MASE of a GRU beside the seasonal-naive forecast and ETS, and how its quantiles cover.

    python -m tests.benchmarks forecasts [--only NAME,...] [--hidden N] [--seed N]

The series are those that the wheels of sktime, statsmodels and vega_datasets carry, downloaded by pip and unpacked. The
last fifth of each is set apart. The GRU is trained on the rows before it, the last fifth of which choose the epoch, and
whether logarithms are learnt where all values are above 0; all series have one command line, in which horizon, season
and epochs follow from the series. Forecasts are then made at the same rows of the part set apart by all three:
`rnnframe backtest` of the GRU, which is not trained again, and an ETS model whose form (AICc) and parameters are those
of the rows before, and which is smoothed up to each row. Errors are scaled by those of the seasonal-naive forecast on
the rows before. The share of values between the quantiles is that of the network's own, and of calibrated ones. Needs
statsmodels and pandas.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from tests.benchmarks.machine import machine_line
from tests.benchmarks.options import names_of
from tests.wheels import NoWheelError, unpacked

SKTIME, STATSMODELS, VEGA = "sktime==1.2.0", "statsmodels==0.15.0", "vega_datasets==0.9.0"
ORIGINS, SHARE, WINDOWS = 24, 0.2, 16_000
"""Origins of a series at most, the share that is set apart, and the windows that are trained on in all epochs."""


def column(name: str | int) -> Callable[[Any], Any]:
    """Return what takes a column of a table, by its name or place."""
    return lambda table: table[name] if isinstance(name, str) else table.iloc[:, name]


def _months_in_a_row(table: Any) -> Any:
    """Return a table with a row a year and a column a month as one series."""
    import pandas as pd

    return pd.Series(table.iloc[:, 1:].to_numpy().ravel())


@attrs.frozen
class Subject:
    """A series: the wheel that carries it, its file there, rows of a season, steps ahead, and what reads the table."""

    wheel: str
    file: str
    season: int
    horizon: int
    values: Callable[[Any], Any]


DATA, RESULTS = "statsmodels/datasets/", "statsmodels/tsa/"
SUBJECTS = {
    "AirPassengers": Subject(SKTIME, "sktime/datasets/data/Airline/Airline.csv", 12, 12, column(1)),
    "sunspots": Subject(STATSMODELS, DATA + "sunspots/sunspots.csv", 11, 11, column("SUNACTIVITY")),
    "co2": Subject(STATSMODELS, DATA + "co2/co2.csv", 52, 12, column("co2")),
    "elec_equip": Subject(STATSMODELS, DATA + "elec_equip/elec_equip.csv", 12, 12, column(1)),
    "elnino": Subject(STATSMODELS, DATA + "elnino/elnino.csv", 12, 12, _months_in_a_row),
    "housing starts": Subject(STATSMODELS, RESULTS + "holtwinters/tests/results/housing-data.csv", 12, 12, column(1)),
    "electricity": Subject(STATSMODELS, RESULTS + "stl/tests/results/mstl_elec_vic.csv", 24, 24, column("y")),
    "nile": Subject(STATSMODELS, DATA + "nile/nile.csv", 1, 6, column("volume")),
    "employment": Subject(VEGA, "vega_datasets/_data/us-employment.csv", 12, 12, column("nonfarm")),
    "construction": Subject(VEGA, "vega_datasets/_data/us-employment.csv", 12, 12, column("construction")),
    "temperature": Subject(VEGA, "vega_datasets/_data/seattle-temps.csv", 24, 24, column("temp")),
}
"""All but the Nile have a season; that of the sunspots, about eleven years, has no fixed length."""


COLUMNS = (
    "series",
    "rows",
    "season, horizon",
    "origins",
    "seasonal-naive",
    "ETS",
    "GRU",
    "logarithms",
    "inside 80 %",
    "calibrated",
    "seconds",
)


def main(words: list[str]) -> None:
    """Forecast each series and print a row for it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks forecasts")
    parser.add_argument("--only", type=names_of(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--hidden", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(words)
    if find_spec("statsmodels") is None or find_spec("pandas") is None:
        sys.exit("the forecasts beside ours need statsmodels and pandas; run: pip install statsmodels pandas")
    print(f"{machine_line()}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    covered: list[Any] = []
    for name in options.only:
        try:
            row, inside = judged(name, options.hidden, options.seed)
        except NoWheelError as error:
            sys.exit(f"{error}; run: pip download {SUBJECTS[name].wheel}")
        covered.append(inside)
        print(row, flush=True)
    plain, calibrated = np.concatenate(covered, axis=1).mean(axis=1)
    print(f"\nof all values {plain:.1%} lie inside, calibrated {calibrated:.1%};", end=" ")
    print(f"within 8 % of 80 % are {within(covered)} of {len(covered)} series")


def judged(name: str, hidden: int, seed: int) -> tuple[str, Any]:
    """Return the row of a series, and which of the values set apart lie between the outer quantiles, [2, values]:
    between those that the network gives, and between the calibrated ones.
    """
    import pandas as pd

    subject = SUBJECTS[name]
    values = subject.values(pd.read_csv(unpacked(subject.wheel) / subject.file)).reset_index(drop=True).astype(float)
    before = len(values) - round(SHARE * len(values))
    stride = max(1, (len(values) - before - subject.horizon) // (ORIGINS - 1))
    origins = np.arange(len(values) - subject.horizon, before - 1, -stride)[:ORIGINS][::-1]
    begun = time.perf_counter()
    plain, ours, log = forecasts(values, before, stride, len(origins), words_of(subject, before, hidden, seed))
    seconds = time.perf_counter() - begun
    scale = values[:before].diff(subject.season).abs().mean()
    truth = ours.truth.to_numpy()
    there = np.isfinite(truth)
    assert ours.origin.unique().tolist() == origins.tolist()
    witness = smoothed(values.ffill(), before, origins, subject)
    errors = [np.abs(each - truth)[there].mean() / scale for each in (ours.seasonal_naive, witness, ours.forecast)]
    inside = np.stack([((each["q0.1"] <= each.truth) & (each.truth <= each["q0.9"]))[there] for each in (plain, ours)])
    figures = " | ".join(f"{error:.2f}" for error in errors)
    about = f"{len(values):,} | {subject.season}, {subject.horizon} | {len(origins)}"
    shares = " | ".join(f"{share:.0%}" for share in inside.mean(axis=1))
    return f"| {name} | {about} | {figures} | {'yes' if log else 'no'} | {shares} | {seconds:.0f} |", inside


def within(covered: list[Any]) -> int:
    """Return in how many series the calibrated share is within 8 % of 80 %."""
    return sum(abs(inside[1].mean() - 0.8) <= 0.08 for inside in covered)


def words_of(subject: Subject, before: int, hidden: int, seed: int) -> list[str]:
    """Return the command line of a training: the same for all, but for what follows from rows, season and horizon."""
    options = f"horizon={subject.horizon},season={subject.season},difference={subject.season},missing=last,stride=1"
    task = f"forecast:{options},quantiles=0.1;0.5;0.9"
    epochs = min(100, max(3, WINDOWS // before))
    cell, steps = f"gru:hidden={hidden}", max(24, subject.season)
    learning = ["--optimizer", "adam:lr=5e-3", "--rate", "cosine", "--epochs", str(epochs), "--batch", "16"]
    return [
        "--task",
        task,
        "--cell",
        cell,
        "--steps",
        str(steps),
        "--held-out",
        str(SHARE),
        *learning,
        "--seed",
        str(seed),
    ]


def forecasts(values: Any, before: int, stride: int, origins: int, words: list[str]) -> tuple[Any, Any, bool]:
    """Return what a new GRU forecasts from rows of the part set apart, as `rnnframe backtest` writes it.

    Twice, with its quantiles as the network gives them and calibrated; and whether it has learnt logarithms, since its
    error on the held-out part was then smaller.
    """
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        train, whole, out = (str(Path(folder, name)) for name in ("train.csv", "whole.csv", "out.csv"))
        values[:before].to_frame("value").to_csv(train, index=False)
        values.to_frame("value").to_csv(whole, index=False)
        errors: dict[str, float] = {}
        for transform in ("", ",transform=log") if values.min() > 0 else ("",):
            run = str(Path(folder, f"run{transform}"))
            options = [*words[:1], f"{words[1]}{transform}", *words[2:]]
            typed("train", *options, "--data", train, "--out", run, "--quiet")
            errors[transform] = json.loads(typed("evaluate", run, "--json"))["measures"]["MASE"]
        best = min(errors, key=lambda transform: errors[transform])
        made = []
        for more in ("", ",calibrate=yes"):
            run = str(Path(folder, f"run{best}"))
            if more:
                options = [*words[:1], f"{words[1]}{best}{more}", *words[2:]]
                run = str(Path(folder, "calibrated"))
                typed("train", *options, "--data", train, "--out", run, "--quiet")  # the same weights
            chosen = ("--stride", str(stride), "--origins", str(origins))
            typed("backtest", run, "--data", whole, *chosen, "--out", out, "--json")
            made.append(pd.read_csv(out))
    return made[0], made[1], bool(best)


def smoothed(values: Any, before: int, origins: Any, subject: Subject) -> Any:
    """Return what ETS forecasts from each origin in turn; its form is that of the least AICc on the rows before."""
    from statsmodels.tsa.exponential_smoothing.ets import ETSModel

    y, season = values.to_numpy(), subject.season
    fits: list[tuple[float, dict[str, Any], Any]] = []
    signs = ["add", "mul"] if y.min() > 0 else ["add"]
    for sign, trend in itertools.product(signs, (None, "add")):
        form = {"error": sign, "trend": trend, "damped_trend": trend is not None}
        if season > 1:
            form |= {"seasonal": sign, "seasonal_periods": season}
        form["initialization_method"] = "heuristic"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = ETSModel(y[:before], **form).fit(disp=False, maxiter=200)
        fits.append((float(found.aicc), form, found.params))
    _, form, params = min(fits, key=lambda fit: fit[0])
    return np.concatenate([ETSModel(y[:origin], **form).smooth(params).forecast(subject.horizon) for origin in origins])


def typed(*words: str) -> str:
    """Type a command and return what it prints."""
    done = subprocess.run([sys.executable, "-m", "rnnframe", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"rnnframe {words[0]}: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout
