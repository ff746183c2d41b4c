"""Models that were saved, loaded and used from Python."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError, RunError, UsageError
from rnnframe.runs.model import TaskModel
from rnnframe.storage.tensors import read_tensors, tensor_bytes

TEXT = "".join(f"{n}: the quick brown fox jumps over the lazy dog {n * 7 % 13} times.\n" for n in range(60))
TRAINED = {
    "characters": ("text.txt", ["--cell", "elman:hidden=8", "--steps", "16", "--task", "characters"]),
    "bytes": ("text.txt", ["--cell", "gru:hidden=8", "--steps", "16", "--task", "bytes"]),
    "forecast": ("series.csv", ["--cell", "gru:hidden=8", "--steps", "30", "--task", "forecast:column=a;b,horizon=3"]),
    "classify": ("classes.npz", ["--cell", "gru:hidden=8", "--task", "classify"]),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of several kinds, and a run on each."""
    made = tmp_path_factory.mktemp("models")
    (made / "text.txt").write_text(TEXT)
    rows = [f"{300 + n / 5:.3f},{40 * np.sin(n / 9):.3f}" for n in range(200)]
    (made / "series.csv").write_text("a,b\n" + "\n".join(rows) + "\n")
    steps = np.arange(12.0)
    x = np.stack([steps * (1 - 2 * (n % 2)) for n in range(40)])[..., None]
    np.savez(made / "classes.npz", x=x, y=np.array(["up", "down"])[np.arange(40) % 2])
    for name, (data, words) in TRAINED.items():
        typed("train", "--data", made / data, *words, "--epochs", 1, "--batch", 4, "--out", made / name)
    return made


def typed(*words: object) -> str:
    command = [sys.executable, "-m", "rnnframe", *map(str, words)]
    quiet = ["--quiet", "--sample", "0"] if words[0] == "train" else []
    return subprocess.run([*command, *quiet], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", TRAINED)
def test_predictions_are_the_columns_that_the_command_line_writes(folder: Path, name: str) -> None:
    data = folder / TRAINED[name][0]
    typed("predict", folder / name, "--data", data, "--out", folder / f"{name}.csv")
    with open(folder / f"{name}.csv", newline="") as file:
        head, *rows = csv.reader(file)
    predicted = rf.load_model(folder / name).predict(data)
    assert list(predicted) == head
    assert [list(row) for row in zip(*(column.astype(str) for column in predicted.values()), strict=True)] == rows


def test_forecasts_are_in_the_units_of_the_data(folder: Path) -> None:
    predicted = rf.load_model(str(folder / "forecast")).predict(str(folder / "series.csv"))
    assert 200 < np.nanmean(predicted["a+1"]) < 400
    assert -40 < np.nanmean(predicted["b+1"]) < 40


@pytest.mark.parametrize("name", TRAINED)
def test_an_evaluation_is_the_one_of_the_command_line(folder: Path, name: str) -> None:
    data = folder / TRAINED[name][0]
    found = rf.load_model(folder / name).evaluate(data)
    assert f'"loss": {found.loss}' in typed("evaluate", folder / name, "--data", data, "--json")


def test_a_sample_is_the_one_of_the_command_line(folder: Path) -> None:
    written = rf.load_model(folder / "characters").sample(30, seed=3, prime="the ")
    typed_one = typed("sample", folder / "characters", "--length", 30, "--seed", 3, "--prime", "the ")
    assert typed_one == written + "\n"
    assert len(written) == 30


def test_the_weights_of_a_run_are_a_model_of_their_own(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes((folder / "forecast" / "weights.safetensors").read_bytes())
    alone, whole = rf.load_model(tmp_path / "elsewhere"), rf.load_model(folder / "forecast")
    assert isinstance(alone, TaskModel)
    data = folder / "series.csv"
    columns, expected = alone.predict(data), whole.predict(data)
    assert all(np.array_equal(columns[name], expected[name], equal_nan=True) for name in expected)


def test_other_checkpoints_can_be_named(folder: Path) -> None:
    last = rf.load_model(folder / "characters", "last").network.parameters.flat
    first = rf.load_model(folder / "characters", "0").network.parameters.flat
    assert not np.array_equal(first, last)
    with pytest.raises(UsageError, match=r"checkpoint=7 is invalid; expected best, last or a number \(there: 0, "):
        rf.load_model(folder / "characters", "7")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize(
    ("cells", "head"),
    [
        (["lstm:hidden=7", "gru:hidden=5,reset=before"], "mse:outputs=2"),
        (["elman:hidden=6,activation=relu"], "softmax:classes=4,at=last"),
    ],
)
def test_a_saved_network_predicts_the_same_bits(
    tmp_path: Path, cells: list[str], head: str, kernels: str, dtype: str
) -> None:
    network = rf.Network(cells, head, inputs=3, seed=5, dtype=dtype)
    network.save(tmp_path / "model.safetensors")
    model = rf.load_model(tmp_path / "model.safetensors", kernels=kernels)
    assert (model.network.cells, model.network.head) == (network.cells, network.head)
    assert model.network.dtype == network.dtype
    assert model.network.parameters.flat.tobytes() == network.parameters.flat.tobytes()
    x = np.random.default_rng(0).standard_normal((20, 4, 3))
    assert model.predict(x).tobytes() == rf.Inference(network, kernels=kernels).predict(x)[0].tobytes()
    y = np.zeros((4,), int) if "softmax" in head else np.zeros((20, 4, 2))
    assert model.evaluate((x, y)).loss == rf.Inference(network, kernels=kernels).evaluate(x, y).loss


def test_a_network_is_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    rf.Network(["gru:hidden=3"], "mse:outputs=1", 2, seed=1).save(path)
    before = path.read_bytes()

    program = (
        "import resource, sys, rnnframe as rf\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))  # bytes of a file\n"
        "rf.Network(['gru:hidden=3'], 'mse:outputs=1', 2, seed=2).save(sys.argv[1])"
    )
    full = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert full.stderr.endswith(f"rnnframe.errors.RunError: cannot write '{path}': File too large\n")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(RunError, match=r"cannot write .*none.*: No such file or directory"):
        rf.Network(["gru:hidden=3"], "mse:outputs=1", 2).save(tmp_path / "none" / "model.safetensors")


def test_a_model_says_what_it_takes(folder: Path, tmp_path: Path) -> None:
    model = rf.load_model(folder / "forecast")
    with pytest.raises(UsageError, match="a model of task 'forecast' reads files, not ndarray; give a path, or run"):
        model.predict(np.zeros((3, 2, 2)))
    with pytest.raises(DataError, match="cannot read data file"):
        model.predict(tmp_path / "none.csv")
    with pytest.raises(RunError, match="a model of task 'forecast' writes no text"):
        model.sample()
    rf.Network(["gru:hidden=3"], "mse:outputs=1", 2).save(tmp_path / "model")
    plain = rf.load_model(tmp_path / "model")
    with pytest.raises(UsageError, match=r"a network is evaluated on a pair of arrays \(x, y\), not on 3"):
        plain.evaluate(3)
    with pytest.raises(RunError, match="a network that was saved without a task writes no text"):
        plain.sample()
    with pytest.raises(DataError):
        plain.predict(np.zeros((3, 2, 5)))


def test_what_is_no_model_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no '.*none'; give a run folder made by"):
        rf.load_model(tmp_path / "none")
    with pytest.raises(RunError, match=r"is not a run folder: it has no config\.toml"):
        rf.load_model(tmp_path)
    (tmp_path / "pickle").write_bytes(b"\x80\x04N.")
    with pytest.raises(RunError, match="is damaged or no safetensors file"):
        rf.load_model(tmp_path / "pickle")
    (tmp_path / "other").write_bytes(tensor_bytes({"a": np.zeros(3)}, {"what": "else"}))
    with pytest.raises(RunError, match="does not say which network and task it is for"):
        rf.load_model(tmp_path / "other")
    tensors, about = read_tensors(folder / "bytes" / "weights.safetensors")
    (tmp_path / "less").write_bytes(tensor_bytes({"head.V": tensors["head.V"]}, about))
    with pytest.raises(RunError, match=r"holds the arrays \['head.V'\]; expected"):
        rf.load_model(tmp_path / "less")


def test_a_batch_that_is_none_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("config.toml", "weights.safetensors"):
        (tmp_path / name).write_bytes((folder / "bytes" / name).read_bytes())
    config = (tmp_path / "config.toml").read_text()
    (tmp_path / "config.toml").write_text(config.replace("batch = 4", "batch = -4"))
    with pytest.raises(RunError, match=r"gives batch = -4; expected a number of at least 1"):
        rf.load_model(tmp_path)
