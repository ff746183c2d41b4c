"""What computes the cells: chosen by --kernels, shown by every command, fixed in a run."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.registry.specs import required_options
from rnnframe.runs.folder import RunFolder

from .conftest import Run

NETWORK = ("--cell", "lstm:hidden=8", "--cell", "elman:hidden=5", "--inputs", 3, "--batch", 4)


@pytest.fixture
def without_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interpreter that finds no numba, as where the extra `fast` is not installed."""
    monkeypatch.setitem(sys.modules, "numba", None)


@pytest.fixture
def train(run: Run, text: Path) -> Run:
    """Train a tiny LSTM on a small text."""
    small = ("--cell", "lstm:hidden=8", "--batch", 4, "--steps", 16, "--epochs", 1, "--sample", 20)
    return lambda *words: run("train", "--data", text, *small, *words)


def used(kernels: str) -> list[str]:
    """Return what computes the layers of NETWORK."""
    network = rf.Network(["lstm:hidden=8", "elman:hidden=5"], "mse:outputs=1", 3)
    return list(rf.Engine(network, kernels=kernels).running.kernels)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_plan_tells_the_bytes_of_the_kernels_that_it_names(run: Run, kernels: str) -> None:
    out = json.loads(run("plan", *NETWORK, "--steps", 200, "--shards", 1, "--json", "--kernels", kernels).out)
    assert out["kernels"] == used(kernels)
    network = rf.Network(["lstm:hidden=8", "elman:hidden=5"], "mse:outputs=1", 3)
    for plan in out["plans"]:
        engine = rf.Engine(network, plan["store"], plan["chunk"], shards=1, kernels=kernels)
        report = engine.gradients(np.zeros((200, 4, 3)), np.zeros((200, 4, 1))).report
        assert report.kernels == tuple(out["kernels"])
        assert plan["predicted_bytes"] == report.peak_bytes


def test_kernels_are_named_once_below_a_table_by_layer_where_they_differ(run: Run) -> None:
    for command in ("plan", "compare"):
        lines = run(command, *NETWORK, "--steps", 20, "--store", "full-history", "--kernels", "numpy").out.splitlines()
        assert [line for line in lines if "kernels" in line] == ["kernels: numpy"]
    names = used("auto")
    expected = names[0] if len(set(names)) == 1 else ", ".join(names)
    assert f"\nkernels: {expected}\n" in run("plan", *NETWORK, "--steps", 20).out


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
def test_compare_measures_the_kernels_that_it_names(run: Run, kernels: str) -> None:
    words = ("--steps", 20, "--store", "checkpoint", "--json", "--kernels", kernels)
    out = json.loads(run("compare", *NETWORK, *words).out)
    assert len(out["stores"]) == 2
    for measured in out["stores"]:
        assert out["kernels"] == measured["kernels"] == used(kernels)
        assert measured["bit_identical"]


def test_the_kernels_of_a_run_are_fixed_in_it_and_shown(train: Run, tmp_path: Path) -> None:
    outcome = train("--json", "--out", tmp_path / "auto")
    assert outcome.code == 0
    (name,) = json.loads(outcome.out)["kernels"]
    assert name == used("auto")[0]
    assert RunFolder.open(tmp_path / "auto").config()["kernels"] == name
    assert f"kernels {name}" in outcome.err
    assert json.loads(train("--json", "--kernels", "numpy", "--out", tmp_path / "numpy").out)["kernels"] == ["numpy"]
    assert RunFolder.open(tmp_path / "numpy").config()["kernels"] == "numpy"


@pytest.mark.usefixtures("without_numba")
def test_without_numba_auto_is_numpy_and_compiled_is_an_error_that_says_what_to_install(
    train: Run, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RNNFRAME_KERNELS", raising=False)
    assert json.loads(run("plan", *NETWORK, "--steps", 20, "--json").out)["kernels"] == ["numpy", "numpy"]
    trained = train("--json", "--out", tmp_path / "run")
    assert json.loads(trained.out)["kernels"] == ["numpy"]
    assert trained.err.count("this runs on numpy; compiled kernels would be faster, but numba is not installed") == 1
    assert "faster" not in train("--kernels", "numpy", "--out", tmp_path / "asked").err
    for command in (("plan", *NETWORK), ("compare", *NETWORK), ("explain", "lstm"), ("sample", tmp_path / "run")):
        outcome = run(*command, "--kernels", "compiled")
        assert outcome.code == 2
        assert outcome.err == (
            "rnnframe: error: kernels='compiled': numba is not installed; pip install 'rnnframe[fast]'\n"
        )


def test_a_run_on_compiled_kernels_is_not_resumed_on_others(
    train: Run, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    train("--kernels", "compiled", "--out", tmp_path / "run", "--stop-after", 3)
    monkeypatch.setitem(sys.modules, "numba", None)
    outcome = run("train", "--resume", tmp_path / "run", "--quiet")
    assert outcome.code == 2
    assert "can continue on compiled kernels only, because others round differently; numba is" in outcome.err
    assert "pip install 'rnnframe[fast]'" in outcome.err
    assert run("evaluate", tmp_path / "run").code == 0  # by any kernels


def test_a_run_on_compiled_kernels_goes_on_bit_for_bit(train: Run, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    words = ("--kernels", "compiled")
    train(*words, "--out", tmp_path / "whole")
    train(*words, "--out", tmp_path / "stopped", "--stop-after", 7)
    assert run("train", "--resume", tmp_path / "stopped", "--quiet").code == 0
    whole, stopped = ((tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "stopped"))
    assert whole == stopped


def test_a_model_is_judged_and_predicts_the_same_by_any_kernels(train: Run, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    train("--out", tmp_path / "run")
    losses, tables = [], []
    for kernels in ("numpy", "compiled"):
        judged = json.loads(run("evaluate", tmp_path / "run", "--json", "--kernels", kernels).out)
        assert judged["kernels"] == [kernels]
        losses.append(judged["loss"])
        words = ("--data", tmp_path / "text.txt", "--out", tmp_path / f"{kernels}.npz", "--kernels", kernels)
        assert json.loads(run("predict", tmp_path / "run", *words, "--json").out)["kernels"] == [kernels]
        with np.load(tmp_path / f"{kernels}.npz") as columns:
            tables.append(columns["nats"])
        assert len(run("sample", tmp_path / "run", "--length", 20, "--kernels", kernels).out) == 21
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert np.allclose(*tables, rtol=1e-3, atol=1e-5)


def test_compiled_code_needs_the_same_arrays_of_the_past_as_the_formula(run: Run) -> None:
    pytest.importorskip("numba")
    asked = [json.loads(run("explain", "lstm", "--json", "--kernels", name).out) for name in ("numpy", "compiled")]
    assert [answer["kernels"] for answer in asked] == [["numpy"], ["compiled"]]
    assert asked[0]["arrays"] == asked[1]["arrays"]


def test_an_environment_variable_says_what_auto_means(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("plan", *NETWORK, "--steps", 20, "--store", "full-history", "--json")
    monkeypatch.setenv("RNNFRAME_KERNELS", "numpy")
    assert json.loads(run(*words).out)["kernels"] == ["numpy", "numpy"]
    monkeypatch.setenv("RNNFRAME_KERNELS", "auto")
    assert json.loads(run(*words).out)["kernels"] == used("auto")
    monkeypatch.setenv("RNNFRAME_KERNELS", "nmpy")
    assert "did you mean 'numpy'" in run(*words).err


def test_a_misspelt_name_is_told_the_right_one(run: Run) -> None:
    outcome = run("plan", "--kernels", "compield")
    assert outcome.code == 2
    assert "did you mean 'compiled'" in outcome.err


@pytest.mark.parametrize(
    "dtypes", [("float64",), pytest.param(("float32", "float64"), marks=pytest.mark.slow)], ids=len
)
def test_warmup_tells_the_seconds_of_every_cell_and_type_and_where_the_code_is_kept(
    run: Run, dtypes: tuple[str, ...]
) -> None:
    pytest.importorskip("numba")
    outcome = run("warmup", *(() if len(dtypes) == 2 else ("--dtype", *dtypes)))
    *lines, place = outcome.out.splitlines()
    told = [tuple(line.split()[:2]) for line in lines]
    cells = rf.default_registry().kernels("compiled").cells()
    assert told == [(code, dtype) for code in (*cells, "heads") for dtype in dtypes]
    assert all(line.endswith(" s") for line in lines)
    assert Path(place.removeprefix("kept in ")).is_dir()
    again = json.loads(run("warmup", "--json", "--cell", "lstm:hidden=99", "--dtype", "float64").out)
    assert [made["code"] for made in again["made"]] == ["lstm:hidden=99", "heads"]
    assert again["place"] in place


def test_every_cell_that_warmup_compiles_for_has_a_twin_and_no_other_built_in_cell_has_one() -> None:
    pytest.importorskip("numba")
    registry = rf.default_registry()
    kernels = registry.kernels("compiled")
    alone = [name for name in registry.names("cell") if not required_options(registry.find("cell", name))]
    names = {name for name in alone if kernels.twin(registry.cell(name), np.dtype("f4"))}
    assert names == {cell.partition(":")[0] for cell in kernels.cells()}


@pytest.mark.usefixtures("without_numba")
def test_warmup_without_numba_says_what_to_install(run: Run) -> None:
    outcome = run("warmup")
    assert outcome.code == 2
    assert outcome.err == "rnnframe: error: kernels='compiled': numba is not installed; pip install 'rnnframe[fast]'\n"


@pytest.mark.usefixtures("without_numba")
def test_a_precision_that_needs_numba_says_what_to_install(run: Run) -> None:
    outcome = run("train", "--precision", "bfloat16", "--no-out")
    assert outcome.code == 2
    assert "kernels compiled: numba is not installed; pip install 'rnnframe[fast]'" in outcome.err
    assert outcome.err.count("\n") == 1


def test_warmup_of_a_cell_without_kernels_names_those_that_have_some(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    outcome = run("warmup", "--cell", "elman")
    assert outcome.code == 0
    (tmp_path / "own.py").write_text(OWN)
    outcome = run("--plugin", tmp_path / "own.py", "warmup", "--cell", "own")
    assert outcome.code == 2
    assert "kernels 'compiled' have none for cell 'own'; they have some for lstm, gru, " in outcome.err
    assert run("warmup", "--kernels", "numpy").code == 2


def test_warmup_of_bfloat16_compiles_all_that_a_training_of_it_needs(
    tmp_path: Path,
) -> None:
    pytest.importorskip("numba")
    words = ("warmup", "--cell", "elman", "--precision", "bfloat16", "--json")
    fresh = {"env": os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}, "text": True, "check": True}
    made = subprocess.run([sys.executable, "-m", "rnnframe", *words], stdout=subprocess.PIPE, **fresh).stdout
    assert [(each["code"], each["dtype"]) for each in json.loads(made)["made"]] == [
        (n, "bfloat16") for n in ("elman", "heads")
    ]
    network = "rf.Network(['elman:hidden=4', 'elman:hidden=4'], 'softmax:classes=3', 2, precision='bfloat16')"
    code = f"""
import numpy as np, rnnframe as rf
for store, batch in [("states", 2), ("full-history", 8)]:
    rf.Engine({network}, store).gradients(np.zeros((5, batch, 2), "f4"), np.zeros((5, batch), int))
"""
    assert subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, **fresh).stderr == ""


def test_warmup_of_bfloat16_refuses_what_has_no_such_products(run: Run) -> None:
    pytest.importorskip("numba")
    outcome = run("warmup", "--cell", "mingru", "--precision", "bfloat16")
    assert outcome.code == 2
    assert "for cell 'mingru' with products of bfloat16; they have some for lstm, gru, elman\n" in outcome.err
    outcome = run("warmup", "--dtype", "float64", "--precision", "bfloat16")
    assert outcome.code == 2
    assert "needs a network of dtype float32, not float64" in outcome.err


OWN = """
import attrs
from typing import ClassVar
from rnnframe_cells.elman import Elman

@attrs.frozen(kw_only=True)
class Own(Elman):
    name: ClassVar[str] = "own"
"""
