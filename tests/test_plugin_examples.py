"""The plugins under examples/: short, right, and usable from any folder by every command."""

import json
import math
import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
from interpreter import follow, lengths

import rnnframe as rf
from rnnframe.cli import main
from rnnframe.plugin import Costs
from rnnframe.schedules import Grid
from rnnframe.testing import check_gradients

pytestmark = pytest.mark.usefixtures("everything_compiled")
FOLDER = Path(__file__).parent.parent / "examples" / "plugins"
MOST_LINES = {
    "peephole_lstm": 40,
    "minimal_gated_unit": 40,
    "indrnn": 40,
    "every_kth": 25,
    "lion": 25,
    "indrnn_kernels": 110,
    "quantile": 30,
    "huber": 30,
}
CELLS = {"peephole": "peephole_lstm", "mgu": "minimal_gated_unit", "indrnn-steps": "indrnn"}
INPUTS = 4


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Return the installed plugins and the examples, these copied to another folder."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    made = rf.Registry.installed()
    for name in MOST_LINES:
        made.add_local(str(shutil.copy(FOLDER / f"{name}.py", elsewhere)))
    return made


@pytest.mark.parametrize(("name", "most"), MOST_LINES.items())
def test_an_example_is_as_short_as_is_promised(name, most):
    lines = len((FOLDER / f"{name}.py").read_text().splitlines())
    assert lines <= most
    assert re.search(rf"^\| \[{name}\.py\].* {lines} \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)


def test_the_table_names_every_example():
    assert {path.stem for path in FOLDER.glob("*.py")} == set(MOST_LINES)


SEED = 17  # with it no unit of a relu comes within a step of the differences of its corner, and every gradient is large


def network_of(registry, *cells, seed=SEED):
    network = rf.Network(cells, "softmax:classes=3", INPUTS, dtype="float64", registry=registry)
    network.parameters.flat[:] = np.random.default_rng(seed).normal(scale=0.5, size=network.parameters.flat.shape)
    return network


def data_of(network, steps, batch, *, lookup):
    rng = np.random.default_rng(1)
    x = rng.integers(0, INPUTS, (steps, batch)) if lookup else rng.normal(size=(steps, batch, INPUTS))
    state = network.new_state(batch)
    state.flat[:] = rng.normal(scale=0.5, size=state.flat.shape)
    return x, rng.integers(0, 3, (steps, batch)), state


@pytest.mark.parametrize("lookup", [False, True], ids=["dense", "lookup"])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("store", ["full-history", "checkpoint:policy=revolve,slots=2", "every-kth:k=2"])
def test_the_gradients_are_those_of_finite_differences(registry, store, cell, lookup):
    network = network_of(registry, f"{cell}:hidden=3", f"{cell}:hidden=2")
    engine = rf.Engine(network, store, chunk=2, registry=registry)
    check_gradients(engine, *data_of(network, 9, 2, lookup=lookup))


def logistic(z):
    return 1 / (1 + math.exp(-z))


def peephole(p, u, h, c):
    i, f, g, o = (u[n] + h * p["W"][0][n] + p["b"][n] for n in range(4))
    c_t = logistic(f + p["wf"][0] * c) * c + logistic(i + p["wi"][0] * c) * math.tanh(g)
    return logistic(o + p["wo"][0] * c_t) * math.tanh(c_t), c_t


def mgu(p, u, h, c):
    f = logistic(u[0] + h * p["Wf"][0][0] + p["b"][0])
    return (1 - f) * h + f * math.tanh(u[1] + f * h * p["Wn"][0][0] + p["b"][1]), c


def indrnn(p, u, h, c):
    return max(0, u[0] + p["u"][0] * h + p["b"][0]), c


@pytest.mark.parametrize("formula", [peephole, mgu, indrnn])
def test_a_cell_of_one_unit_computes_the_formula_of_its_paper(registry, formula):
    name = "indrnn-steps" if formula is indrnn else formula.__name__
    network = network_of(registry, f"{name}:hidden=1")
    p = network.parameters.group("layer0")
    x, _, _ = data_of(network, 6, 1, lookup=False)
    h = c = 0.0
    for x_t in x[:, 0]:
        h, c = formula(p, [float(u) for u in x_t @ p["U"]], h, c)
    _, state = rf.Inference(network).predict(x)
    assert state["layer0.h"].item() == pytest.approx(h, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("steps", [1, 2, 7, 24, 25])
def test_the_store_keeps_one_tape_in_k_and_recomputes_the_others_once(registry, steps, k):
    grid, store = Grid(steps, (2,)), registry.store(f"every-kth:k={k}")
    costs = Costs(snapshot=1, tape=1)
    seen = follow(store.schedule(grid, costs), lengths(grid))
    chunks = grid.chunks
    runs = -(-chunks // k)
    assert seen.forwards == {n: 1 + (n % k > 0) for n in range(chunks)}
    assert seen.reversals == [*reversed(range(chunks))]
    assert seen.most_snapshots == 0
    assert seen.most_tapes <= runs + k - 1
    simulation = rf.simulate(store.schedule(grid, costs), grid)
    assert simulation.tapes == seen.most_tapes


def test_the_optimizer_follows_the_formula_of_its_paper(registry):
    lion = registry.optimizer("lion:beta1=0.8,beta2=0.9,weight_decay=0.1")
    p, m, expected = np.array([1.0, -2.0, 0.5]), np.zeros(3), [1.0, -2.0, 0.5]
    slots, momentum = {"m": m}, [0.0, 0.0, 0.0]
    for step, g in enumerate(([0.5, -1, 2], [-3, 0.1, -0.1], [0.2, 4, -0.4]), 1):
        lion.update(p, np.array(g, float), slots, step, 0.01)
        for n in range(3):
            direction = math.copysign(1, 0.8 * momentum[n] + 0.2 * g[n])
            expected[n] -= 0.01 * (direction + 0.1 * expected[n])
            momentum[n] = 0.9 * momentum[n] + 0.1 * g[n]
    assert p == pytest.approx(expected, rel=1e-14)
    assert m == pytest.approx(momentum, rel=1e-14)


STORES = (
    "full-history",
    "every-kth:k=2",
    "checkpoint",
    "checkpoint:policy=revolve,slots=2",
    "circular-queue:k1=16,k2=16",
    "checkpoint:policy=mixed,slots=2",
    "states",
    "auto:budget=1MiB",
)


@pytest.fixture
def run(monkeypatch, capsys):
    def typed(*words):
        named = [word for name in MOST_LINES for word in ("--plugin", FOLDER / f"{name}.py")]
        monkeypatch.setattr("sys.argv", ["rnnframe", *map(str, named), *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        assert (stop.value.code, captured.err) == (0, "")
        return captured.out

    return typed


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_trains_at_the_command_line_with_every_exact_store_to_equal_bits(run, tmp_path, cell):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{n}: the quick brown fox jumps {n * 7 % 13} times.\n" for n in range(30)))
    small = (
        "--data",
        text,
        "--kernels",
        "numpy",
        "--cell",
        f"{cell}:hidden=6",
        "--optimizer",
        "lion:lr=1e-2",
        "--batch",
        4,
        "--steps",
        16,
    )
    weights = []
    for n, store in enumerate(STORES):
        run("train", *small, "--chunk", 4, "--epochs", 1, "--quiet", "--store", store, "--out", tmp_path / str(n))
        weights.append((tmp_path / str(n) / "weights.safetensors").read_bytes())
        named = tomllib.loads((tmp_path / str(n) / "config.toml").read_text())["plugin"]
        assert {Path(path).stem for path in named} == {CELLS[cell], "lion"} | (
            {"every_kth"} if "kth" in store else set()
        )
    assert weights.count(weights[0]) == len(STORES)
    losses = [json.loads(line)["loss"] for line in (tmp_path / "0" / "metrics.jsonl").read_text().splitlines()[:-1]]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_is_explained_planned_and_compared(run, cell):
    rows = {row["array"]: row for row in json.loads(run("explain", cell, "--json"))["arrays"]}
    assert "dV" in rows["h_t"]["needed_by"]
    assert "dU" in rows["h_(t-1)"]["needed_by"] or cell == "indrnn-steps"
    words = ("--cell", f"{cell}:hidden=8", "--kernels", "numpy", "--batch", 4, "--steps", 40, "--chunk", 4, "--json")
    plans = {plan["store"]: plan for plan in json.loads(run("plan", *words))["plans"]}
    assert plans["every-kth:k=4"]["predicted_bytes"] < plans["full-history"]["predicted_bytes"]
    whole, measured = json.loads(run("compare", *words, "--store", "every-kth:k=4"))["stores"]
    assert (whole["store"], measured["store"]) == ("full-history", "every-kth:k=4")
    assert measured["bit_identical"]
    assert measured["held_bytes"] == measured["predicted_bytes"]


def test_kernels_in_a_file_compute_what_their_cell_computes(registry):
    pytest.importorskip("numba", reason="numba is not installed")
    for lookup in (False, True):
        network = network_of(registry, "indrnn-steps:hidden=5", "indrnn-steps:hidden=4")
        data = data_of(network, 9, 3, lookup=lookup)
        engines = {
            kernels: rf.Engine(network, "checkpoint:slots=1", chunk=2, registry=registry, kernels=kernels)
            for kernels in ("numpy", "indrnn-loops")
        }
        assert engines["indrnn-loops"].running.kernels == ("indrnn-loops", "indrnn-loops")
        numpy, loops = (engine.gradients(*data) for engine in engines.values())
        assert loops.loss == pytest.approx(numpy.loss, rel=1e-13)
        assert np.allclose(loops.gradients.flat, numpy.gradients.flat, rtol=1e-12, atol=1e-15)
        assert np.allclose(loops.state_gradient.flat, numpy.state_gradient.flat, rtol=1e-12, atol=1e-15)
        check_gradients(engines["indrnn-loops"], *data)
