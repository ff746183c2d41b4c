"""Trained models that follow a sequence as its values arrive: what `predict` makes of the whole file, row by row."""

import csv
from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError, UsageError
from rnnframe.runs.model import TaskModel

SERIES = np.stack([np.sin(np.arange(90) / 5) * 20 + 300, np.cos(np.arange(90) / 7) * 3 - 8], axis=1)


def model_of(task: str, data: str, folder: Path, **more) -> TaskModel:
    options = rf.TrainingOptions(task=task, data=data, cell="gru:hidden=6", epochs=1, batch=4, kernels="numpy", **more)
    with rf.Training(options, run=folder / "run") as training:
        training.fit()
    return rf.load_model(folder / "run", kernels="numpy")


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("price", "load"), *SERIES.tolist()])
    return str(path)


@pytest.mark.parametrize("more", ["", ",quantiles=0.1;0.5;0.9"], ids=["mean", "quantiles"])
def test_a_forecast_takes_rows_and_gives_what_predict_writes(more: str, table: str, tmp_path: Path) -> None:
    model = model_of(f"forecast:column=price,also=load,horizon=3{more}", table, tmp_path, steps=10)
    expected, stream = model.predict(table), model.stream()
    for n, row in enumerate(SERIES.tolist()):
        given = row if n % 2 else {"load": row[1], "price": row[0]}
        found = stream.step(given)
        assert found.keys() == expected.keys() - {"row"}
        assert found == pytest.approx({name: expected[name][n] for name in found}, rel=1e-5)
    state = stream.state
    after = stream.step(SERIES[0])
    stream.state = state
    assert stream.step(SERIES[0]) == after
    stream.reset()
    assert stream.step(SERIES[0])["price+1"] == pytest.approx(expected["price+1"][0], rel=1e-5)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"price": 1.0}, "^x has the values price; expected price, load$"),
        ([1.0], r"^x is \[1.0\]; a step of this model takes a list of 2 numbers: price, load$"),
        ("3", "^x is '3'; a step of this model takes a list of 2 numbers"),
        ([1.0, "a"], "^x holds 'a'; expected numbers$"),
        ([1.0, True], "^x holds True; expected numbers$"),
        ([1.0, float("nan")], "^x holds NaN or infinite values"),
        ([1.0, 10**400], "^x holds NaN or infinite values"),
        (None, "^x is None; a step"),
    ],
    ids=repr,
)
def test_values_that_are_no_row_are_refused(value, message, table: str, tmp_path: Path) -> None:
    stream = model_of("forecast:column=price,also=load,horizon=3", table, tmp_path, steps=10).stream()
    with pytest.raises(DataError, match=message):
        stream.step(value)
    assert not stream.state.flat.any()


def test_a_classifier_tells_after_each_step_what_the_class_would_be(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 8, 2)) * 5 + 40, np.array(["up", "down"])[np.arange(20) % 2]
    np.savez(tmp_path / "data.npz", x=x, y=y)
    model = model_of("classify", str(tmp_path / "data.npz"), tmp_path)
    expected, stream = model.predict(tmp_path / "data.npz"), model.stream()
    for n in range(20):
        stream.reset()
        found = [stream.step(values) for values in x[n]][-1]
        assert found["class"] == expected["class"][n]
        assert found["p(up)"] == pytest.approx(expected["p(up)"][n], rel=1e-5)


def test_a_model_of_characters_takes_text_and_tells_the_likeliest_symbol(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("so it goes, and so it ends. " * 40)
    model = model_of("characters", str(tmp_path / "text.txt"), tmp_path, steps=10)
    stream, by_character = model.stream(), model.stream()
    found = stream.step("so it")
    assert [by_character.step(character) for character in "so it"][-1] == found
    outputs, _ = model.inference().predict(model.alphabet().encode("so it")[:, None])
    assert found["probability"] == pytest.approx(float(outputs[-1, 0].max()), rel=1e-5)
    assert found["likeliest"] == model.alphabet().decode(outputs[-1, 0].argmax()[None])
    for wrong in ("", 3, None):
        with pytest.raises(DataError, match="a model of text takes a text of at least one character"):
            stream.step(wrong)


def test_what_a_single_row_does_not_tell_is_refused_by_name(table: str, tmp_path: Path) -> None:
    model = model_of("forecast:column=price,horizon=3,difference=2", table, tmp_path, steps=10)
    with pytest.raises(UsageError, match=r"^a forecast with difference reads no single steps; "):
        model.stream()


def test_a_task_without_units_for_single_steps_is_refused_by_name(tmp_path: Path) -> None:
    options = rf.TrainingOptions(task="adding:length=5,samples=40", cell="gru:hidden=3", epochs=1, kernels="numpy")
    with rf.Training(options, run=tmp_path / "run") as training:
        training.fit()
    with pytest.raises(UsageError, match=r"^a model of task 'adding' reads no single steps"):
        rf.load_model(tmp_path / "run").stream()


def test_a_network_that_was_saved_alone_is_streamed_as_it_is(tmp_path: Path) -> None:
    network = rf.Network(["gru:hidden=4"], "mse:outputs=2", 3)
    network.save(tmp_path / "network.safetensors")
    found = rf.load_model(tmp_path / "network.safetensors").stream().step(np.ones((1, 3)))
    assert np.array_equal(found, network.stream().step(np.ones((1, 3))))
