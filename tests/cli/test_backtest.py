"""`rnnframe backtest`: its errors are those that pandas finds from the raw values and the written forecasts."""

import json
from pathlib import Path

import numpy as np
import pytest

from .conftest import Run

pd = pytest.importorskip("pandas", reason="reads tables")

ROWS, TRAIN, HORIZON, SEASON = 150, 120, 4, 7
TASK = f"forecast:horizon={HORIZON},season={SEASON},difference={SEASON},missing=last"
WORDS = ("--cell", "gru:hidden=5", "--steps", 28, "--epochs", 1, "--held-out", 0.2, "--quiet", "--kernels", "numpy")


@pytest.fixture
def days(tmp_path: Path) -> Path:
    """Two series a day for 150 days, with gaps in the part that is held out and before it."""
    draw = np.random.default_rng(3)
    t = np.arange(ROWS)
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=ROWS)})
    frame["visits"] = 1000 + 3 * t + 90 * np.sin(2 * np.pi * t / SEASON) + draw.normal(0, 20, ROWS)
    frame["sales"] = 5 + np.cos(2 * np.pi * t / SEASON) + draw.normal(0, 0.1, ROWS)
    frame.loc[[20, 61, 124, 125, 140], "visits"] = np.nan
    frame.to_csv(tmp_path / "days.csv", index=False, float_format="%.4f")
    return tmp_path / "days.csv"


def wanted(days: Path, forecasts: "pd.DataFrame", origins: list[int]) -> "pd.DataFrame":
    """Return truth, forecast and naive forecast from the raw file, a row each; origins count rows from 1."""
    raw = pd.read_csv(days)
    filled, made = raw.ffill(), []
    for origin in origins:
        for step in range(1, HORIZON + 1):
            season = filled.iloc[:origin].tail(SEASON)
            for column in ("visits", "sales"):
                made.append(
                    {
                        "origin": origin,
                        "step": step,
                        "time": raw.day[origin + step - 1],
                        "column": column,
                        "truth": raw[column][origin + step - 1],
                        "forecast": forecasts.loc[origin, f"{column}+{step}"],
                        "seasonal_naive": season[column].iloc[step - 1],
                    }
                )
    return pd.DataFrame(made)


def errors(table: "pd.DataFrame", days: Path, column: str) -> dict[str, float]:
    there = table[(table.column == column) & table.truth.notna()]
    raw = pd.read_csv(days)[column][:TRAIN]
    scale = raw.diff(SEASON).abs().mean()  # over the values that exist
    off, naive = there.forecast - there.truth, there.seasonal_naive - there.truth
    return {
        "count": len(there),
        "mae": off.abs().mean(),
        "rmse": np.sqrt((off**2).mean()),
        "mase": off.abs().mean() / scale,
        "naive_mae": naive.abs().mean(),
        "naive_rmse": np.sqrt((naive**2).mean()),
        "naive_mase": naive.abs().mean() / scale,
    }


@pytest.mark.parametrize(
    ("words", "origins"),
    [
        ((), list(range(TRAIN, ROWS - HORIZON + 1))),  # the last row of the training part is the first origin
        (("--stride", 3), list(range(ROWS - HORIZON, TRAIN - 1, -3))[::-1]),
        (("--stride", 5, "--origins", 3), [136, 141, 146]),
        (("--origins", 2), [145, 146]),
    ],
)
def test_errors_by_column_and_step_are_those_of_pandas(
    run: Run, days: Path, tmp_path: Path, words: tuple[object, ...], origins: list[int]
) -> None:
    assert run("train", "--task", TASK, "--data", days, "--out", tmp_path / "run", *WORDS).code == 0
    assert run("predict", tmp_path / "run", "--data", days, "--out", tmp_path / "predicted.csv").code == 0
    outcome = run("backtest", tmp_path / "run", *words, "--out", tmp_path / "out.csv", "--json")
    found = json.loads(outcome.out)
    table = wanted(days, pd.read_csv(tmp_path / "predicted.csv").set_index("row"), origins)
    written = pd.read_csv(tmp_path / "out.csv")
    pd.testing.assert_frame_equal(written[list(table)], table, rtol=1e-6)
    assert (found["origins"], found["season"], found["retrained"]) == (len(origins), SEASON, False)
    first, last = pd.read_csv(days).day[origins[0] - 1], pd.read_csv(days).day[origins[-1] - 1]
    assert (found["first_origin"], found["last_origin"]) == (first, last)
    for score in found["columns"]:
        of_column = errors(table, days, score["column"])
        assert {name: score[name] for name in of_column} == pytest.approx(of_column, rel=1e-6)
    assert len(found["steps"]) == 2 * HORIZON
    for score in found["steps"]:
        of_step = errors(table[table.step == score["step"]], days, score["column"])
        assert {name: score[name] for name in of_step} == pytest.approx(of_step, rel=1e-6)


def test_quantiles_are_written_and_their_coverage_is_counted(run: Run, days: Path, tmp_path: Path) -> None:
    assert run("train", "--task", f"{TASK},quantiles=0.1;0.5;0.9", "--data", days, "--out", "run", *WORDS).code == 0
    found = json.loads(run("backtest", "run", "--out", tmp_path / "out.csv", "--json").out)
    table = pd.read_csv(tmp_path / "out.csv").dropna(subset="truth")
    assert (table["forecast"] == table["q0.5"]).all()
    for score in found["columns"]:
        own = table[table.column == score["column"]]
        inside = (own["q0.1"] <= own.truth) & (own.truth <= own["q0.9"])
        assert score["coverage"] == pytest.approx(inside.mean())
        assert 0 < score["coverage"] < 1


def test_each_of_several_series_is_judged_in_units_of_its_own_naive_error(run: Run, tmp_path: Path) -> None:
    draw, parts = np.random.default_rng(0), []
    for name, size in (("north", 1.0), ("south", 50.0)):
        values = size * (10 + np.tile(draw.normal(size=SEASON), 13)[:85] + draw.normal(0, 0.3, 85))
        parts.append(pd.DataFrame({"shop": name, "t": np.arange(85), "sold": values.round(5)}))
    pd.concat(parts).to_csv(tmp_path / "shops.csv", index=False)
    task = f"forecast:horizon={HORIZON},season={SEASON},id=shop"
    assert run("train", "--task", task, "--data", tmp_path / "shops.csv", "--out", "run", *WORDS).code == 0
    found = json.loads(run("backtest", "run", "--origins", 5, "--out", tmp_path / "out.csv", "--json").out)
    table = pd.read_csv(tmp_path / "out.csv")
    assert table.groupby("series").origin.nunique().to_dict() == {"north": 5, "south": 5}
    scaled = []
    for part in parts:
        own = table[table.series == part.shop.iloc[0]]
        scaled.append((own.forecast - own.truth).abs().mean() / part.sold[:68].diff(SEASON).abs().mean())
        truth = own[(own.origin == own.origin.max()) & (own.step == HORIZON)].truth
        assert truth.tolist() == [part.sold.iloc[-1]]
    assert found["columns"][0]["mase"] == pytest.approx(np.mean(scaled), rel=1e-6)


def test_a_person_reads_errors_by_step_and_that_nothing_was_trained_again(run: Run, days: Path) -> None:
    run("train", "--task", TASK, "--data", days, "--out", "run", *WORDS)
    outcome = run("backtest", "run", "--stride", 2, "--data", days)
    lines = outcome.out.splitlines()
    assert lines[0] == f"70 origins, 2 rows apart, from 2024-01-08 to 2024-05-25 of {days}"
    assert lines[1] == "4 steps ahead; the model was not trained again at any origin"
    assert lines[2].startswith("naive: the value one season of 7 rows before")
    assert lines[5].split() == ["column", "MAE", "RMSE", "MASE", "naive", "MAE", "naive", "MASE"]
    assert [line.split()[0] for line in lines if line[:1].isdigit()][2:] == ["1", "2", "3", "4"] * 2
    assert max(map(len, lines[1:])) <= 80


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "--stride", 0), "0 is not in the range x>=1"),
        (("run", "--out", "out.txt"), "cannot tell how to write 'out.txt'"),
        (("run", "--out", "{days}"), "is the file of --data"),
        (("run", "--data", "{short}"), "no forecast can be judged"),
    ],
)
def test_what_is_invalid_is_one_line(run: Run, days: Path, words: tuple[object, ...], message: str) -> None:
    run("train", "--task", TASK, "--data", days, "--out", "run", *WORDS)
    short = days.with_name("short.csv")
    pd.read_csv(days).head(SEASON + 2).to_csv(short, index=False)
    before = days.read_bytes()
    outcome = run("backtest", *(str(word).format(days=days, short=short) for word in words))
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err.splitlines()[-1]
    assert days.read_bytes() == before


def test_a_task_without_forecasts_is_told_how_it_is_judged(run: Run, train: Run, tmp_path: Path) -> None:
    train("--out", tmp_path / "run", "--epochs", 1)
    outcome = run("backtest", tmp_path / "run")
    assert outcome.code == 2
    assert outcome.err == (
        "rnnframe: error: task 'characters' forecasts no series; judge it with `rnnframe evaluate`\n"
    )


@pytest.mark.parametrize("horizon", [1, HORIZON])
@pytest.mark.parametrize("quantiles", ["", ",quantiles=0.1;0.5;0.9"])
def test_a_picture_shows_forecasts_beside_what_came_on_the_dates_of_the_file(
    run: Run, days: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, horizon: int, quantiles: str
) -> None:
    pytest.importorskip("matplotlib")
    from layout import check_layout
    from matplotlib.dates import num2date

    from rnnframe.drawing import style

    kept, save = [], style.save
    monkeypatch.setattr(style, "save", lambda figure, path: (kept.append(figure), save(figure, path)))
    task = TASK.replace(f"horizon={HORIZON}", f"horizon={horizon}") + quantiles
    run("train", "--task", task, "--data", days, "--out", "run", *WORDS)
    outcome = run("predict", "run", "--plot", tmp_path / "days.png")
    assert outcome.out == f"forecasts for 30 held-out rows of {days} are drawn in {tmp_path / 'days.png'}\n"
    assert (tmp_path / "days.png").read_bytes()[:5] == b"\x89PNG\r"
    run("predict", "run", "--data", days, "--out", tmp_path / "all.csv")
    predicted, raw = pd.read_csv(tmp_path / "all.csv").set_index("row"), pd.read_csv(days).set_index("day")
    check_layout(kept[0])
    (panels,) = ([axes for axes in figure.axes if axes.get_title(loc="left")] for figure in kept)
    assert [axes.get_title(loc="left") for axes in panels] == ["visits", "sales"]
    for axes in panels:
        column = axes.get_title(loc="left")
        came, *rest = [line for line in axes.lines if len(line.get_xdata()) and line.get_label()[0] != "f"]
        dates = [str(num2date(date).date()) for date in came.get_xdata(orig=False)]
        assert dates[-1] == "2024-05-29"
        assert np.array_equal(came.get_ydata(), raw[column][dates].to_numpy(), equal_nan=True)
        drawn = [line for line in rest if len(line.get_xdata()) == horizon]
        assert len(drawn) == ROWS // horizon - (TRAIN - 1) // horizon
        assert drawn[-1].get_ydata() == pytest.approx(
            [predicted.loc[ROWS, f"{column}+{step}"] for step in range(1, horizon + 1)]
        )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing is asked for; write predictions with --out FILE, or draw forecasts with --plot FILE"),
        (("--out", "out.csv"), "--out writes predictions for a file; name it with --data FILE"),
        (("--plot", "out.png"), "--plot draws forecasts of series; task 'characters' makes none"),
        (("--plot", "out.txt"), "--plot 'out.txt' is not a picture"),
    ],
)
def test_predictions_go_to_a_table_or_a_picture(run: Run, train: Run, words: tuple[str, ...], message: str) -> None:
    pytest.importorskip("matplotlib")
    train("--out", "run", "--epochs", 1)
    outcome = run("predict", "run", *words)
    assert (outcome.code, outcome.out, outcome.err.count("\n")) == (2, "", 1)
    assert message in outcome.err
