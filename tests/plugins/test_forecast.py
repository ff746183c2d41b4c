import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import DataError
from rnnframe.plugin import Dataset, Setting
from rnnframe.runs.scoring import score
from rnnframe_tasks.scales import Scale
from rnnframe_tasks.series import Series

ROWS, SEASON = 240, 12


def wave(path: Path, rows: int = ROWS) -> Path:
    """Write a season on a trend, with a date and another column beside it."""
    t = np.arange(rows)
    price = 5 + 0.02 * t + np.sin(2 * np.pi * t / SEASON)
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["month", "price", "load"])
        writer.writerows((f"m{n}", f"{value:.6f}", n % 5) for n, value in zip(t, price, strict=True))
    return path


@pytest.fixture
def series(tmp_path: Path) -> Path:
    return wave(tmp_path / "series.csv")


def opened(path: Path, spec: str, **setting: object) -> Dataset:
    return rf.task(spec).open(Setting(data=str(path), **{"batch": 8, "steps": 24, "held_out": 0.2, **setting}))


def test_the_targets_are_the_values_that_follow(series: Path) -> None:
    data = opened(series, "forecast:column=price,horizon=3,also=load")
    batch = data.batch(2, 0)
    assert batch.x.shape == (24, 8, 2)
    assert batch.y.shape == (24, 8, 3)
    for k in range(3):
        assert np.array_equal(batch.y[: 24 - k - 1, :, k], batch.x[k + 1 :, :, 0])


def test_nothing_of_the_held_out_part_is_learnt_from(tmp_path: Path) -> None:
    files = [wave(tmp_path / f"{name}.csv") for name in "ab"]
    rows = files[1].read_text().splitlines()
    first = 1 + ROWS - round(0.2 * ROWS)
    files[1].write_text("\n".join([*rows[:first], *(f"x,{n * 1e6},{n}" for n in range(first, len(rows)))]))
    one, other = (opened(file, "forecast:column=price,difference=12,missing=last") for file in files)
    assert one.learnt == other.learnt
    for epoch in range(4):
        for number in range(one.batches):
            assert np.array_equal(one.batch(epoch, number).x, other.batch(epoch, number).x)
            assert np.array_equal(one.batch(epoch, number).y, other.batch(epoch, number).y)
    assert one.digest != other.digest


def test_scales_are_those_of_the_training_part(series: Path) -> None:
    learnt = opened(series, "forecast:column=price").learnt
    price = 5 + 0.02 * np.arange(192) + np.sin(2 * np.pi * np.arange(192) / SEASON)
    assert learnt.mean == pytest.approx([price.mean()], rel=1e-5)
    assert learnt.spread == pytest.approx([price.std()], rel=1e-5)


def test_a_batch_is_the_same_whenever_it_is_asked_for_and_epochs_differ(series: Path) -> None:
    one, other = opened(series, "forecast:column=price", batch=4), opened(series, "forecast:column=price", batch=4)
    wanted = one.batch(3, 1).x
    assert np.array_equal(other.batch(3, 1).x, wanted)
    assert not np.array_equal(one.batch(4, 1).x, wanted)


@given(
    st.integers(1, 3),
    st.integers(0, 5),
    st.integers(1, 9),
    st.integers(20, 40),
)
def test_forecasts_of_the_true_differences_are_the_true_values(columns: int, lag: int, horizon: int, rows: int) -> None:
    values = np.random.default_rng(rows).normal(size=(rows, columns))
    series = Series(values=values, targets=columns, lag=lag)
    at = np.arange(lag, rows - horizon)
    ahead = at[:, None] + np.arange(1, horizon + 1)
    differences = values[ahead] - values[ahead - lag] if lag else values[ahead]
    assert np.allclose(series.restored(differences, at), values[ahead])


@given(st.integers(1, 7), st.integers(1, 15))
def test_the_naive_forecast_repeats_the_last_season_that_is_known(season: int, horizon: int) -> None:
    values = np.arange(40.0)[:, None]
    series = Series(values=values, targets=1, lag=0)
    at = np.arange(season - 1, 20)
    naive = series.naive(at, horizon, season)[..., 0]
    for row, forecast in zip(at, naive, strict=True):
        last = np.arange(row - season + 1, row + 1)
        assert np.array_equal(forecast, np.resize(last, horizon))


@pytest.mark.parametrize("difference", ["none", "1", "12"])
def test_the_errors_are_those_of_the_predictions_written_down(
    run_command, series: Path, tmp_path: Path, difference: str
) -> None:
    horizon, spec = 4, f"forecast:column=price,horizon=4,season=12,difference={difference}"
    words = ("--cell", "gru:hidden=6", "--epochs", 2, "--steps", 24, "--quiet", "--sample", 0)
    run_command("train", "--task", spec, "--data", series, "--out", tmp_path / "run", *words)
    judged = json.loads(run_command("evaluate", tmp_path / "run", "--data", series, "--json"))
    run_command("predict", tmp_path / "run", "--data", series, "--out", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        rows = {int(row["row"]): row for row in csv.DictReader(file)}
    with open(series, newline="") as file:
        price = [float(row["price"]) for row in csv.DictReader(file)]
    assert max(rows) == ROWS
    errors = [
        abs(float(rows[row][f"price+{k}"]) - price[row + k - 1])
        for row in range(max(SEASON, 1 if difference == "none" else int(difference) + 1), ROWS - horizon + 1)
        for k in range(1, horizon + 1)
    ]
    assert judged["measures"]["MAE"] == pytest.approx(np.mean(errors), rel=1e-4, abs=1e-9)  # 0: the season repeats
    assert judged["count"] * horizon == len(errors)


def test_the_loss_of_the_held_out_part_counts_what_lies_in_it_alone(series: Path) -> None:
    data = opened(series, "forecast:column=price,horizon=3")
    network = rf.Network(["gru:hidden=4"], data.head, data.inputs)
    assert score(rf.Inference(network), data.valid).count == round(0.2 * ROWS) - 3 + 1


def test_a_season_on_a_trend_is_forecast_better_than_by_repeating_the_season(
    run_command, series: Path, tmp_path: Path
) -> None:
    spec = "forecast:column=price,horizon=6,season=12,difference=12"
    words = ("--cell", "gru:hidden=8", "--epochs", 6, "--steps", 48, "--held-out", 0.2, "--json", "--quiet")
    measures = json.loads(run_command("train", "--task", spec, "--data", series, *words))["measures"]
    assert measures["MAE"] < measures["seasonal-naive MAE"] / 4
    assert measures["seasonal-naive MAE"] == pytest.approx(0.02 * 12, rel=1e-3)


FILES = {
    "two columns of one name": (b"a,a\n1,2\n", "has two columns 'a'; rename one"),
    "a row that is too short": (b"a,b\n1,2\n3\n", "row 3: 1 values; expected 2"),
    "a gap": (b"a\n" + b"1\n" * 50 + b"\nNA\n" + b"1\n" * 50, "column 'a' has no value in row 51 of the data; fill"),
    "a text": (b"a,b\n" + b"1,x\n" * 90, "column 'b' holds texts such as 'x'; expected numbers"),
    "infinity": (b"a,b\n" + b"1,2\n" * 90 + b"1,inf\n", "column 'b' is infinite in row 91 of the data"),
    "too few rows": (b"a,b\n1,2\n2,3\n", "has 2 rows"),
    "no rows": (b"a,b\n", "has no rows"),
    "nothing": (b"", "is empty"),
    "no text": (b"a\n\xff\xfe", "is no UTF-8 text: byte 0xff at offset 2"),
    "an endless cell": (b'a\n"' + b"1" * 200_000, "cannot be read"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_no_series_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    content, message = FILES[name]
    path = tmp_path / "bad.csv"
    path.write_bytes(content)
    column = "b" if name in ("a text", "infinity") else "a"
    with pytest.raises(DataError) as refusal:
        opened(path, f"forecast:column={column},horizon=2")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_gap_takes_the_value_before_it_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "gap.csv"
    path.write_text("a\n" + "".join(f"{n if n % 7 else ''}\n" for n in range(1, 100)).replace("\n\n", "\nNA\n"))
    data = opened(path, "forecast:column=a,horizon=2,missing=last", batch=1, steps=60)
    scaled = np.concatenate([batch.x[:, 0, 0] for batch in data.valid.batches()])
    values = scaled * data.learnt.spread[0] + data.learnt.mean[0]
    assert np.allclose(values, [n if n % 7 else n - 1 for n in range(1, 100)], atol=1e-4)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_are_parted_by_commas_semicolons_or_tabs_and_may_have_no_names(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "plain.csv"
    path.write_text("".join(f"{n * n}{mark}{n**3}{mark}{n % 7}\n" for n in range(60)))
    assert opened(path, "forecast:horizon=2").learnt.columns == ("1", "2", "3")


def test_npz_and_parquet_hold_the_same_series_as_csv(series: Path, tmp_path: Path) -> None:
    table = np.genfromtxt(series, delimiter=",", names=True, usecols=(1, 2))
    np.savez(tmp_path / "series.npz", price=table["price"], load=table["load"])
    spec = "forecast:column=price,also=load"
    wanted = opened(series, spec)
    assert np.array_equal(opened(tmp_path / "series.npz", spec).batch(0, 0).x, wanted.batch(0, 0).x)
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet needs pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = pyarrow.table({"price": table["price"], "load": table["load"]})
    parquet.write_table(columns, tmp_path / "series.parquet")
    assert np.array_equal(opened(tmp_path / "series.parquet", spec).batch(0, 0).x, wanted.batch(0, 0).x)


@pytest.mark.parametrize("constant", [np.full(1000, 0.1), np.diff(np.arange(1000) * 0.1), np.zeros(5)])
def test_rounding_is_no_spread(constant: np.ndarray) -> None:
    scale = Scale.of(constant[:, None])
    assert scale.spread.tolist() == [1]
    assert np.abs(scale.apply(constant[:, None])).max() < 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_forecasts_of_large_values_keep_the_digits_that_their_error_needs(
    run_command, tmp_path: Path, dtype: str
) -> None:
    values = 123456789.25 + np.sin(np.arange(300) / 5)
    data, run = tmp_path / "large.csv", tmp_path / "run"
    data.write_text("v\n" + "\n".join(map(repr, values.tolist())))
    words = ("--cell", "gru:hidden=6", "--epochs", 2, "--dtype", dtype, "--quiet")
    run_command("train", "--task", "forecast:horizon=1,difference=1", "--data", data, "--out", run, *words)
    judged = json.loads(run_command("evaluate", run, "--data", data, "--json"))
    for name in ("out.csv", "out.npz"):
        run_command("predict", run, "--data", data, "--out", tmp_path / name)
    with open(tmp_path / "out.csv", newline="") as file:
        written = np.array([float(row["v+1"]) for row in csv.DictReader(file)])
    with np.load(tmp_path / "out.npz", allow_pickle=False) as columns:
        assert np.array_equal(columns["v+1"], written)
    assert np.array_equal(rf.load_model(run).predict(data)["v+1"], written)
    assert written.dtype == np.float64
    error = np.abs(written[:-1] - values[2:]).mean()  # the first forecast is made at row 2
    assert judged["measures"]["MAE"] == pytest.approx(error, rel=1e-6)


def gappy(tmp_path: Path, columns: int = 1, every: int = 2, rows: int = 400) -> tuple[Path, np.ndarray]:
    """Write normal values, in each column only those of every so many rows; NaN where there is none."""
    values = np.random.default_rng(5).normal(size=(rows, columns))
    values[np.arange(rows)[:, None] % every != np.arange(columns) % every] = np.nan
    values[0] = 1
    path = tmp_path / "gaps.csv"
    lines = [",".join("NA" if np.isnan(v) else repr(float(v)) for v in row) for row in values]
    path.write_text(",".join("abc"[:columns]) + "\n" + "\n".join(lines) + "\n")
    return path, values


def filled(values: np.ndarray) -> np.ndarray:
    rows = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    return np.take_along_axis(values, np.maximum.accumulate(rows), axis=0)


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("columns", [1, 2])
def test_only_values_that_exist_are_judged(run_command, tmp_path: Path, horizon: int, columns: int) -> None:
    data, values = gappy(tmp_path, columns)
    spec, run = f"forecast:horizon={horizon},missing=last", tmp_path / "run"
    words = ("--held-out", 0.5, "--cell", "gru:hidden=4", "--epochs", 1, "--dtype", "float64", "--quiet")
    run_command("train", "--task", spec, "--data", data, "--out", run, *words)
    judged = json.loads(run_command("evaluate", run, "--json"))
    forecasts = rf.load_model(run).predict(data)
    scale = rf.load_model(run).learnt
    errors, naive, squares = [[], []], [[], []], []
    for row in range(199, 400 - horizon):
        for k in range(1, horizon + 1):
            for c in range(columns):
                true = values[row + k, c]
                if not np.isnan(true):
                    errors[c].append(abs(forecasts[f"{'abc'[c]}+{k}"][row] - true))
                    squares.append((errors[c][-1] / scale.spread[c]) ** 2)
                    naive[c].append(abs(filled(values)[row, c] - true))
    for c, of in enumerate(["a ", "b "] if columns > 1 else [""]):
        assert judged["measures"][f"{of}MAE"] == pytest.approx(np.mean(errors[c]), rel=1e-9)
        assert judged["measures"][f"{of}seasonal-naive MAE"] == pytest.approx(np.mean(naive[c]), rel=1e-12)
    assert judged["loss"] == pytest.approx(np.mean(squares), rel=1e-5)  # inputs and targets are float32
    assert judged["count"] * horizon * columns == pytest.approx(sum(map(len, errors)), rel=1e-12)


def test_a_naive_forecast_of_noise_with_gaps_is_as_bad_as_over_the_values_that_exist(tmp_path: Path) -> None:
    data, values = gappy(tmp_path)
    opened_data = opened(data, "forecast:horizon=1,missing=last", held_out=0.5)
    network = rf.Network(["gru:hidden=4"], opened_data.head, opened_data.inputs)
    there = values[200:][~np.isnan(values[200:])]
    before = filled(values)[199:-1][~np.isnan(values[200:])]
    found = score(rf.Inference(network), opened_data.valid).measures["seasonal-naive MAE"]
    assert found == pytest.approx(np.abs(there - before).mean(), rel=1e-12)
    assert found > 0.8  # two standard deviations of noise apart, not half of it


@pytest.mark.parametrize("lag", ["none", "1", "2"])
def test_filled_values_are_no_targets_and_no_part_of_the_scale(tmp_path: Path, lag: str) -> None:
    data, values = gappy(tmp_path, every=3)
    spec = f"forecast:horizon=2,missing=last,difference={lag}"
    found = opened(data, spec, held_out=0.5, batch=4)
    back = 0 if lag == "none" else int(lag)
    learnt = filled(values)[back:] - (filled(values)[:-back] if back else 0)
    there = learnt[: 200 - back][~np.isnan(values[back:200])]
    assert found.learnt.mean == pytest.approx([there.mean()], rel=1e-9)
    assert found.learnt.spread == pytest.approx([there.std()], rel=1e-9)
    batch = found.batch(0, 0)
    assert np.isfinite(batch.x).all()
    assert np.isnan(batch.y).mean() == pytest.approx(2 / 3, abs=0.02)
    network = rf.Network(["gru:hidden=4"], found.head, found.inputs, dtype="float64")
    judged = rf.Engine(network).gradients(batch.x, batch.y)
    known = ~np.isnan(batch.y)
    outputs = rf.Inference(network).predict(batch.x)[0]
    assert judged.loss == pytest.approx(np.mean((outputs - batch.y)[known] ** 2), rel=1e-9)
    assert judged.gradients["head.c"] == pytest.approx(
        2 * np.where(known, outputs - batch.y, 0).sum(axis=(0, 1)) / known.sum(), rel=1e-9
    )


def test_a_part_without_any_value_to_forecast_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text("a,b\n" + "".join(f"{n if n < 50 else ''},{n}\n" for n in range(100)))
    with pytest.raises(DataError, match="has no value to forecast among the rows that are held out; give more rows"):
        opened(path, "forecast:column=a,also=b,horizon=2,missing=last", held_out=0.3)
