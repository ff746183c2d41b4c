"""Forecasts whose quantiles cover, and forecasts of logarithms."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blas_rows import rows_alike

import rnnframe as rf
from rnnframe.errors import RnnframeError
from rnnframe_tasks.calibration import RATE, WINDOW, Calibrated

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)
SMALL = ("--cell", "gru:hidden=5", "--epochs", 2, "--steps", 24, "--batch", 8, "--quiet", "--kernels", "numpy")
TASK = "forecast:horizon=4,season=12,quantiles=0.1;0.5;0.9"
Typed = Callable[..., str]


@pytest.fixture
def growing(tmp_path: Path) -> Path:
    """A season that grows by a share of itself, with noise."""
    draw, t = np.random.default_rng(3), np.arange(220)
    values = np.exp(3 + t / 150 + 0.3 * np.sin(t * np.pi / 6) + 0.1 * draw.normal(size=len(t)))
    return written(tmp_path / "growing.csv", values)


def written(path: Path, values: Any) -> Path:
    path.write_text("\n".join(["v", *map(repr, map(float, values))]) + "\n")
    return path


def predicted(run_command: Typed, run: Path, data: Path, out: Path) -> dict[str, np.ndarray]:
    run_command("predict", run, "--data", data, "--out", out, "--kernels", "numpy")
    with np.load(out) as arrays:
        return dict(arrays)


def one_after_the_other(values: np.ndarray, quantiles: np.ndarray, first: int) -> np.ndarray:
    """Return the quantiles of one column moved as the paper writes it, a step ahead and a row at a time."""
    made = quantiles.copy()
    for low, high, outside in ((0, 4, 0.1), (1, 3, 0.2)):
        for k in range(quantiles.shape[1]):
            move, moves, scores = 0.0, [], []
            for row in range(len(quantiles)):
                known = row - k - 1
                if known >= first and np.isfinite(scores[known]):
                    recent = np.abs(scores[max(first, known - WINDOW + 1) : known + 1])
                    move += RATE * np.nanmax(recent) * ((scores[known] > moves[known]) - outside)
                moves.append(move)
                y = values[row + k + 1] if row + k + 1 < len(values) else np.nan
                scores.append(max(quantiles[row, k, low] - y, y - quantiles[row, k, high]))
                made[row, k, low] -= move
                made[row, k, high] += move
    return np.sort(made, axis=-1)


@pytest.mark.parametrize("cuts", [(0, 300), (0, 1, 2, 40, 300), (0, 150, 151, 300)])
def test_quantiles_move_as_the_papers_say_in_pieces_of_any_length(cuts: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    values, present = draw.normal(size=300).cumsum(), draw.random(300) > 0.1
    quantiles = np.sort(values[:, None, None] + draw.normal(size=(300, 3, 5)), axis=-1)
    found = Calibrated(LEVELS, values[:, None], present[:, None], 3, 20)
    rows = np.arange(300)
    pieces = [found.moved(quantiles[low:high, :, None], rows[low:high]) for low, high in itertools.pairwise(cuts)]
    wanted = one_after_the_other(np.where(present, values, np.nan), quantiles, 20)
    np.testing.assert_allclose(np.concatenate(pieces)[:, :, 0], wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("spread", [0.3, 1.0, 4.0])
def test_quantiles_cover_where_the_noise_is_other_than_in_training(spread: float) -> None:
    """Quantiles of a normal distribution with spread 1, for noise that is calmer or wilder."""
    values = spread * np.random.default_rng(1).normal(size=(3000, 1))
    quantiles = np.broadcast_to(np.array([-1.2816, 0.0, 1.2816]), (3000, 2, 1, 3))
    made = Calibrated((0.1, 0.5, 0.9), values, np.ones_like(values, bool), 2, 0).moved(quantiles, np.arange(3000))
    for k in range(2):
        y = values[k + 1 :, 0][300:]
        inside = (made[: len(values) - k - 1, k, 0, 0][300:] <= y) & (y <= made[: len(values) - k - 1, k, 0, 2][300:])
        assert inside.mean() == pytest.approx(0.8, abs=0.02)


def test_calibrated_quantiles_know_the_past_alone_and_nothing_of_the_training_part(
    run_command: Typed, growing: Path, tmp_path: Path
) -> None:
    for name, task in (("plain", TASK), ("moved", f"{TASK},calibrate=yes")):
        told = run_command(
            "train", "--task", task, "--data", growing, "--held-out", 0.3, *SMALL, "--out", tmp_path / name
        )
        assert "coverage" in told
    one, two = (rf.load_model(tmp_path / name).network.parameters.flat for name in ("plain", "moved"))
    np.testing.assert_array_equal(one, two)
    plain = predicted(run_command, tmp_path / "plain", growing, tmp_path / "plain.npz")
    moved = predicted(run_command, tmp_path / "moved", growing, tmp_path / "moved.npz")
    lines = growing.read_text().splitlines()
    growing.write_text("\n".join(lines[:201]))
    shorter = predicted(run_command, tmp_path / "moved", growing, tmp_path / "shorter.npz")
    trained = 220 - 66
    for name, column in moved.items():
        np.testing.assert_array_equal(column[:trained], plain[name][:trained])
        np.testing.assert_array_equal(column[:200], shorter[name])
    ends = ("v+2 q0.1", "v+2 q0.9")
    assert all((moved[name][trained + 2 :] != plain[name][trained + 2 :]).any() for name in ends)
    np.testing.assert_array_equal(moved["v+2 q0.5"], plain["v+2 q0.5"])
    growing.write_text("\n".join([lines[0], *lines[5:]]))  # another beginning: none of it was trained on
    other = predicted(run_command, tmp_path / "moved", growing, tmp_path / "other.npz")
    assert (other["v+2 q0.9"][20:trained] != plain["v+2 q0.9"][24 : trained + 4]).mean() > 0.9


@pytest.mark.parametrize(
    "options", ["", ",difference=12", ",quantiles=0.1;0.5;0.9", ",difference=12,quantiles=0.1;0.9"]
)
def test_a_forecast_of_logarithms_is_that_of_a_file_of_logarithms(
    run_command: Typed, growing: Path, tmp_path: Path, options: str
) -> None:
    """The same weights bit for bit, and every prediction is its exp."""
    logs = written(tmp_path / "logs.csv", np.log(np.loadtxt(growing, skiprows=1)))
    task = f"forecast:horizon=4,season=12{options}"
    run_command("train", "--task", task, "--data", logs, *SMALL, "--out", tmp_path / "logs")
    run_command("train", "--task", f"{task},transform=log", "--data", growing, *SMALL, "--out", tmp_path / "run")
    one, two = (rf.load_model(tmp_path / name).network.parameters.flat for name in ("logs", "run"))
    np.testing.assert_array_equal(one, two)
    of_logs = predicted(run_command, tmp_path / "logs", logs, tmp_path / "logs.npz")
    found = predicted(run_command, tmp_path / "run", growing, tmp_path / "run.npz")
    for name in set(found) - {"row"}:
        np.testing.assert_allclose(found[name], np.exp(of_logs[name]), rtol=1e-12)
    values = np.loadtxt(growing, skiprows=1)
    judged = json.loads(run_command("evaluate", tmp_path / "run", "--data", growing, "--json"))["measures"]
    rows = np.arange(max(11, 12 if "difference" in options else 0), 220 - 4)
    rows = found["row"].searchsorted(rows + 1), rows
    errors = [np.abs(found[f"v+{k}"][rows[0]] - values[rows[1] + k]) for k in range(1, 5)]
    near = 1e-9 if rows_alike() else 1e-7  # of predictions among others
    assert judged["MAE"] == pytest.approx(np.mean(errors), rel=near)


def test_values_without_a_logarithm_are_refused_with_their_row(
    run_command: Typed, growing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task, words = "forecast:horizon=4,transform=log", ("--out", tmp_path / "run")
    run_command("train", "--task", task, "--data", growing, *SMALL, *words)
    lines = growing.read_text().splitlines()
    bad = tmp_path / "bad.csv"
    bad.write_text("\n".join([*lines[:30], "-2", *lines[31:]]))
    model = rf.load_model(tmp_path / "run")
    said = "column 'v' has the value -2 in row 30 of the data, which has no logarithm; leave out transform=log"
    for act in (
        lambda: model.predict(bad),
        lambda: rf.Training(rf.TrainingOptions(task=task, data=str(bad))),
    ):
        with pytest.raises(RnnframeError, match=said):
            act()
    with pytest.raises(RnnframeError, match="a forecast with transform reads no single steps"):
        model.stream()


def test_a_forecast_of_logarithms_is_refused_as_onnx(run_command: Typed, growing: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from rnnframe_onnx import to_onnx

    task = "forecast:horizon=4,transform=log"
    run_command("train", "--task", task, "--data", growing, *SMALL, "--out", tmp_path / "run")
    model = rf.load_model(tmp_path / "run")
    with pytest.raises(RnnframeError, match="a forecast with transform=log cannot be written as ONNX"):
        to_onnx(model.network, model.task, model.learnt)


@pytest.mark.parametrize("quantiles", ["none", "0.5", "0.1;0.5", "0.05;0.9"])
def test_quantiles_that_end_no_interval_cannot_be_calibrated(quantiles: str) -> None:
    with pytest.raises(RnnframeError, match=r"'calibrate' needs quantiles in pairs such as 0.1;0.9"):
        rf.task(f"forecast:quantiles={quantiles},calibrate=yes")
