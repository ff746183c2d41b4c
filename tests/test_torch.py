"""torch as an independent implementation: the same parameters give the same loss, gradients and state."""

import numpy as np
import pytest

import rnnframe as rf

torch = pytest.importorskip("torch", reason="torch is the independent implementation that is compared with")
pytestmark = pytest.mark.usefixtures("each_kernels")

HIDDEN, CLASSES, INPUTS = 6, 5, 4
STEPS, BATCH = 9, 3
PLACES = {"float32": 1e-5, "float64": 1e-10}

# name in this project -> torch's module, and how torch names the nonlinearity
CELLS = {
    "lstm": ("lstm", torch.nn.LSTM, {}),
    "gru": ("gru:reset=after", torch.nn.GRU, {}),
    "elman tanh": ("elman:activation=tanh", torch.nn.RNN, {"nonlinearity": "tanh"}),
    "elman relu": ("elman:activation=relu", torch.nn.RNN, {"nonlinearity": "relu"}),
}


def make_both(cell, layers, dtype, head="softmax", outputs=CLASSES, inputs=INPUTS):
    """Return a network with random parameters, and torch's modules with the same ones."""
    spec, module, options = CELLS[cell]
    spec += ("," if ":" in spec else ":") + f"hidden={HIDDEN}"
    count = "classes" if head == "softmax" else "outputs"
    network = rf.Network([spec] * layers, f"{head}:{count}={outputs}", inputs, dtype=dtype)
    rng = np.random.default_rng(7)
    network.parameters.flat[:] = rng.normal(scale=0.4, size=network.parameters.flat.shape)
    body = module(inputs, HIDDEN, layers, dtype=getattr(torch, dtype), **options)
    readout = torch.nn.Linear(HIDDEN, outputs, dtype=getattr(torch, dtype))
    with torch.no_grad():
        for n in range(layers):
            p = network.parameters.group(f"layer{n}")
            for name, value in torch_arrays(p).items():
                getattr(body, f"{name}_l{n}").copy_(torch.tensor(value))
        readout.weight.copy_(torch.tensor(network.parameters["head.V"].T))
        readout.bias.copy_(torch.tensor(network.parameters["head.c"]))
    return network, body, readout


def torch_arrays(p):
    """Return one layer's arrays as torch has them: transposed, with a second bias of which the GRU alone has need."""
    second = np.zeros_like(p["b"])
    if "bn" in p:
        second[2 * HIDDEN :] = p["bn"]
    return {"weight_ih": p["U"].T, "weight_hh": p["W"].T, "bias_ih": p["b"], "bias_hh": second}


def torch_gradients(network, body, readout):
    """Return torch's gradients under the names and in the shapes of the network."""
    found = {"head.V": readout.weight.grad.T, "head.c": readout.bias.grad}
    for n in range(len(network.cells)):
        found[f"layer{n}.U"] = getattr(body, f"weight_ih_l{n}").grad.T
        found[f"layer{n}.W"] = getattr(body, f"weight_hh_l{n}").grad.T
        found[f"layer{n}.b"] = getattr(body, f"bias_ih_l{n}").grad
        if f"layer{n}.bn" in network.parameters:
            found[f"layer{n}.bn"] = getattr(body, f"bias_hh_l{n}").grad[2 * HIDDEN :]
    return {name: value.numpy() for name, value in found.items()}


def a_state(network):
    """Return a random state, and the same as leaves of torch: h and, for the LSTM, c of shape [layers, B, H]."""
    state = network.new_state(BATCH)
    state.flat[:] = np.random.default_rng(8).normal(scale=0.5, size=state.flat.shape)
    parts = ["h", "c"] if "layer0.c" in state else ["h"]
    stacked = [np.stack([state[f"layer{n}.{part}"] for n in range(len(network.cells))]) for part in parts]
    return state, parts, [torch.tensor(array, requires_grad=True) for array in stacked]


def agree(ours, theirs, relative):
    """Assert that each array equals torch's relative to the largest entry of torch's."""
    assert ours.keys() == theirs.keys()
    for name, wanted in theirs.items():
        assert np.abs(wanted).max() > 0, name
        assert np.abs(ours[name] - wanted).max() <= relative * np.abs(wanted).max(), name


def compare_with_torch(network, body, readout, x, y, torch_x, torch_loss):
    """Assert that loss, gradients, final state and state gradient are torch's."""
    relative = PLACES[str(network.dtype)]
    state, parts, leaves = a_state(network)
    h, final = body(torch_x, tuple(leaves) if len(leaves) > 1 else leaves[0])
    loss = torch_loss(readout(h))
    loss.backward()

    result = rf.Engine(network, chunk=4).gradients(x, y, state)

    assert result.loss == pytest.approx(loss.item(), rel=relative)
    agree(dict(result.gradients), torch_gradients(network, body, readout), relative)
    layers = range(len(network.cells))
    finals = zip(parts, final if len(parts) > 1 else [final], strict=True)
    agree(dict(result.state), {f"layer{n}.{p}": a.detach().numpy()[n] for p, a in finals for n in layers}, relative)
    slopes = {f"layer{n}.{p}": leaf.grad.numpy()[n] for p, leaf in zip(parts, leaves, strict=True) for n in layers}
    agree(dict(result.state_gradient), slopes, relative)


def cross_entropy(y):
    return lambda o: torch.nn.functional.cross_entropy(o.flatten(0, 1), torch.tensor(y.ravel()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_that_torch_has_equals_it_under_cross_entropy(cell, layers, dtype):
    network, body, readout = make_both(cell, layers, dtype)
    rng = np.random.default_rng(9)
    x = rng.normal(size=(STEPS, BATCH, INPUTS)).astype(dtype)
    y = rng.integers(0, CLASSES, (STEPS, BATCH))
    compare_with_torch(network, body, readout, x, y, torch.tensor(x), cross_entropy(y))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", CELLS)
def test_looked_up_inputs_are_torchs_one_hot_vectors(cell, dtype):
    network, body, readout = make_both(cell, 1, dtype)
    rng = np.random.default_rng(10)
    x = rng.integers(0, INPUTS, (STEPS, BATCH))
    y = rng.integers(0, CLASSES, (STEPS, BATCH))
    one_hot = torch.nn.functional.one_hot(torch.tensor(x), INPUTS).to(getattr(torch, dtype))
    compare_with_torch(network, body, readout, x, y, one_hot, cross_entropy(y))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bernoulli_head_sums_torchs_bce_over_outputs_and_averages_it_over_steps_and_samples(dtype):
    outputs = 3
    network, body, readout = make_both("lstm", 1, dtype, head="bernoulli", outputs=outputs)
    rng = np.random.default_rng(11)
    x = rng.normal(size=(STEPS, BATCH, INPUTS)).astype(dtype)
    y = rng.integers(0, 2, (STEPS, BATCH, outputs)).astype(dtype)

    def loss(o):
        each = torch.nn.functional.binary_cross_entropy_with_logits(o, torch.tensor(y), reduction="none")
        return each.sum(dim=2).mean()

    compare_with_torch(network, body, readout, x, y, torch.tensor(x), loss)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_mse_head_is_torchs_mean_squared_error(dtype):
    outputs = 3
    network, body, readout = make_both("gru", 1, dtype, head="mse", outputs=outputs)
    rng = np.random.default_rng(12)
    x = rng.normal(size=(STEPS, BATCH, INPUTS)).astype(dtype)
    y = rng.normal(size=(STEPS, BATCH, outputs)).astype(dtype)
    compare_with_torch(
        network, body, readout, x, y, torch.tensor(x), lambda o: torch.nn.functional.mse_loss(o, torch.tensor(y))
    )


def test_a_torch_tensor_is_taken_as_the_array_it_holds():
    network, *_ = make_both("lstm", 1, "float32")
    rng = np.random.default_rng(13)
    x = rng.normal(size=(STEPS, BATCH, INPUTS)).astype("float32")
    y = rng.integers(0, CLASSES, (STEPS, BATCH))
    engine = rf.Engine(network)
    assert np.array_equal(
        engine.gradients(torch.tensor(x), torch.tensor(y)).gradients.flat, engine.gradients(x, y).gradients.flat
    )


@pytest.mark.parametrize("store", ["full-history", "checkpoint:policy=mixed,slots=3"])
@pytest.mark.parametrize("cell", CELLS)
def test_samples_of_different_lengths_are_those_of_a_packed_sequence(cell, store):
    network, body, readout = make_both(cell, 2, "float64")
    rng = np.random.default_rng(3)
    lengths = np.array([4, STEPS, 1])
    x, y = rng.normal(size=(STEPS, BATCH, INPUTS)), rng.integers(0, CLASSES, (STEPS, BATCH))
    result = rf.Engine(network, store, chunk=2).gradients(x, y, lengths=lengths)

    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(x), torch.tensor(lengths), enforce_sorted=False)
    targets = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(y), torch.tensor(lengths), enforce_sorted=False)
    outputs, last = body(packed)
    loss = torch.nn.functional.cross_entropy(readout(outputs.data), targets.data)
    loss.backward()

    assert result.count == lengths.sum()
    assert result.loss == pytest.approx(loss.item(), rel=1e-12)
    for name, theirs in torch_gradients(network, body, readout).items():
        assert np.abs(result.gradients[name] - theirs).max() < PLACES["float64"], name
    last = last[0] if isinstance(last, tuple) else last
    for layer in range(2):
        assert np.abs(result.state[f"layer{layer}.h"] - last[layer].detach().numpy()).max() < PLACES["float64"]
