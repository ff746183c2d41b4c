"""`start=learnt`: the state before the first step is a parameter, of cells, of blocks and of any plugin's layer."""

from importlib.util import find_spec

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError, PluginError
from rnnframe.testing import check_gradients

STEPS, BATCH, INPUTS = 13, 4, 2
LENGTHS = np.array([13, 4, 9, 1])
CELLS = {
    "elman": "elman:hidden=2,start=learnt",
    "lstm": "lstm:hidden=2,start=learnt",
    "gru": "gru:hidden=2,start=learnt",
    "gru reset before": "gru:hidden=2,start=learnt,reset=before",
    "peephole-lstm": "peephole-lstm:hidden=2,start=learnt",
    "zoneout": "lstm:hidden=2,start=learnt,zoneout=0.2,zoneout_cell=0.1",
    "residual": "residual(gru:hidden=2,start=learnt)",
}
EXACT = [
    "full-history",
    "full-history:keep=lean",
    "states",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=mixed,slots=3",
    "checkpoint:policy=uniform,slots=3",
]
KERNELS = ["numpy", "compiled"] if find_spec("numba") else ["numpy"]


def network(*cells, head="mse:outputs=2"):
    made = rf.Network(cells, head, INPUTS, dtype="float64")
    made.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.5, size=made.parameters.flat.shape)
    return made


def data():
    rng = np.random.default_rng(1)
    resets = rng.random((STEPS, BATCH)) < 0.15
    resets[0, 0] = resets[5] = True
    return rng.normal(size=(STEPS, BATCH, INPUTS)), rng.normal(size=(STEPS, BATCH, 2)), resets


def starts(made, gradients):
    return {name: gradients[name] for name in made.parameters if name.endswith(".start")}


@pytest.mark.parametrize("cell", CELLS)
def test_the_gradient_is_that_of_finite_differences_with_lengths_and_resets(cell):
    made, (x, y, resets) = network(CELLS[cell], "elman:hidden=2,start=learnt"), data()
    assert starts(made, made.parameters).keys() >= {"layer1.h.start"}
    engine = rf.Engine(made, "checkpoint:slots=2", chunk=4, kernels="numpy")
    check_gradients(engine, x[:7], y[:7], None, 1e-7, np.minimum(LENGTHS, 7), resets[:7])


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru", "gru reset before"])
def test_compiled_kernels_give_the_gradient_of_numpy(cell):
    made, (x, y, resets) = network(CELLS[cell], "elman:hidden=2,start=learnt"), data()
    one, two = (
        rf.Engine(made, chunk=4, kernels=kernels).gradients(x, y, lengths=LENGTHS, resets=resets)
        for kernels in ("numpy", KERNELS[-1])
    )
    assert two.report.kernels == (KERNELS[-1],) * 2
    np.testing.assert_allclose(two.gradients.flat, one.gradients.flat, rtol=1e-10, atol=1e-14)


def test_a_carried_state_is_taken_as_it_is_and_only_resets_begin_again():
    made, (x, y, resets) = network(CELLS["lstm"]), data()
    state = made.new_state(BATCH)
    state.flat[:] = np.random.default_rng(2).normal(size=state.flat.shape)
    check_gradients(rf.Engine(made, chunk=4, kernels="numpy"), x, y, state, resets=resets)
    found = rf.Engine(made, chunk=4).gradients(x, y, state)
    assert all((value == 0).all() for value in starts(made, found.gradients).values())
    zeros = rf.Engine(made, chunk=4).gradients(x, y, made.new_state(BATCH))
    assert zeros.loss != rf.Engine(made, chunk=4).gradients(x, y).loss


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("shards", [1, 2])
def test_every_exact_store_gives_the_same_bits_in_the_bytes_that_were_planned(kernels, shards):
    x, y, resets = data()
    wanted = None
    for store in EXACT:
        made = network(CELLS["lstm"], CELLS["gru"])
        engine = rf.Engine(made, store, chunk=2, shards=shards, kernels=kernels)
        found = engine.gradients(x, y, lengths=LENGTHS, resets=resets)
        wanted = wanted or found
        assert found.loss == wanted.loss
        if store not in ("states", "checkpoint:policy=mixed,slots=3"):  # whose gates are made again in large products
            assert np.array_equal(found.gradients.flat, wanted.gradients.flat), store
        np.testing.assert_allclose(found.gradients.flat, wanted.gradients.flat, rtol=1e-12, atol=1e-14)
        assert found.report.peak_bytes == pytest.approx(found.report.predicted_bytes, rel=0.02)


@pytest.mark.parametrize("kind", ["lstm", "gru", "elman"])
def test_torch_with_a_parameter_as_its_first_state_has_the_same_gradients(kind):
    torch = pytest.importorskip("torch", reason="torch is the independent implementation that is compared with")
    made, (x, y, _) = network(CELLS[kind]), data()
    found = rf.Engine(made, chunk=5).gradients(x, y)
    plain = rf.Network([f"{kind}:hidden={made.layers[0].width}"], "mse:outputs=2", INPUTS, dtype="float64")
    for name in plain.parameters:
        plain.parameters[name][...] = made.parameters[name]
    arrays = {name: torch.from_numpy(array) for name, array in plain.to_state_dict().items()}
    module = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "elman": torch.nn.RNN}[kind]
    rnn = module(INPUTS, made.layers[0].width, dtype=torch.float64)
    rnn.load_state_dict({name.removeprefix("rnn."): value for name, value in arrays.items() if "rnn." in name})
    own = {n: torch.from_numpy(v.copy()).requires_grad_() for n, v in starts(made, made.parameters).items()}
    first = [value.expand(1, BATCH, -1).contiguous() for value in own.values()]
    outputs, _ = rnn(torch.from_numpy(x), tuple(first) if kind == "lstm" else first[0])
    outputs = outputs @ arrays["head.weight"].T + arrays["head.bias"]
    ((outputs - torch.from_numpy(y)) ** 2).mean().backward()
    scale = ((outputs.detach().numpy() - y) ** 2).mean() / found.loss  # how the loss here weighs its sum
    for name, value in own.items():
        np.testing.assert_allclose(found.gradients[name] * scale, value.grad.numpy(), rtol=1e-12, atol=1e-15)


def test_of_a_truncating_store_only_windows_that_hold_the_beginning_reach_it():
    """With windows of ten steps every five, those of the steps up to ten."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(20, BATCH, INPUTS)), rng.normal(size=(20, BATCH, 2))
    made = network(CELLS["lstm"])
    first_ten = np.repeat((np.arange(20) < 10).astype(float)[:, None], BATCH, axis=1)
    found = rf.Engine(made, "circular-queue:k1=5,k2=10").gradients(x, y)
    wanted = rf.Engine(made, chunk=5).gradients(x, y, weights=first_ten)
    whole = rf.Engine(made, chunk=5).gradients(x, y)
    for name, value in starts(made, found.gradients).items():
        np.testing.assert_allclose(2 * value, wanted.gradients[name], rtol=1e-12)
        assert not np.allclose(value, whole.gradients[name], rtol=1e-6)


@pytest.mark.parametrize("cell", ["lstm", "gru", "residual"])
@pytest.mark.parametrize("kernels", KERNELS)
def test_a_stream_begins_and_begins_again_as_a_sequence_does(cell, kernels):
    made, (x, _, _) = network(CELLS[cell]), data()
    wanted, _ = rf.Inference(made, kernels=kernels).predict(x)
    stream = made.stream(BATCH, kernels)
    for _ in range(2):
        for t in range(3):
            np.testing.assert_allclose(stream.step(x[t]), wanted[t], rtol=1e-12)
        stream.reset()
    stream.step(x[0])
    stream.state = None
    np.testing.assert_allclose(stream.step(x[0]), wanted[0], rtol=1e-12)
    stream.reset([1])
    np.testing.assert_allclose(stream.step(x[0])[1], wanted[0][1], rtol=1e-12)


def test_two_directions_begin_with_starts_of_their_own():
    made = network("bidirectional(gru:hidden=2,start=learnt)", head="mse:outputs=2,at=last")
    assert starts(made, made.parameters).keys() == {"layer0.forward.h.start", "layer0.reverse.h.start"}
    x, y, _ = data()
    check_gradients(rf.Engine(made, chunk=4, shards=2), x, y[-1], lengths=LENGTHS)


def test_stacked_directions_begin_with_them_in_every_stage():
    two = [f"bidirectional({kind}:hidden=2,start=learnt)" for kind in ("elman", "gru")]
    made, (x, y, _) = network(*two), data()
    engine = rf.Engine(made, "checkpoint:slots=2", chunk=2, shards=2, kernels="numpy")
    check_gradients(engine, x[:6], y[:6], lengths=np.minimum(LENGTHS, 6))


def test_it_is_learnt_and_saved(tmp_path):
    made, (x, y, _) = network(CELLS["gru"]), data()
    before = made.parameters.copy()
    trainer = rf.Trainer(rf.Engine(made), "sgd:lr=0.1")
    losses = [trainer.step(x, y).loss for _ in range(20)]
    assert losses[-1] < losses[0]
    assert (made.parameters["layer0.h.start"] != before["layer0.h.start"]).all()
    made.save(tmp_path / "model.safetensors")
    again = rf.load_model(tmp_path / "model.safetensors").network
    assert np.array_equal(rf.Inference(again).predict(x)[0], rf.Inference(made).predict(x)[0])


def test_it_begins_at_zero_and_changes_no_other_draw():
    with_start, without = (rf.Network([f"lstm:hidden=3{o}"], "mse:outputs=2", INPUTS) for o in (",start=learnt", ""))
    for name, value in with_start.parameters.items():
        assert np.array_equal(value, without.parameters[name] if name in without.parameters else np.zeros(3))


def test_a_state_dict_of_pytorch_has_no_learnt_start_and_refuses_it_by_name():
    with pytest.raises(OptionError, match=r"layer0 has c.start, h.start, which PyTorch does not have"):
        network(CELLS["lstm"]).to_state_dict()


@pytest.mark.parametrize(("name", "width", "why"), [("h.start", 3, "of the shape"), ("c.start", 4, "no state 'c'")])
def test_a_start_that_fits_no_state_is_refused(name, width, why):
    elman = type(rf.Network(["elman"], "mse:outputs=1", 1).cells[0])

    @attrs.frozen(kw_only=True)
    class Wrong(elman):
        def parameters(self, inputs):
            return {**super().parameters(inputs), name: (width,)}

    with pytest.raises(PluginError, match=why):
        rf.Network([Wrong(hidden=4)], "mse:outputs=1", 2)
