"""Layers made of layers on compiled kernels: each layer in the brackets is computed by its own twin."""

import copy
import pickle
from typing import ClassVar

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.inspection.gradients import gradient_health
from rnnframe.plugin import Batch, Kernels
from rnnframe.registry.registry import default_registry

pytest.importorskip("numba", reason="numba is not installed")

CELLS = [
    cell for cell in default_registry().kernels("compiled").cells() if not cell.startswith(("lru", "lstm:", "linear-"))
]
CELLS += ["lru:states=3", "lstm:norm=layer", "linear-attention:heads=1,keys=3"]
NEAR = {"float32": 1e-5, "float64": 1e-12}  # relative to the largest value of an array
STORES = ["full-history", "full-history:keep=lean", "checkpoint:slots=2", "checkpoint:policy=mixed,slots=9"]
STEPS, BATCH, INPUTS = 13, 6, 5
CUTS = {
    "whole": {},
    "lengths": {"lengths": np.array([13, 2, 7, 7, 5, 9])},
    "resets": {"resets": np.arange(STEPS * BATCH).reshape(STEPS, BATCH) % 9 == 4},
}
MASKED = (
    "residual(layer-norm dropout:rate=0.3 gru:hidden=7,weight_drop=0.3 dense:units=5)",
    "highway(residual(mingru:hidden=5) convolution:taps=3 lstm:hidden=5)",
)


def of_units(cell, units=5):
    if cell in ("rglru", "selective-ssm"):  # as wide as its inputs
        return cell
    option = "units" if cell.startswith("lru") else "values" if cell.startswith("linear-") else "hidden"
    return f"{cell}{',' if ':' in cell else ':'}{option}={units}"


def network_of(*cells, dtype="float64", head="mse:outputs=2", inputs=INPUTS):
    network = rf.Network(cells, head, inputs, dtype=dtype)
    rng = np.random.default_rng(0)
    for name, value in network.parameters.items():
        if not name.endswith((".nu", ".theta", ".gamma")):  # an lru's λ stays inside the circle
            value[...] = rng.normal(scale=0.4, size=value.shape)
    return network


def data_of(network, steps=STEPS, batch=BATCH):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(steps, batch, network.inputs)), rng.normal(size=(steps, batch, 2))
    return x.astype(network.dtype), y.astype(network.dtype)


def engine_of(network, kernels="compiled", store="full-history", shards=1):
    return rf.Engine(network, store, chunk=4, shards=shards, kernels=kernels, seed=5)


def expect_near(found, wanted, near):
    assert abs(found.loss - wanted.loss) <= near * abs(wanted.loss)
    for what in ("gradients", "state", "state_gradient"):
        for name, array in getattr(wanted, what).items():
            error = np.abs(getattr(found, what)[name] - array).max(initial=0)
            assert error <= near * np.abs(array).max(initial=1), f"{what} {name}: {error}"


@pytest.mark.parametrize("dtype", NEAR)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_inside_a_block_computes_what_it_does_on_numpy(cell, dtype):
    wide = of_units(cell, 7)
    network = network_of(f"residual(layer-norm {wide} dense:units=5)", f"highway({of_units(cell)})", dtype=dtype)
    data = data_of(network)
    for cuts in CUTS.values():
        engine = engine_of(network)
        assert engine.running.kernels == ("residual(numpy compiled numpy)", "compiled")
        expect_near(engine.gradients(*data, **cuts), engine_of(network, "numpy").gradients(*data, **cuts), NEAR[dtype])


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("shards", [1, 2])
def test_every_exact_store_gives_the_same_bits_and_holds_what_was_planned(cuts, shards):
    network = network_of(*MASKED, dtype="float32")
    data = data_of(network)
    results = [engine_of(network, store=store, shards=shards).gradients(*data, **CUTS[cuts]) for store in STORES]
    assert len({(result.loss, result.gradients.flat.tobytes()) for result in results}) == 1
    to_rounding = engine_of(network, store="states", shards=shards).gradients(*data, **CUTS[cuts])
    for found in (results[0], to_rounding):
        expect_near(found, engine_of(network, "numpy").gradients(*data, **CUTS[cuts]), 1e-5)
    if cuts == "whole":
        for result in [*results, to_rounding]:
            assert result.report.peak_bytes == pytest.approx(result.report.predicted_bytes, rel=0.02)


def test_a_block_is_that_of_torch():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    network = network_of("residual(layer-norm lstm:hidden=7 dense:units=5,activation=identity)")
    p = network.parameters
    layers = torch.nn.LayerNorm(5), torch.nn.LSTM(5, 7), torch.nn.Linear(7, 5), torch.nn.Linear(5, 2)
    layers = [layer.double() for layer in layers]
    norm, lstm, dense, head = layers
    pairs = [
        (norm.weight, p["layer0.0.g"]),
        (norm.bias, p["layer0.0.b"]),
        (lstm.weight_ih_l0, p["layer0.1.U"].T),
        (lstm.weight_hh_l0, p["layer0.1.W"].T),
        (lstm.bias_ih_l0, p["layer0.1.b"]),
        (lstm.bias_hh_l0, np.zeros(28)),
        (dense.weight, p["layer0.2.U"].T),
        (dense.bias, p["layer0.2.b"]),
        (head.weight, p["head.V"].T),
        (head.bias, p["head.c"]),
    ]
    with torch.no_grad():
        for theirs, ours in pairs:
            theirs.copy_(torch.tensor(np.array(ours)))
    x, y = data_of(network)
    given = torch.tensor(x)
    outputs = head(given + dense(lstm(norm(given))[0]))
    loss = ((outputs - torch.tensor(y)) ** 2).sum() / 2 / y[..., 0].size
    loss.backward()
    found = engine_of(network, store="checkpoint:slots=2").gradients(x, y)
    assert found.loss == pytest.approx(loss.item(), rel=1e-12)
    assert np.abs(rf.Inference(network, kernels="compiled").predict(x)[0] - outputs.detach().numpy()).max() < 1e-12
    names = ["0.g", "0.b", "1.U", "1.W", "1.b", "-", "2.U", "2.b"]
    for (theirs, _), name in zip(pairs, [*(f"layer0.{n}" for n in names), "head.V", "head.c"], strict=True):
        if name != "layer0.-":
            assert np.abs(theirs.grad.numpy().T - found.gradients[name]).max() < 1e-12, name


def test_what_is_compiled_is_named_layer_by_layer():
    found = engine_of(network_of("gru:hidden=5", *MASKED, "residual(dropout)", "residual(gru:hidden=5)"))
    assert found.running.kernels == (
        "compiled",
        "residual(numpy numpy compiled numpy)",
        "highway(compiled numpy compiled)",
        "numpy",
        "compiled",
    )
    assert [kernels.name for kernels in found.running.kernels_used] == ["compiled"]
    assert found.gradients(*data_of(found.network)).report.kernels == found.running.kernels


def test_a_stream_gives_a_prediction_of_all_steps_at_once_to_rounding():
    network = network_of(*MASKED, dtype="float32")
    x, _ = data_of(network)
    together, _ = rf.Inference(network, kernels="compiled").predict(x)
    stream = network.stream(BATCH, kernels="compiled")
    assert np.abs(np.stack([stream.step(row) for row in x]) - together).max() < 1e-6
    assert np.abs(rf.Inference(network, kernels="numpy").predict(x)[0] - together).max() < 1e-5


def test_a_network_with_twins_inside_is_copied_and_pickled():
    network = network_of(*MASKED)
    data = data_of(network)
    expected = engine_of(network).gradients(*data).gradients.flat
    running = engine_of(network).running
    for same in (copy.deepcopy(running), pickle.loads(pickle.dumps(running))):
        assert same.kernels == running.kernels
        assert np.array_equal(engine_of(same, "numpy").gradients(*data).gradients.flat, expected)


def test_working_arrays_of_twins_are_aligned_wherever_they_stand_in_a_block():
    network = network_of("residual(layer-norm dense:units=5 mingru:hidden=3 lstm:hidden=5)", dtype="float32")
    working = engine_of(network).running.new_scratch(3, 5).part(0, (3, 5))
    assert {working[name].ctypes.data % 64 for name in ("2.work", "3.work")} == {0}


def test_gradient_health_counts_the_gates_inside_a_block():
    network = network_of("residual(gru:hidden=5)")
    batch = Batch(*data_of(network), None, None)
    compiled, numpy = (gradient_health(engine_of(network, kernels), batch) for kernels in ("compiled", "numpy"))
    assert compiled.saturated == pytest.approx(numpy.saturated)
    assert set(compiled.saturated) == {"layer0.0.r", "layer0.0.z"}


def test_a_training_of_blocks_goes_on_bit_for_bit(tmp_path):
    (tmp_path / "text.txt").write_text("the quick brown fox jumps over the lazy dog. " * 60)
    options = rf.TrainingOptions(
        data=str(tmp_path / "text.txt"),
        layers="embedding:size=6 2*residual(dropout:rate=0.2 mingru:hidden=6) lstm:hidden=5",
        kernels="compiled",
        batch=4,
        steps=16,
        epochs=1,
    )
    with rf.Training(options, run=tmp_path / "run") as first:
        first.fit(lambda: first.number == 3)
    with rf.Training.resume(tmp_path / "run") as resumed, rf.Training(options) as whole:
        assert resumed.fit()
        assert whole.fit()
        assert resumed.trainer.engine.running.kernels[1] == "residual(numpy compiled)"
    found, wanted = resumed.model.network.parameters, whole.model.network.parameters
    assert found.flat.tobytes() == wanted.flat.tobytes()


@attrs.frozen(kw_only=True)
class WholeBlocks(Kernels):
    """Kernels that have a twin of a residual block, and of no cell."""

    name: ClassVar[str] = "whole-blocks"

    def missing(self):
        return ""

    def twin(self, layer, dtype):
        return layer if layer.name == "residual" else None


def test_kernels_that_have_a_twin_of_a_whole_block_compute_it():
    network = network_of("residual(gru:hidden=5)", "highway(residual(gru:hidden=5) gru:hidden=5)")
    assert engine_of(network, WholeBlocks()).running.kernels == ("whole-blocks", "highway(whole-blocks numpy)")
