"""The gradient over time: against torch's, against formulas, and as a training records it."""

import json
from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.data.batch import Batch
from rnnframe.errors import OptionError
from rnnframe.inspection.gradients import POINTS, gradient_health

STORES = ["full-history", "checkpoint:slots=2", "states"]


def engine(cells: list[str], head: str, store: str = "full-history", kernels: str = "numpy") -> rf.Engine:
    return rf.Engine(rf.Network(cells, head, 3, seed=2, dtype="float64"), store, kernels=kernels)


def batch(steps: int = 20, last: bool = False) -> Batch:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(steps, 4, 3)), rng.normal(size=(steps, 4, 2))
    return Batch(x, y[-1] if last else y)


@pytest.mark.parametrize("store", STORES)
def test_the_norms_are_those_of_torch(store: str) -> None:
    torch = pytest.importorskip("torch")
    trained = engine(["lstm:hidden=5", "elman:hidden=4"], "mse:outputs=2", store)
    given = batch()
    found = gradient_health(trained, given)
    p = {name: torch.from_numpy(np.array(value)) for name, value in trained.network.parameters.items()}
    x, y = torch.from_numpy(given.x), torch.from_numpy(given.y)
    h, c, g = (torch.zeros(4, n, dtype=torch.float64, requires_grad=True) for n in (5, 5, 4))
    states, loss = [], torch.zeros((), dtype=torch.float64)
    for t in range(len(x)):
        h, c, g = h * 1, c * 1, g * 1  # what only this step and later ones see
        for value in (h, c, g):
            value.retain_grad()
        states.append({"layer0.h": h, "layer0.c": c, "layer1.h": g})
        z = x[t] @ p["layer0.U"] + h @ p["layer0.W"] + p["layer0.b"]
        i, f, a, o = z.split(5, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * a.tanh()
        h = o.sigmoid() * c.tanh()
        g = (h @ p["layer1.U"] + g @ p["layer1.W"] + p["layer1.b"]).tanh()
        loss = loss + torch.nn.functional.mse_loss(g @ p["head.V"] + p["head.c"], y[t], reduction="sum")
    (loss / y.numel()).backward()
    assert found.steps == tuple(range(20))
    for name, norms in found.norms.items():
        witness = [0.0 if s[name].grad is None else float(s[name].grad.norm()) for s in states]
        np.testing.assert_allclose(norms, witness, rtol=1e-12)


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("kernels", ["numpy", "compiled"])
def test_a_watched_run_changes_nothing_and_every_store_sees_the_same(store: str, kernels: str) -> None:
    if kernels == "compiled":
        pytest.importorskip("numba")
    cells, given = ["lstm:hidden=5,weight_drop=0.2", "gru:hidden=4"], batch(150, last=True)
    trained = engine(cells, "mse:outputs=2,at=last", store, kernels)
    before = trained.gradients(given.x, given.y).gradients.flat
    found = gradient_health(trained, given)
    assert (trained.draws, len(found.steps)) == (1, POINTS - 14)
    assert np.array_equal(found.steps, np.arange(0, 150, 3))
    reference = engine(cells, "mse:outputs=2,at=last", "full-history", kernels)
    assert np.array_equal(before, reference.gradients(given.x, given.y).gradients.flat)
    same = gradient_health(reference, given)
    for name, norms in found.norms.items():
        np.testing.assert_allclose(norms, same.norms[name], rtol=0 if store != "states" else 1e-10)
    assert found.saturated == same.saturated
    assert set(found.saturated) == {"layer0.i", "layer0.f", "layer0.o", "layer1.r", "layer1.z"}


def test_norms_follow_powers_of_a_linear_cells_weight() -> None:
    trained = rf.Engine(rf.Network(["elman:hidden=1"], "mse:outputs=1,at=last", 1, dtype="float64"))
    p = trained.network.parameters
    p["layer0.W"][...], p["layer0.U"][...], p["layer0.b"][...] = 0.5, 1e-9, 0.0
    x, y = np.zeros((12, 1, 1)), np.ones((1, 1))
    norms = np.array(gradient_health(trained, Batch(x, y)).norms["layer0.h"])
    np.testing.assert_allclose(norms[:-1] / norms[1:], 0.5, rtol=1e-9)


def test_lengths_and_resets_end_what_flows() -> None:
    trained = engine(["gru:hidden=4"], "mse:outputs=2")
    given = batch(30)
    resets = np.zeros((30, 4), bool)
    resets[10] = True
    found = gradient_health(trained, Batch(given.x, given.y, np.array([30, 20, 15, 12]), resets))
    assert found.norms["layer0.h"][10] == 0
    assert all(norm > 0 for norm in found.norms["layer0.h"][:10])


def test_the_spectral_radius_is_the_largest_eigenvalue_of_each_gates_columns() -> None:
    trained = engine(["lstm:hidden=5", "residual(layer-norm elman:hidden=5)", "dense:units=5"], "mse:outputs=2")
    found = gradient_health(trained, batch()).spectral_radius
    assert set(found) == {"layer0.W", "layer1.1.W"}
    W = trained.network.parameters["layer0.W"]
    powers = [np.linalg.norm(np.linalg.matrix_power(part, 200), 2) ** (1 / 200) for part in np.split(W, 4, axis=1)]
    assert found["layer0.W"] == pytest.approx(max(powers), rel=0.02)
    W[:] = np.concatenate([np.diag([0.1, -0.9, 0.2, 0.3, 0.4])] * 4, axis=1)
    assert gradient_health(trained, batch()).spectral_radius["layer0.W"] == pytest.approx(0.9)


def test_gates_near_0_and_1_are_counted() -> None:
    trained = engine(["lstm:hidden=5"], "mse:outputs=2")
    b = trained.network.parameters["layer0.b"]
    b[:] = np.repeat([-9.0, 9.0, 0.0, 0.0], 5)
    found = gradient_health(trained, batch()).saturated
    assert found["layer0.i"] == found["layer0.f"] == 1
    assert found["layer0.o"] < 0.2


def test_a_training_records_it_after_each_evaluation_and_trains_the_same_weights(tmp_path: Path) -> None:
    data = tmp_path / "text.txt"
    data.write_text("".join(f"{n}: a line of text {n * 7 % 13}.\n" for n in range(80)))
    runs = {}
    for watch in (False, True):
        options = rf.TrainingOptions(
            data=str(data), cell="gru:hidden=8", batch=4, steps=16, epochs=2, shards=1, watch_gradients=watch
        )
        with rf.Training(options, run=tmp_path / str(watch)) as training:
            training.fit()
        runs[watch] = training.model.network.parameters.flat
    assert np.array_equal(runs[False], runs[True])
    lines = [json.loads(line) for line in (tmp_path / "True" / "metrics.jsonl").read_text().splitlines()]
    looks = [line for line in lines if line["kind"] == "gradients"]
    assert [look["epoch"] for look in looks] == [1, 2]
    assert len(looks[0]["norms"]["layer0.h"]) == len(looks[0]["steps"]) == 13  # of the last batch
    assert looks[0]["peak_bytes"] > 0


def test_stores_that_truncate_are_refused(tmp_path: Path) -> None:
    data = tmp_path / "text.txt"
    data.write_text("a line of text\n" * 200)
    options = rf.TrainingOptions(data=str(data), store="circular-queue:k1=4,k2=8", watch_gradients=True, batch=2)
    with pytest.raises(OptionError, match=r"store 'circular-queue' truncates: .*take an exact store"):
        rf.Training(options)
