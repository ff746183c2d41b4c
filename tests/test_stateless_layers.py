"""Layers that are computed for all steps at once: beside torch, in stacks with cells, under every store."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.testing import check_gradients

STEPS, BATCH, INPUTS = 9, 4, 5
STACKS = {
    "units": ["dense:units=4,activation=gelu", "gru:hidden=3", "gated-units:units=3,activation=silu"],
    "norm": ["layer-norm", "lstm:hidden=4", "layer-norm"],
    "convolution": ["convolution:taps=3", "gru:hidden=3", "convolution:taps=4"],
    "masked": ["dense:units=4", "dropout:rate=0.3", "convolution:taps=3", "lstm:hidden=3", "layer-norm", "dropout"],
    "mean pool": ["gru:hidden=3", "mean-pool"],
    "max pool": ["dense:units=3", "max-pool", "dense:units=2"],
    "attention pool": ["gru:hidden=3", "attention-pool:units=3"],
}
CUTS = {
    "whole": {},
    "lengths": {"lengths": np.array([9, 2, 7, 5])},
    "resets": {"resets": np.arange(STEPS * BATCH).reshape(STEPS, BATCH) % 7 == 5},
}
STORES = [
    "full-history",
    "full-history:keep=lean",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=mixed,slots=3",
]


def network(cells, inputs=INPUTS, head="mse:outputs=2"):
    made = rf.Network(cells, head, inputs, dtype="float64")
    made.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.4, size=made.parameters.flat.shape)
    return made


def inputs():
    return np.random.default_rng(1).normal(size=(STEPS, BATCH, INPUTS))


def targets():
    return np.random.default_rng(2).normal(size=(STEPS, BATCH, 2))


def outputs_and_gradients(spec, x, dy):
    """Return what a layer alone gives for x, dL/dx and the gradients of its parameters, for dL/dy given."""
    made, found = network([spec], x.shape[-1], head=None), {}
    found["dx"], found["y"] = np.empty_like(x), np.empty_like(dy)

    def take(name):
        def taken(part, values):
            found[name][part.start : part.stop, part.samples] = values

        return taken

    engine = rf.Engine(made, "checkpoint:policy=revolve,slots=1", chunk=2, shards=1, kernels="numpy")
    pull = lambda part, _: dy[part.start : part.stop, part.samples]  # noqa: E731
    result = engine.sweep(x, pull, outputs=take("y"), input_gradient=take("dx"))
    return made.parameters, found, result.gradients


ACTIVATIONS = ["identity", "tanh", "sigmoid", "relu", "gelu", "silu"]


def witness(torch, spec, p, x):
    """Return what torch makes of x [T, B, inputs]."""
    F = torch.nn.functional
    functions = {
        "identity": lambda z: z,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "relu": torch.relu,
        "gelu": lambda z: F.gelu(z, approximate="tanh"),
        "silu": F.silu,
    }
    name, _, option = spec.partition(":")
    f = functions.get(option.rpartition("=")[2], torch.sigmoid)
    match name:
        case "dense":
            return f(x @ p["U"] + p["b"])
        case "gated-units":
            a, g = (x @ p["U"] + p["b"]).chunk(2, dim=-1)
            return a * f(g)
        case "embedding":
            return x @ p["U"]
        case "layer-norm":
            return F.layer_norm(x, (x.shape[-1],), p["g"], p["b"])
        case "convolution":
            K = p["K"]
            padded = F.pad(x.permute(1, 2, 0), (len(K) - 1, 0))
            return F.conv1d(padded, K.flip(0).T[:, None], p["b"], groups=x.shape[-1]).permute(2, 0, 1)
        case "mean-pool":
            return x.cumsum(0) / torch.arange(1, len(x) + 1, dtype=x.dtype)[:, None, None]
        case "max-pool":
            return x.cummax(0).values
        case "attention-pool":
            w = torch.exp(torch.tanh(x @ p["K"] + p["b"]) @ p["v"])[..., None]
            return (w * x).cumsum(0) / w.cumsum(0)
    raise AssertionError(spec)


@pytest.mark.parametrize(
    "spec",
    [
        *(f"dense:units=4,activation={name}" for name in ACTIVATIONS),
        *(f"gated-units:units=4,activation={name}" for name in ACTIVATIONS),
        "embedding:size=3",
        "layer-norm",
        "convolution:taps=4",
        "convolution:taps=2",
        "mean-pool",
        "max-pool",
        "attention-pool:units=3",
    ],
)
def test_outputs_and_gradients_are_those_of_torch(spec):
    torch = pytest.importorskip("torch")
    x = inputs()
    width = rf.cell(spec).width(INPUTS)
    dy = np.random.default_rng(3).normal(size=(STEPS, BATCH, width))
    parameters, found, gradients = outputs_and_gradients(spec, x, dy)
    p = {name.removeprefix("layer0."): torch.tensor(value, requires_grad=True) for name, value in parameters.items()}
    given = torch.tensor(x, requires_grad=True)
    y = witness(torch, spec, p, given)
    y.backward(torch.tensor(dy))
    assert np.allclose(found["y"], y.detach().numpy(), rtol=1e-11, atol=1e-12)
    assert np.allclose(found["dx"], given.grad.numpy(), rtol=1e-10, atol=1e-11)
    for name, value in p.items():
        assert np.allclose(gradients[f"layer0.{name}"], value.grad.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("cells", STACKS)
def test_gradients_are_those_of_finite_differences(cells, cuts):
    engine = rf.Engine(network(STACKS[cells]), "checkpoint:policy=revolve,slots=2", chunk=2, kernels="numpy")
    check_gradients(engine, inputs(), targets(), **CUTS[cuts])


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("cells", STACKS)
def test_every_exact_store_gives_the_same_bits_and_holds_what_was_planned(cells, cuts):
    for shards in (1, 2):
        found = [
            rf.Engine(network(STACKS[cells]), store, 2, shards).gradients(inputs(), targets(), **CUTS[cuts])
            for store in STORES
        ]
        assert len({result.gradients.flat.tobytes() for result in found}) == 1
        assert len({result.loss for result in found}) == 1
        assert len({result.state.flat.tobytes() for result in found}) == 1
        if cuts == "whole":
            assert all(result.report.predicted_bytes == result.report.peak_bytes for result in found)


@pytest.mark.parametrize("store", ["revolve", "mixed", "online", "mixed,slots=2", "mixed,budget=1MiB"])
def test_a_network_without_a_state_runs_under_every_policy_of_checkpoints(store):
    network = rf.Network(["highway(dense:units=3)"], "mse:outputs=2", 3)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 2, 3)), rng.normal(size=(9, 2, 2))
    found = [
        rf.Engine(network, spec, chunk=2).gradients(x, y).gradients.flat
        for spec in ("full-history", f"checkpoint:policy={store}")
    ]
    assert np.array_equal(*found)


def test_an_embedding_below_a_cell_has_a_width_of_its_own_and_gradients_of_differences():
    made = network(["embedding:size=3", "dropout:rate=0.2", "gru:hidden=4"], inputs=11)
    assert made.parameters["layer0.U"].shape == (11, 3)
    x = np.random.default_rng(4).integers(0, 11, (STEPS, BATCH))
    check_gradients(rf.Engine(made, chunk=4), x, targets())


@pytest.mark.parametrize(
    ("pool", "of"),
    [("mean-pool", lambda x: x.mean(0)), ("max-pool", lambda x: x.max(0))],
    ids=["mean", "max"],
)
def test_a_pool_under_a_head_at_the_last_step_is_over_the_real_steps_of_a_sample(pool, of):
    x, lengths = inputs() - 3, np.array([9, 2, 7, 5])  # negative: a zero in the pool would be the largest
    made = network([pool], head="mse:outputs=2,at=last")
    found, _ = rf.Inference(made, chunk=4).predict(x, lengths=lengths)
    p = made.parameters
    for sample, length in enumerate(lengths):
        wanted = of(x[:length, sample]) @ p["head.V"] + p["head.c"]
        assert np.allclose(found[length - 1, sample], wanted)


def test_attention_does_not_overflow_where_weights_are_large():
    made = rf.Network(["attention-pool:units=2"], None, 1)
    made.parameters["layer0.K"].fill(100)
    made.parameters["layer0.v"].fill(100)  # weights of exp(200) are beyond float32
    x = np.array([[-1.0], [3.0], [5.0]], "f")[:, None]
    found, _ = rf.Inference(made).predict(x)
    assert np.allclose(found[:, 0, 0], [-1, 3, 4])


def test_below_the_lowest_layer_with_parameters_nothing_is_reversed_unless_dx_is_asked_for(monkeypatch):
    reversed_layers = []

    def noting(cls):
        backward = cls.backward

        def noted(self, block, dh, dstate, gradients, dx):
            reversed_layers.append((self.name, dx is not None))
            backward(self, block, dh, dstate, gradients, dx)

        return noted

    for cls in {type(rf.default_registry().cell(spec)) for spec in ("dropout", "elman", "gru")}:
        monkeypatch.setattr(cls, "backward", noting(cls))
    network = rf.Network(["dropout:rate=0.2", "dropout:rate=0.3", "gru:hidden=3", "elman:hidden=2"], None, 3, seed=1)
    rng = np.random.default_rng(0)
    x, slopes = rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 2, 2))
    engine, dx = rf.Engine(network, chunk=5, shards=1, kernels="numpy"), np.zeros((5, 2, 3))
    alone = engine.sweep(x, lambda part, _: slopes[part.index])
    assert reversed_layers == [("elman", True), ("gru", False)]
    engine.draws = 0
    asked = engine.sweep(x, lambda part, _: slopes[part.index], input_gradient=lambda part, d: np.copyto(dx, d))
    assert reversed_layers[2:] == [("elman", True), ("gru", True), ("dropout", True), ("dropout", True)]
    assert alone.gradients.flat.tobytes() == asked.gradients.flat.tobytes()
    assert 0 < np.count_nonzero(dx) < dx.size  # the masks
