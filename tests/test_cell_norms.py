"""`norm=layer` in lstm and gru: beside torch's layer_norm in the paper's equations, and under every exact store."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError
from rnnframe.testing import check_gradients

STEPS, BATCH, INPUTS, H = 9, 4, 5, 6
CELLS = {"lstm": f"lstm:hidden={H},norm=layer", "gru": f"gru:hidden={H},norm=layer"}
LENGTHS = np.array([9, 3, 7, 1])
STORES = [
    "full-history",
    "full-history:keep=lean",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=uniform,slots=3",
]


def network(*cells, head="mse:outputs=2"):
    made = rf.Network(cells, head, INPUTS, dtype="float64")
    made.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.5, size=made.parameters.flat.shape)
    return made


def data():
    rng = np.random.default_rng(1)
    return rng.normal(size=(STEPS, BATCH, INPUTS)), rng.normal(size=(STEPS, BATCH, 2))


def lstm_of_the_paper(torch, p, x):
    """Equations (20) to (22) of the supplement; gates in the order i, f, g, o."""
    norm = torch.nn.functional.layer_norm
    h = c = torch.zeros(BATCH, H, dtype=torch.float64)
    for x_t in x:
        sums = norm(h @ p["W"], (4 * H,), p["g_h"]) + norm(x_t @ p["U"], (4 * H,), p["g_x"]) + p["b"]
        i, f, g, o = sums.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * norm(c, (H,), p["g_c"], p["b_c"]).tanh()
        yield h


def gru_of_the_paper(torch, p, x):
    """Its equations for the GRU, with z for its 1 - z, in the order r, z, n."""
    norm = torch.nn.functional.layer_norm
    h = torch.zeros(BATCH, H, dtype=torch.float64)
    rz, n = slice(None, 2 * H), slice(2 * H, None)
    for x_t in x:
        sums = norm(h @ p["W"][:, rz], (2 * H,), p["g_h"][rz]) + norm(x_t @ p["U"][:, rz], (2 * H,), p["g_x"][rz])
        r, z = (sums + p["b"][rz]).sigmoid().chunk(2, dim=1)
        of_x = norm(x_t @ p["U"][:, n], (H,), p["g_x"][n], p["b"][n])
        new = (of_x + r * norm(h @ p["W"][:, n], (H,), p["g_h"][n], p["bn"])).tanh()
        h = (1 - z) * new + z * h
        yield h


@pytest.mark.parametrize("cell", CELLS)
def test_torch_computes_the_same_from_the_papers_equations(cell, each_kernels):
    torch = pytest.importorskip("torch", reason="torch is the independent implementation that is compared with")
    made, (x, _) = network(CELLS[cell], head=None), data()
    dy = np.random.default_rng(2).normal(size=(STEPS, BATCH, H))
    p = {name: torch.from_numpy(a.copy()).requires_grad_() for name, a in made.parameters.group("layer0").items()}
    steps = {"lstm": lstm_of_the_paper, "gru": gru_of_the_paper}[cell]
    outputs = torch.stack([*steps(torch, p, torch.from_numpy(x))])
    outputs.backward(torch.from_numpy(dy))
    found, _ = rf.Inference(made).predict(x)
    np.testing.assert_allclose(found, outputs.detach().numpy(), rtol=0, atol=1e-12)
    engine = rf.Engine(made, "checkpoint:slots=2", chunk=4)
    swept = engine.sweep(x, lambda part, _: dy[part.start : part.stop, part.samples]).gradients
    for name, value in swept.group("layer0").items():
        np.testing.assert_allclose(value, p[name].grad.numpy(), rtol=1e-11, atol=1e-11, err_msg=name)


@pytest.mark.parametrize(
    "cell",
    [
        "lstm:hidden=3,norm=layer,zoneout=0.2,zoneout_cell=0.1,start=learnt",
        "gru:hidden=6,norm=layer,recurrent_dropout=0.3,zoneout=0.2,start=learnt",
    ],
)
def test_the_gradient_is_that_of_finite_differences(cell):
    made = network(cell, "elman:hidden=2")
    x = np.random.default_rng(3).integers(0, INPUTS, (STEPS, BATCH))
    state = made.new_state(BATCH)  # a norm bends too sharply at zeros for differences
    state.flat[:] = np.random.default_rng(4).normal(size=state.flat.shape)
    given = None if "start" in cell else state
    check_gradients(rf.Engine(made, "checkpoint:slots=2", chunk=4, shards=2), x, data()[1], given, lengths=LENGTHS)


@pytest.mark.parametrize("shards", [1, 2])
def test_every_exact_store_gives_the_same_bits_in_the_bytes_that_were_planned(shards, each_kernels):
    wanted = None
    for store in STORES:
        made = network(*CELLS.values(), f"lstm:hidden={H},norm=layer,projection=2")
        found = rf.Engine(made, store, chunk=2, shards=shards).gradients(*data(), lengths=LENGTHS)
        wanted = wanted or found
        assert np.array_equal(found.gradients.flat, wanted.gradients.flat)
        assert found.report.peak_bytes == pytest.approx(found.report.predicted_bytes, rel=0.02)


@pytest.mark.parametrize("cell", CELLS)
def test_scales_start_at_one_and_a_stream_gives_the_predictions_of_the_sequence(cell):
    fresh = rf.Network([CELLS[cell]], "mse:outputs=2", INPUTS).parameters
    assert (fresh["layer0.g_h"] == 1).all()
    assert (fresh["layer0.g_x"] == 1).all()
    made, (x, _) = network(CELLS[cell]), data()
    wanted, _ = rf.Inference(made).predict(x)
    stream = made.stream(BATCH)
    for t in range(STEPS):
        np.testing.assert_allclose(stream.step(x[t]), wanted[t], rtol=1e-11, atol=1e-14)


def test_what_has_no_norm_refuses_it_by_name():
    with pytest.raises(OptionError, match="norm=layer is of the form reset=after; leave reset=before out"):
        rf.cell("gru:norm=layer,reset=before")
    with pytest.raises(OptionError, match="layer0 has b_c, g_c, g_h, g_x, which PyTorch does not have"):
        network(CELLS["lstm"]).to_state_dict()
    onnx = pytest.importorskip("rnnframe_onnx.writing", reason="needs onnx", exc_type=ImportError)
    with pytest.raises(OptionError, match="layer0 has norm=layer, for which ONNX has no operator"):
        onnx.to_onnx(network(CELLS["gru"]))
