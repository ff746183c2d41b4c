"""State dicts of PyTorch: torch itself computes the same, and the same bits come back from there."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import rnnframe as rf
from rnnframe.errors import RunError, UsageError

CLASSES, INPUTS, HIDDEN, STEPS, BATCH, ROWS = 5, 4, 6, 9, 3, 7
PLACES = {"float32": 1e-6, "float64": 1e-12}
CELLS = ("LSTM", "GRU", "RNN tanh", "RNN relu")
OPTIONS = itertools.product(CELLS, (1, 2), (True, False), ("rows", "batch_first", "lengths"), PLACES)
CASES = [(*options, ("numpy", "auto")[n // 2 % 2]) for n, options in enumerate(OPTIONS)]


def test_enough_configurations_are_compared() -> None:
    assert len(set(CASES)) == 96


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="torch is the independent implementation that is compared with")


def torch_model(torch, cell: str, layers: int = 1, bias: bool = True, dtype: str = "float32", **options):
    """Return a model of torch with weights as it draws them."""
    torch.manual_seed(3)
    name, _, nonlinearity = cell.partition(" ")
    options |= {"nonlinearity": nonlinearity} if nonlinearity else {}
    rnn = getattr(torch.nn, name)(INPUTS, HIDDEN, layers, bias=bias, **options)
    return torch.nn.ModuleDict({"body": rnn, "decoder": torch.nn.Linear(HIDDEN, CLASSES, bias=bias)}).to(
        getattr(torch, dtype)
    )


@pytest.mark.parametrize(("cell", "layers", "bias", "layout", "dtype", "kernels"), CASES)
def test_outputs_and_gradients_are_torchs(torch, cell, layers, bias, layout, dtype, kernels) -> None:
    model = torch_model(torch, cell, layers, bias, dtype, batch_first=layout == "batch_first")
    network = rf.Network.from_state_dict(model.state_dict(), "mse", nonlinearity=cell.partition(" ")[2] or "tanh")
    rng = np.random.default_rng(1)
    x = rng.normal(size=(STEPS, BATCH, INPUTS)).astype(dtype)
    y = rng.normal(size=(STEPS, BATCH, CLASSES)).astype(dtype)
    lengths = np.array([9, 4, 6]) if layout == "lengths" else np.full(BATCH, STEPS)
    real = np.arange(STEPS)[:, None] < lengths

    given = torch.tensor(x)
    if layout == "lengths":
        packed = torch.nn.utils.rnn.pack_padded_sequence(given, lengths, enforce_sorted=False)
        h, _ = torch.nn.utils.rnn.pad_packed_sequence(model["body"](packed)[0], total_length=STEPS)
    elif layout == "batch_first":
        h = model["body"](given.transpose(0, 1))[0].transpose(0, 1)
    else:
        h = model["body"](given)[0]
    o = model["decoder"](h)
    torch.nn.functional.mse_loss(o[torch.tensor(real)], torch.tensor(y)[torch.tensor(real)]).backward()

    predicted = rf.Inference(network, kernels=kernels).predict(x, lengths=lengths)[0]
    assert np.abs(predicted - o.detach().numpy())[real].max() <= PLACES[dtype]
    result = rf.Engine(network, kernels=kernels).gradients(x, y, lengths=lengths)
    slopes = rf.Network(network.cells, network.head, network.inputs, dtype=dtype)
    slopes.parameters.flat[:] = result.gradients.flat
    ours = slopes.to_state_dict(rnn="body", readout="decoder")
    theirs = {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}
    for name, gradient in theirs.items():
        if "bias_hh" in name:
            # The reset scales the candidate's second bias alone; every other bias_hh has the gradient of bias_ih.
            wanted = gradient[2 * HIDDEN :] if cell == "GRU" else 0 * gradient
            ours_here = ours[name][2 * HIDDEN :] if cell == "GRU" else ours[name]
            assert np.abs(ours_here - wanted).max() <= PLACES[dtype], name
        else:
            assert np.abs(ours[name] - gradient).max() <= PLACES[dtype], name


@pytest.mark.parametrize("dtype", PLACES)
@pytest.mark.parametrize("cell", CELLS)
def test_an_embedding_becomes_rows_of_u(torch, cell: str, dtype: str) -> None:
    model = torch_model(torch, cell, 2, dtype=dtype)
    model["emb"] = torch.nn.Embedding(ROWS, INPUTS, dtype=getattr(torch, dtype))
    network = rf.Network.from_state_dict(model.state_dict(), "softmax", nonlinearity=cell.partition(" ")[2] or "tanh")
    assert (network.inputs, network.head.width) == (ROWS, CLASSES)
    x = np.random.default_rng(2).integers(0, ROWS, (STEPS, BATCH))
    wanted = model["decoder"](model["body"](model["emb"](torch.tensor(x)))[0]).softmax(-1).detach().numpy()
    assert np.abs(rf.Inference(network).predict(x)[0] - wanted).max() <= PLACES[dtype]


SPECS = {
    "lstm": ["lstm:hidden=6"] * 2,
    "gru": ["gru:hidden=6"] * 3,
    "relu": ["elman:hidden=6,activation=relu"],
    "two": ["bidirectional(lstm:hidden=4)"] * 2,
    "gru-two": ["bidirectional(gru:hidden=3)", "gru:hidden=6"],
    "mixed": ["lstm:hidden=5", "lstm:hidden=5", "gru:hidden=6", "elman:hidden=3"],
}


def network_of(name: str, dtype: str = "float32", inputs: int = INPUTS) -> rf.Network:
    network = rf.Network(SPECS[name], f"softmax:classes={CLASSES}", inputs, dtype=dtype)
    network.parameters.flat[:] = np.random.default_rng(5).normal(size=network.parameters.flat.shape)
    first = next(name for name in network.parameters if name.endswith(".b"))
    network.parameters["head.c"][0] = network.parameters[first][0] = -0.0
    return network


@pytest.mark.parametrize("dtype", PLACES)
@pytest.mark.parametrize("embedding", [None, "emb"])
@pytest.mark.parametrize("name", SPECS)
def test_the_same_bits_come_back_through_torch(torch, tmp_path: Path, name: str, embedding, dtype: str) -> None:
    network = network_of(name, dtype)
    written = network.to_state_dict(embedding=embedding)
    arrays = {key: value.clone() for key, value in ((k, torch.from_numpy(v)) for k, v in written.items())}
    save_file(written, tmp_path / "model.safetensors")
    function = "relu" if name == "relu" else "tanh"
    for source in (arrays, tmp_path / "model.safetensors"):
        again = rf.Network.from_state_dict(source, "softmax", nonlinearity=function)
        assert again.specs() == network.specs()
        assert np.array_equal(again.parameters.flat, network.parameters.flat)
        exact = again.parameters.flat.tobytes() == network.parameters.flat.tobytes()
        assert exact or embedding  # the sums of a product give 0 for -0 in U


def test_torch_loads_what_is_written_and_computes_the_same(torch) -> None:
    network = network_of("gru")
    model = torch.nn.ModuleDict({"rnn": torch.nn.GRU(INPUTS, HIDDEN, 3), "head": torch.nn.Linear(HIDDEN, CLASSES)})
    model.load_state_dict({name: torch.from_numpy(array) for name, array in network.to_state_dict().items()})
    x = np.random.default_rng(6).normal(size=(STEPS, BATCH, INPUTS)).astype("float32")
    wanted = model["head"](model["rnn"](torch.tensor(x))[0]).softmax(-1).detach().numpy()
    assert np.abs(rf.Inference(network).predict(x)[0] - wanted).max() <= 1e-6


@pytest.mark.parametrize("cell", CELLS)
def test_two_directions_are_torchs(torch, cell: str) -> None:
    model = torch_model(torch, cell, 2, dtype="float64", bidirectional=True)
    model["decoder"] = torch.nn.Linear(2 * HIDDEN, CLASSES, dtype=torch.float64)
    model["emb"] = torch.nn.Embedding(ROWS, INPUTS, dtype=torch.float64)
    network = rf.Network.from_state_dict(model.state_dict(), "mse", nonlinearity=cell.partition(" ")[2] or "tanh")
    assert (network.inputs, len(network.stages)) == (ROWS, 3)
    x, lengths = np.random.default_rng(2).integers(0, ROWS, (STEPS, BATCH)), np.array([9, 4, 6])
    packed = torch.nn.utils.rnn.pack_padded_sequence(model["emb"](torch.tensor(x)), lengths, enforce_sorted=False)
    h, _ = torch.nn.utils.rnn.pad_packed_sequence(model["body"](packed)[0])
    real = np.arange(STEPS)[:, None] < lengths
    predicted = rf.Inference(network).predict(x, lengths=lengths)[0]
    assert np.abs(predicted - model["decoder"](h).detach().numpy())[real].max() <= 1e-12
    copied = network.to_state_dict(embedding="emb")
    again = rf.Network.from_state_dict(copied, "mse", nonlinearity=cell.partition(" ")[2] or "tanh")
    assert np.array_equal(again.parameters.flat, network.parameters.flat)


def test_directions_that_differ_are_refused() -> None:
    def change(written) -> None:
        for name in list(written):
            if name.endswith("_l0_reverse"):
                written[name] = written[name][: 3 * 4]

    assert "is of gru:hidden=4,reset=after, and the other direction of lstm:hidden=4" in refused(change, spec="two")


def test_swapped_gates_are_noticed() -> None:
    """That the comparisons above can fail: with i and f exchanged the outputs are far from the right ones."""
    network = network_of("lstm")
    written = network.to_state_dict()
    for name in list(written):
        if "rnn" in name:
            i, f, *rest = np.split(written[name], 4)
            written[name] = np.concatenate([f, i, *rest])
    x = np.random.default_rng(6).normal(size=(STEPS, BATCH, INPUTS))
    swapped = rf.Network.from_state_dict(written, "softmax")
    assert np.abs(rf.Inference(network).predict(x)[0] - rf.Inference(swapped).predict(x)[0]).max() > 1e-2


def refused(change, head: str | None = "softmax", spec: str = "lstm", **options) -> str:
    written = network_of(spec).to_state_dict()
    change(written)
    with pytest.raises(UsageError) as raised:
        rf.Network.from_state_dict(written, head, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_is_missing_left_over_or_doubtful_is_refused_by_name() -> None:
    at = "rnn.weight_ih_l0"
    assert refused(lambda d: d.pop(at)).startswith(f"the state dict has no {at!r}; it has head.bias, ")
    assert refused(lambda d: d.pop("rnn.bias_hh_l1")).startswith("the state dict has no 'rnn.bias_hh_l1'")
    assert "the state dict has norm.mean, for which" in refused(lambda d: d.update({"norm.mean": d["head.bias"]}))
    assert "head='softmax'" in refused(lambda d: None, None)
    assert "no 'rnn.weight_ih_l0_reverse'" in refused(
        lambda d: d.update({"rnn.weight_hh_l0_reverse": d["rnn.weight_hh_l0"]})
    )
    projected = refused(lambda d: d.update({"rnn.weight_hr_l0": d["rnn.weight_hh_l0"]}))
    assert projected.startswith("'rnn.weight_hr_l0' has the shape [24, 6]; expected [6")
    assert "expected [4H, H], [3H, H] or [H, H]" in refused(
        lambda d: d.update({"rnn.weight_hh_l0": np.zeros((12, 6), "f4")})
    )
    assert "'rnn.bias_ih_l0' has the shape [3]; expected [24]" in refused(
        lambda d: d.update({"rnn.bias_ih_l0": np.zeros(3, "f4")})
    )
    assert "no 'weight_hh_l0'" in refused(lambda d: [d.pop(name) for name in list(d) if "rnn" in name])
    assert "holds float16, float32; expected" in refused(lambda d: d.update({"head.bias": d["head.bias"].astype("f2")}))
    several = refused(lambda d: d.update({"dec.weight_hh_l0": d["rnn.weight_hh_l0"]}))
    assert "several recurrent modules, rnn, dec; name them" in several
    two = refused(lambda d: d.update({"aux.weight": d["head.weight"], "aux.bias": d["head.bias"]}))
    assert two == "each of aux, head can be the Linear of 6 inputs; name it, as readout='head'"
    assert "nonlinearity='elu' is invalid" in refused(lambda d: None, nonlinearity="elu")
    assert "has 4 outputs, and the Linear of the state dict 5" in refused(lambda d: None, "softmax:classes=4")
    chain = refused(lambda d: d.update({"rnn.weight_ih_l1": np.zeros((24, 5), "f4")}))
    assert chain.startswith("layer1 of the state dict takes 5 values, and layer0 has 6 units")
    assert "no Linear of 6 inputs" in refused(lambda d: [d.pop("head.weight"), d.pop("head.bias")])
    assert "an array by the name 5; expected text" in refused(lambda d: d.update({5: d["head.bias"]}))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, wrong: float) -> None:
    """Of a model of PyTorch, and of a network's own file, which has no run that would have noticed."""
    network = network_of("lstm")
    written = network.to_state_dict()
    written["head.weight"][2, 1] = wrong
    with pytest.raises(RunError, match=f"the state dict: head.V holds {wrong}; expected finite numbers"):
        rf.Network.from_state_dict(written, "softmax")
    network.parameters["layer1.W"][3, 4] = wrong
    network.save(tmp_path / "network.safetensors")
    with pytest.raises(RunError, match=f"network.safetensors: layer1.W holds {wrong}; expected finite numbers"):
        rf.load_model(tmp_path / "network.safetensors")


def test_what_torch_does_not_have_is_refused_by_name() -> None:
    for spec, why in (
        ("gru:reset=before", "layer0 is a gru with reset=before, which PyTorch does not have"),
        ("elman:activation=sigmoid", "layer0 has activation=sigmoid; nn.RNN of PyTorch has tanh and relu"),
    ):
        with pytest.raises(UsageError, match=why):
            rf.Network([spec], None, 3).to_state_dict()


def test_modules_can_be_named(torch) -> None:
    model = torch.nn.ModuleDict(
        {
            "second": torch.nn.GRU(5, 6),
            "first": torch.nn.LSTM(6, 5),
            "words": torch.nn.Embedding(ROWS, 6),
            "out": torch.nn.Linear(6, CLASSES, bias=False),
        }
    )
    arrays = model.state_dict()
    with pytest.raises(UsageError, match="several recurrent modules, second, first; name them from the inputs"):
        rf.Network.from_state_dict(arrays, "softmax")
    with pytest.raises(UsageError, match=r"has no 'first\.weight_hh_l0'"):
        rf.Network.from_state_dict(arrays, "softmax", rnn=["first", "first"])
    with pytest.raises(UsageError, match="each of out, words can be the Linear of 6 inputs; name it"):
        rf.Network.from_state_dict(arrays, "softmax", rnn=["first", "second"])
    network = rf.Network.from_state_dict(arrays, "softmax:at=last", rnn=["first", "second"], readout="out")
    assert [cell.name for cell in network.cells] == ["lstm", "gru"]
    x = np.random.default_rng(2).integers(0, ROWS, (STEPS, BATCH))
    h = model["second"](model["first"](model["words"](torch.tensor(x)))[0])[0]
    wanted = model["out"](h).softmax(-1).detach().numpy()
    assert np.abs(rf.Inference(network).predict(x)[0] - wanted).max() <= 1e-6


def test_a_model_without_a_linear_is_a_network_without_a_head(torch) -> None:
    model = torch.nn.GRU(INPUTS, HIDDEN)
    network = rf.Network.from_state_dict(model.state_dict(), None)
    x = np.random.default_rng(6).normal(size=(STEPS, BATCH, INPUTS)).astype("float32")
    wanted = model(torch.tensor(x))[0].detach().numpy()
    assert np.abs(rf.Inference(network).predict(x)[0] - wanted).max() <= 1e-6
    assert network.to_state_dict(rnn="").keys() == model.state_dict().keys()


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"\x80\x04N.")
    with pytest.raises(RunError, match="is damaged or no safetensors file"):
        rf.Network.from_state_dict(tmp_path / "model.pt", "softmax")


def test_torch_is_not_imported() -> None:
    program = (
        "import sys, rnnframe as rf\n"
        "n = rf.Network(['gru:hidden=3'], 'mse:outputs=1', 2)\n"
        "rf.Network.from_state_dict(n.to_state_dict(), 'mse')\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
