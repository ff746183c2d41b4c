"""`embedding:tie=yes`: the readout has the embedding's rows as its matrix, one array for both."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError
from rnnframe.testing import check_gradients

STEPS, BATCH, VOCABULARY, SIZE = 12, 4, 7, 5
CELLS = ["embedding:size=5,tie=yes", "lstm:hidden=5"]
HEAD = "softmax:classes=7"
LENGTHS = np.array([12, 3, 7, 1])
STORES = [
    "full-history",
    "full-history:keep=lean",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=uniform,slots=3",
]


def network(cells=CELLS, head=HEAD, dtype="float64", inputs=VOCABULARY):
    made = rf.Network(cells, head, inputs, dtype=dtype)
    made.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.5, size=made.parameters.flat.shape)
    return made


def data():
    rng = np.random.default_rng(1)
    return rng.integers(0, VOCABULARY, (STEPS, BATCH)), rng.integers(0, VOCABULARY, (STEPS, BATCH))


def test_there_is_one_array_and_every_list_of_parameters_has_it_once():
    made = network()
    assert [*made.parameters] == ["layer0.U", "layer1.U", "layer1.W", "layer1.b", "head.c"]
    untied = network(["embedding:size=5", "lstm:hidden=5"])
    assert untied.parameters.nbytes - made.parameters.nbytes == 8 * VOCABULARY * SIZE
    assert made.weights.head["U"] is made.weights.layers[0]["U"]
    assert made.weights.copy().head["U"] is not made.weights.head["U"]
    assert made.specs()["head"].endswith("readout=tied")


def test_the_gradient_is_that_of_finite_differences():
    small = ["embedding:size=2,tie=yes", "elman:hidden=2"]
    engine = rf.Engine(network(small), "checkpoint:slots=2", chunk=5, kernels="numpy")
    check_gradients(engine, *data(), lengths=LENGTHS)
    dense = np.random.default_rng(2).normal(size=(STEPS, BATCH, VOCABULARY))
    check_gradients(rf.Engine(network(small), chunk=5, shards=2, kernels="numpy"), dense, data()[1])
    dropped = network(["embedding:size=2,tie=yes", "dropout:rate=0.3", "gru:hidden=2,weight_drop=0.4"])
    check_gradients(rf.Engine(dropped, chunk=5, kernels="numpy"), *data())


def test_compiled_cells_below_give_the_gradient_of_numpy():
    one, two = (rf.Engine(network(), chunk=5, kernels=k).gradients(*data(), lengths=LENGTHS) for k in ("numpy", "auto"))
    np.testing.assert_allclose(two.gradients.flat, one.gradients.flat, rtol=1e-10, atol=1e-14)


def test_a_layer_of_two_directions_between_them_gives_it_too():
    made = network(["embedding:size=4,tie=yes", "bidirectional(elman:hidden=2)"])
    check_gradients(rf.Engine(made, "checkpoint:slots=2", chunk=5, kernels="numpy"), *data(), lengths=LENGTHS)


def test_torch_with_one_weight_for_both_has_the_same_gradients():
    torch = pytest.importorskip("torch", reason="torch is the independent implementation that is compared with")
    made, (x, y) = network(), data()
    found = rf.Engine(made, chunk=5).gradients(x, y)
    p = {name: torch.from_numpy(value.copy()).requires_grad_() for name, value in made.parameters.items()}
    rnn = torch.nn.LSTM(SIZE, SIZE, dtype=torch.float64)
    weights = {
        "weight_ih_l0": p["layer1.U"].T,
        "weight_hh_l0": p["layer1.W"].T,
        "bias_ih_l0": p["layer1.b"],
        "bias_hh_l0": torch.zeros(4 * SIZE, dtype=torch.float64),
    }
    outputs, _ = torch.func.functional_call(
        rnn, weights, (torch.nn.functional.embedding(torch.tensor(x), p["layer0.U"]),)
    )
    logits = torch.nn.functional.linear(outputs, p["layer0.U"], p["head.c"])
    loss = torch.nn.functional.cross_entropy(logits.reshape(-1, VOCABULARY), torch.tensor(y.reshape(-1)))
    loss.backward()
    assert found.loss == pytest.approx(loss.item(), rel=1e-13)
    for name, value in found.gradients.items():
        np.testing.assert_allclose(value, p[name].grad.numpy(), rtol=1e-11, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("shards", [1, 2])
def test_every_exact_store_gives_the_same_bits_in_the_bytes_that_were_planned(shards):
    wanted = None
    for store in STORES:
        found = rf.Engine(network(), store, chunk=2, shards=shards).gradients(*data(), lengths=LENGTHS)
        wanted = wanted or found
        assert np.array_equal(found.gradients.flat, wanted.gradients.flat)
        assert found.report.peak_bytes == pytest.approx(found.report.predicted_bytes, rel=0.02)


def test_old_weights_of_a_truncating_store_are_tied_too():
    x, y = data()
    trainers = [
        rf.Trainer(rf.Engine(network(), f"circular-queue:k1=4,k2=8,weights={w}"), "sgd:lr=0.1")
        for w in ("stored", "current")
    ]
    losses = [[trainer.step(x, y).loss for _ in range(5)] for trainer in trainers]
    assert losses[0] != losses[1]
    assert all(course[-1] < course[0] for course in losses)


@pytest.mark.parametrize("optimizer", ["adamw:lr=0.05", "muon:lr=0.05", "lamb:lr=0.05"])
def test_it_is_trained_saved_loaded_and_run_step_by_step_as_one(tmp_path, optimizer):
    made, (x, y) = network(), data()
    trainer = rf.Trainer(rf.Engine(made), optimizer, average="ema:decay=0.9")
    losses = [trainer.step(x, y).loss for _ in range(15)]
    assert losses[-1] < losses[0]
    made.save(tmp_path / "model.safetensors")
    again = rf.load_model(tmp_path / "model.safetensors").network
    assert [*again.parameters] == [*made.parameters]
    wanted, _ = rf.Inference(made).predict(x)
    assert np.array_equal(rf.Inference(again).predict(x)[0], wanted)
    stream = again.stream(BATCH)
    for t in range(3):
        np.testing.assert_allclose(stream.step(x[t]), wanted[t], rtol=1e-12)


def test_a_sweep_with_a_loss_outside_adds_both_gradients():
    made, (x, y) = network(), data()
    wanted = rf.Engine(made, chunk=5).gradients(x, y)

    def pull(part, outputs):
        probabilities = np.exp(outputs - outputs.max(axis=2, keepdims=True))
        probabilities /= probabilities.sum(axis=2, keepdims=True)
        return (probabilities - np.eye(VOCABULARY)[y[part.start : part.stop, part.samples]]) / y.size

    found = rf.Engine(made, chunk=5).sweep(x, pull)
    np.testing.assert_allclose(found.gradients.flat, wanted.gradients.flat, rtol=1e-10, atol=1e-14)


def test_it_starts_as_a_readout_does_and_what_is_between_as_without():
    tied, untied = rf.Network(CELLS, HEAD, 7), rf.Network(["embedding:size=5", "lstm:hidden=5"], HEAD, 7)
    assert 0.9 / np.sqrt(SIZE) < np.abs(tied.parameters["layer0.U"]).max() <= 1 / np.sqrt(SIZE)
    assert np.array_equal(tied.parameters["layer1.W"], untied.parameters["layer1.W"])


@pytest.mark.parametrize(
    ("cells", "head", "message"),
    [
        (["embedding:size=5,tie=yes", "lstm:hidden=4"], HEAD, r"shares U \[7, 4\] .* which has \[7, 5\]"),
        (CELLS, "softmax:classes=6", r"shares U \[6, 5\] .* which has \[7, 5\]"),
        (["layer-norm", "lstm:hidden=5"], "softmax:classes=7,readout=tied", "which has none"),
        (["dense:units=7", *CELLS], HEAD, "stands above other layers; put it first"),
        (["residual(embedding:size=7,tie=yes)"], HEAD, "stands above other layers; put it first"),
        (CELLS, None, "the network has no head"),
    ],
)
def test_what_cannot_be_tied_is_refused_with_both_shapes(cells, head, message):
    with pytest.raises(OptionError, match=message):
        rf.Network(cells, head, 7)


def test_state_dicts_and_onnx_of_dense_inputs_refuse_it_by_name():
    with pytest.raises(OptionError, match="layer0 is a 'embedding'"):
        network().to_state_dict()
    onnx = pytest.importorskip("rnnframe_onnx.writing", reason="needs onnx", exc_type=ImportError)
    with pytest.raises(OptionError, match="an embedding is written for x that holds row numbers"):
        onnx.to_onnx(network())
