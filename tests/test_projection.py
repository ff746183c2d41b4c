"""`lstm:projection=R`: h has fewer values than there are units. Beside torch, whose name for it is proj_size."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.data.batch import Batch
from rnnframe.errors import OptionError, UsageError
from rnnframe.inspection.gradients import gradient_health
from rnnframe.testing import check_gradients

torch = pytest.importorskip("torch", reason="torch is the independent implementation that is compared with")

STEPS, BATCH, INPUTS, HIDDEN, R = 11, 4, 3, 6, 2
CELL = f"lstm:hidden={HIDDEN},projection={R}"
LENGTHS = np.array([11, 4, 9, 1])
STORES = [
    "full-history",
    "full-history:keep=lean",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=uniform,slots=3",
]


def network(*cells, head="mse:outputs=2"):
    made = rf.Network(cells or [CELL, CELL], head, INPUTS, dtype="float64")
    made.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.5, size=made.parameters.flat.shape)
    return made


def data():
    rng = np.random.default_rng(1)
    return rng.normal(size=(STEPS, BATCH, INPUTS)), rng.normal(size=(STEPS, BATCH, 2))


def test_torch_computes_the_same_outputs_states_and_gradients(each_kernels):
    made, (x, dy) = network(head=None), data()
    rnn = torch.nn.LSTM(INPUTS, HIDDEN, 2, proj_size=R, dtype=torch.float64)
    arrays = made.to_state_dict()
    rnn.load_state_dict({name.removeprefix("rnn."): torch.from_numpy(array) for name, array in arrays.items()})
    outputs, (h, c) = rnn(torch.from_numpy(x))
    outputs.backward(torch.from_numpy(dy))
    found, state = rf.Inference(made).predict(x)
    np.testing.assert_allclose(found, outputs.detach().numpy(), rtol=0, atol=1e-12)
    for layer in range(2):
        np.testing.assert_allclose(state[f"layer{layer}.h"], h[layer].detach().numpy(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(state[f"layer{layer}.c"], c[layer].detach().numpy(), rtol=0, atol=1e-12)
    engine = rf.Engine(made, "checkpoint:slots=2", chunk=4)
    swept = engine.sweep(x, lambda part, _: dy[part.start : part.stop, part.samples]).gradients
    names = {"U": "weight_ih", "W": "weight_hh", "P": "weight_hr", "b": "bias_ih"}
    for name, value in swept.items():
        layer, _, own = name.partition(".")
        wanted = getattr(rnn, f"{names[own]}_l{layer[-1]}").grad.numpy().T
        np.testing.assert_allclose(value, wanted, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
def test_a_state_dict_makes_it_and_is_made_of_it_bit_for_bit():
    model = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(INPUTS, HIDDEN, 2, proj_size=R), "head": torch.nn.Linear(R, 5)})
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "bias_hh" in name:
                value.zero_()
    given = model.state_dict()
    made = rf.Network.from_state_dict(given, "softmax")
    assert made.specs()["cells"][1].startswith(f"lstm:hidden={HIDDEN}")
    assert made.cells[1].projection == R
    written = made.to_state_dict()
    assert written.keys() == given.keys()
    for name, value in given.items():
        assert np.array_equal(written[name], value.numpy()), name
    x = np.random.default_rng(2).normal(size=(STEPS, BATCH, INPUTS)).astype("f4")
    outputs = model["head"](model["rnn"](torch.from_numpy(x))[0]).softmax(-1).detach().numpy()
    np.testing.assert_allclose(rf.Inference(made).predict(x)[0], outputs, atol=1e-6)


def test_the_gradient_is_that_of_finite_differences_with_masks_and_a_learnt_start():
    masks = "recurrent_dropout=0.3,weight_drop=0.2,zoneout=0.2,zoneout_cell=0.1"
    made = network(f"lstm:hidden=3,projection=2,{masks},start=learnt", "elman:hidden=2")
    check_gradients(rf.Engine(made, "checkpoint:slots=2", chunk=4, shards=2), *data(), lengths=LENGTHS)


@pytest.mark.parametrize("shards", [1, 2])
def test_every_exact_store_gives_the_same_bits_in_the_bytes_that_were_planned(shards, each_kernels):
    wanted = None
    for store in STORES:
        found = rf.Engine(network(), store, chunk=2, shards=shards).gradients(*data(), lengths=LENGTHS)
        wanted = wanted or found
        assert np.array_equal(found.gradients.flat, wanted.gradients.flat)
        assert found.report.peak_bytes == pytest.approx(found.report.predicted_bytes, rel=0.02)


def test_the_next_layer_has_as_many_inputs_as_h_has_values():
    made = network(CELL, "gru:hidden=3")
    assert (made.layers[0].width, made.parameters["layer1.U"].shape) == (R, (R, 9))


def test_a_stream_gives_the_predictions_of_the_sequence():
    made, (x, _) = network(), data()
    wanted, _ = rf.Inference(made).predict(x)
    stream = made.stream(BATCH)
    for t in range(STEPS):
        np.testing.assert_allclose(stream.step(x[t]), wanted[t], rtol=1e-12, atol=1e-15)


def test_the_spectral_radius_is_that_of_the_way_through_the_projection():
    made = network(CELL)
    found = gradient_health(rf.Engine(made, "full-history"), Batch(*data())).spectral_radius
    P, W = made.parameters["layer0.P"], made.parameters["layer0.W"]
    wanted = max(np.abs(np.linalg.eigvals(part @ P)).max() for part in np.split(W, 4, axis=1))
    assert found == {"layer0.W": pytest.approx(wanted)}


def test_what_is_no_projection_is_refused():
    with pytest.raises(OptionError, match="projection=6 is invalid; expected fewer values than units, 6"):
        rf.cell(f"lstm:hidden={HIDDEN},projection=6")
    with pytest.raises(OptionError, match="'projection' must be >= 1: 0"):
        rf.cell("lstm:hidden=4,projection=0")
    onnx = pytest.importorskip("rnnframe_onnx.writing", reason="needs onnx", exc_type=ImportError)
    with pytest.raises(OptionError, match="layer0 has projection=2, which the LSTM of ONNX does not have"):
        onnx.to_onnx(network())
    wrong = {**network(CELL).to_state_dict(), "rnn.weight_hr_l0": np.zeros((R, 5))}
    with pytest.raises(UsageError, match=r"'rnn.weight_hh_l0' has the shape \[24, 2\]"):
        rf.Network.from_state_dict(wrong, "mse")
