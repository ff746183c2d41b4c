"""Random masks: the same for every store, chunk length and number of shards, none in evaluation, exact gradients."""

import gc
import hashlib
import weakref
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError, PluginError
from rnnframe.plugin import Draw
from rnnframe.registry.registry import default_registry
from rnnframe.testing import CellTests, check_gradients, run

MASKED = {
    "dropout": ["dropout:rate=0.3", "lstm:hidden=4", "dropout:rate=0.5"],
    "variational": ["dropout:variational=yes,rate=0.4", "gru:hidden=4", "dropout:variational=yes"],
    "recurrent": ["lstm:hidden=4,recurrent_dropout=0.4", "gru:hidden=3,recurrent_dropout=0.3"],
    "reset before": ["elman:hidden=4,recurrent_dropout=0.4", "gru:hidden=3,recurrent_dropout=0.3,reset=before"],
    "zoneout": ["lstm:hidden=4,zoneout=0.2,zoneout_cell=0.5", "gru:hidden=3,zoneout=0.3"],
    "weights": ["lstm:hidden=4,weight_drop=0.5", "gru:hidden=3,weight_drop=0.3", "elman:hidden=3,weight_drop=0.4"],
    "blocks": ["residual(dropout:rate=0.4 gru:hidden=3,weight_drop=0.3)", "highway(lstm:hidden=3,zoneout=0.2 dropout)"],
    "all": ["dropout:rate=0.2", "lstm:hidden=4,weight_drop=0.5,recurrent_dropout=0.2,zoneout=0.1", "dropout"],
}
STORES = [
    "full-history",
    "full-history:keep=lean",
    "checkpoint:policy=uniform",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=mixed,slots=4",
    "checkpoint:slots=2,keep=lean",
]
STEPS, BATCH, INPUTS = 11, 5, 3
CUTS = {
    "whole": {},
    "lengths": {"lengths": np.array([11, 2, 7, 7, 5])},
    "resets": {"resets": np.arange(STEPS * BATCH).reshape(STEPS, BATCH) % 9 == 4},
}


def network(cells, dtype="float64"):
    made = rf.Network(cells, "mse:outputs=2", INPUTS, dtype=dtype)
    made.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.3, size=made.parameters.flat.shape)
    return made


def data(dtype="float64"):
    rng = np.random.default_rng(1)
    return rng.normal(size=(STEPS, BATCH, INPUTS)).astype(dtype), rng.normal(size=(STEPS, BATCH, 2)).astype(dtype)


def mask(rate=0.5, width=20, samples=slice(0, 8), start=None, steps=6, layer=0, kind="inputs", draw=None, dtype="f8"):
    count = samples.stop - samples.start if isinstance(samples, slice) else len(samples)
    out = np.full((count, width) if start is None else (steps, count, width), np.nan, dtype)
    (draw or Draw(3, 1)).write_mask(out, rate, layer, kind, samples, start)
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 15, 16, 40])
def test_compiled_kernels_write_the_masks_of_numpys_generator(dtype: str, width: int) -> None:
    pytest.importorskip("numba")
    kernels = default_registry().kernels("compiled")
    seed, number = 2**64 - 3, 2**63 + 5
    many = {None: slice(0, 7), "some": slice(3, 5), "picked": np.array([6, 0, 3]), "one": np.array([4])}
    for samples in many.values():
        for start, rate in ((None, 0.5), (0, 0.1), (2**40, 0.9), (7, 0.0), (7, 0.999999)):
            written = [
                mask(rate, width, samples, start, 3, 5, "h", draw, dtype)
                for draw in (Draw(seed, number), Draw(seed, number, kernels.write_mask))
            ]
            assert np.isin(written[0], [0, 1]).all()
            assert np.array_equal(*written)


def test_masks_that_are_not_dense_are_written_all_the_same() -> None:
    pytest.importorskip("numba")
    kernels, room = default_registry().kernels("compiled"), np.zeros((3, 4, 10))
    Draw(1, 2, kernels.write_mask).write_mask(room[..., ::2], 0.5, 0, "h", slice(0, 4), 0)
    dense = np.zeros((3, 4, 5))
    Draw(1, 2).write_mask(dense, 0.5, 0, "h", slice(0, 4), 0)
    assert np.array_equal(room[..., ::2], dense)
    assert not room[..., 1::2].any()


@pytest.mark.parametrize("kernels", ["compiled", "numpy"])
def test_an_engine_has_masks_written_by_the_kernels_of_its_layers(monkeypatch, kernels: str) -> None:
    masks, written = pytest.importorskip("rnnframe_compiled.masks"), []
    write = masks.write_mask
    monkeypatch.setattr(masks, "write_mask", lambda *given: (written.append(given), write(*given)))
    rf.Engine(network(["lstm:hidden=4", "dropout"]), kernels=kernels, chunk=4).gradients(*data())
    assert bool(written) == (kernels == "compiled")


@pytest.mark.parametrize("cells", [MASKED["weights"], MASKED["dropout"]], ids=["weights", "dropout"])
def test_masks_keep_no_engine_alive(cells) -> None:
    """All is freed with the last reference, and nothing waits for a search for circles."""
    gc.collect()
    gc.disable()
    try:
        engine = rf.Engine(network(cells))
        engine.gradients(*data())
        running = weakref.ref(engine.running)
        del engine
        assert running() is None
    finally:
        gc.enable()


def test_kernels_that_fail_to_write_a_mask_are_named(monkeypatch) -> None:
    masks = pytest.importorskip("rnnframe_compiled.masks")
    monkeypatch.setattr(masks, "write_mask", lambda out, place: out[0, 0, 0, 0])
    with pytest.raises(PluginError, match=r"^kernels 'compiled' of .*: IndexError"):
        rf.Engine(network(["lstm:hidden=4", "dropout"]), kernels="compiled").gradients(*data())


def test_a_part_of_the_batch_or_of_the_steps_has_its_part_of_the_mask():
    whole = mask(start=0)
    assert np.array_equal(mask(start=2, steps=3), whole[2:5])
    assert np.array_equal(mask(start=0, samples=slice(3, 7)), whole[:, 3:7])
    chosen = np.array([6, 1, 4])
    assert np.array_equal(mask(start=0, samples=chosen), whole[:, chosen])
    assert np.array_equal(mask(samples=chosen), mask()[chosen])
    assert set(np.unique(whole)) == {0, 1}


def test_seed_draw_layer_kind_and_step_each_give_another_mask():
    masks = [mask(), mask(layer=1), mask(kind="h"), mask(draw=Draw(3, 2)), mask(draw=Draw(4, 1)), *mask(start=0)]
    assert len({each.tobytes() for each in masks}) == len(masks)
    assert not np.array_equal(mask()[0], mask()[1])


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_so_many_values_are_dropped_as_the_rate_says(rate):
    dropped = 1 - mask(rate=rate, width=500, samples=slice(0, 100), start=0, steps=10)
    assert abs(dropped.mean() - rate) < 5 * np.sqrt(rate * (1 - rate) / dropped.size)
    centred = dropped - dropped.mean()
    for axis in range(3):  # neighbours in time, samples and units have nothing to do with each other
        one, other = np.delete(centred, 0, axis), np.delete(centred, -1, axis)
        assert abs((one * other).mean()) < 5 * rate * (1 - rate) / np.sqrt(one.size)


def test_the_masks_stay_those_of_old_runs():
    bits = mask(width=37, samples=slice(5, 9), start=3).astype(np.uint8).tobytes()
    assert hashlib.sha256(bits).hexdigest()[:16] == "e783490797f6dd1b"


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("cells", MASKED)
def test_gradients_at_a_draw_are_those_of_finite_differences(cells, cuts):
    engine = rf.Engine(network(MASKED[cells]), "checkpoint:policy=revolve,slots=2", chunk=4, kernels="numpy", seed=5)
    engine.draws = 2
    check_gradients(engine, *data(), **CUTS[cuts])


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("cells", MASKED)
def test_every_exact_store_gives_the_same_bits_for_every_number_of_shards(cells, cuts, kernels):
    at_one = None
    for shards in (1, 2, 3):
        found = []
        for store in STORES:
            engine = rf.Engine(network(MASKED[cells]), store, 4, shards, kernels=kernels, seed=5)
            found.append(engine.gradients(*data(), **CUTS[cuts]))
        assert len({result.gradients.flat.tobytes() for result in found}) == 1
        assert len({result.loss for result in found}) == 1
        assert len({result.state.flat.tobytes() for result in found}) == 1
        at_one = at_one or found[0]
        assert np.allclose(found[0].gradients.flat, at_one.gradients.flat, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cells", MASKED)
def test_each_run_draws_its_own_masks_and_an_evaluation_none(cells):
    engine = rf.Engine(network(MASKED[cells]), chunk=4, seed=5)
    x, y = data()
    losses = [engine.gradients(x, y).loss for _ in range(3)]
    assert len(set(losses)) == 3
    engine.draws = 0
    assert engine.gradients(x, y).loss == losses[0]
    assert rf.Engine(network(MASKED[cells]), chunk=3, seed=6).gradients(x, y).loss not in losses
    assert engine.evaluate(x, y).loss == engine.evaluate(x, y).loss
    mean = np.mean([rf.Engine(network(MASKED[cells]), seed=seed).gradients(x, y).loss for seed in range(5)])
    assert engine.evaluate(x, y).loss != pytest.approx(mean, rel=1e-6)


def test_masks_in_a_prediction_are_asked_for_with_a_draw():
    inference = rf.Inference(network(MASKED["all"]), draw=Draw(5, 0))
    x, y = data()
    engine = rf.Engine(network(MASKED["all"]), seed=5)
    assert inference.evaluate(x, y).loss == pytest.approx(engine.gradients(x, y).loss)


def test_dropped_weights_are_zero_in_a_run_and_their_gradient_too():
    made = network(["lstm:hidden=20,weight_drop=0.5"])
    result = rf.Engine(made, chunk=4).gradients(*data())
    zero = result.gradients["layer0.W"] == 0
    assert 0.4 < zero.mean() < 0.6
    assert not (result.gradients["layer0.U"] == 0).any()
    again = network(["lstm:hidden=20,weight_drop=0.5"])
    again.parameters["layer0.W"][zero] = 7.0  # which nobody sees
    assert np.array_equal(rf.Engine(again, chunk=4).gradients(*data()).gradients.flat, result.gradients.flat)
    plain = network(["lstm:hidden=20"])
    plain.parameters["layer0.W"][...] = np.where(zero, 0, 2 * made.parameters["layer0.W"])
    wanted = rf.Engine(plain, chunk=4).gradients(*data()).gradients
    assert np.allclose(result.gradients["layer0.W"], np.where(zero, 0, 2 * wanted["layer0.W"]), rtol=1e-12)
    assert np.allclose(result.gradients["layer0.U"], wanted["layer0.U"], rtol=1e-12)


def test_windows_that_update_on_the_way_have_the_masks_of_their_run():
    cells = MASKED["all"]
    for weights in ("current", "stored"):
        store = f"circular-queue:k1=4,k2=8,weights={weights}"
        found = []
        for chunk in (1, 2, 4):
            trainer = rf.Trainer(rf.Engine(network(cells), store, chunk, seed=5), "sgd:lr=0.1")
            trainer.step(*data())
            found.append(trainer.engine.network.parameters.flat.copy())
        assert np.allclose(found[0], found[1], rtol=1e-9)
        assert np.allclose(found[0], found[2], rtol=1e-9)


def test_a_twin_sees_the_dropped_weights():
    cells = ["lstm:hidden=9,weight_drop=0.5", "gru:hidden=7,weight_drop=0.3", "dropout:rate=0.3"]
    slow, fast = (rf.Engine(network(cells), chunk=4, kernels=kernels, seed=5) for kernels in ("numpy", "auto"))
    one, other = slow.gradients(*data()), fast.gradients(*data())
    assert np.allclose(other.gradients.flat, one.gradients.flat, rtol=1e-9, atol=1e-12)
    if fast.running.kernels[0] == "compiled":
        assert other.report.kernels == ("compiled", "compiled", "numpy")
    stepwise = ["lstm:hidden=4,zoneout=0.1", "lstm:hidden=4,zoneout_cell=0.1", "gru:hidden=3,recurrent_dropout=0.1"]
    masked = rf.Engine(network(stepwise))
    assert masked.gradients(*data()).report.kernels == ("numpy", "numpy", "numpy")


def test_zoneout_keeps_old_values_of_some_units_and_moves_by_the_mean_in_evaluation():
    cells = ["gru:hidden=40,zoneout=0.3"]
    x, _ = data()
    drawn, _ = rf.Inference(rf.Network(cells, None, INPUTS), draw=Draw(0, 0)).predict(x.astype("f"))
    kept = drawn[1:] == drawn[:-1]
    assert 0.2 < kept.mean() < 0.4
    plain = rf.Network(["gru:hidden=40"], None, INPUTS, dtype="float64")
    first = rf.Inference(plain).predict(x[:1])[0]
    zoned = rf.Network(cells, None, INPUTS, dtype="float64")
    zoned.parameters.flat[:] = plain.parameters.flat
    assert np.allclose(rf.Inference(zoned).predict(x[:1])[0], 0.7 * first)


@pytest.mark.parametrize("spec", ["dropout:rate=1", "dropout:rate=-0.1", "lstm:weight_drop=1.5", "gru:zoneout=1"])
def test_a_rate_that_is_no_probability_below_one_is_refused(spec):
    with pytest.raises(OptionError, match="must be"):
        rf.cell(spec)


def test_row_numbers_need_a_layer_that_looks_them_up():
    with pytest.raises(rf.errors.DataError, match="cannot look up; put an embedding first"):
        rf.Engine(network(MASKED["dropout"])).gradients(np.zeros((4, 2), int), np.zeros((4, 2, 2)))


@pytest.mark.parametrize("cells", ["dropout", "all"])
@pytest.mark.parametrize("store", STORES)
def test_the_planned_bytes_are_those_held(cells, store):
    cells = [cell.replace("hidden=4", "hidden=64") for cell in MASKED[cells]]
    made = rf.Network(cells, "mse:outputs=2", INPUTS)
    engine = rf.Engine(made, store, chunk=4, kernels="numpy")
    x = np.random.default_rng(0).normal(size=(200, 16, INPUTS)).astype("f")
    report = engine.gradients(x, np.zeros((200, 16, 2), "f")).report
    assert report.predicted_bytes == report.peak_bytes


def test_a_run_with_masks_is_resumed_bit_for_bit(tmp_path: Path):
    text = "".join(f"{n}: the quick brown fox jumps {n * 7 % 13} times.\n" for n in range(60))
    (tmp_path / "text.txt").write_text(text)
    options = rf.TrainingOptions(
        data=str(tmp_path / "text.txt"),
        cell=("elman:hidden=8,weight_drop=0.3,recurrent_dropout=0.1", "dropout:rate=0.2", "lstm:hidden=8,zoneout=0.1"),
        batch=4,
        steps=16,
        epochs=2,
        kernels="numpy",
        shards=1,
        seed=3,
    )
    with rf.Training(options) as whole:
        assert whole.fit()
    with rf.Training(options, run=tmp_path / "run") as first:
        first.fit(lambda: first.number == 5)
    with rf.Training.resume(tmp_path / "run") as resumed:
        assert resumed.number == 5
        assert resumed.fit()
    wanted, found = whole.model.network.parameters, resumed.model.network.parameters
    assert found.flat.tobytes() == wanted.flat.tobytes()


@attrs.frozen(kw_only=True)
class ByColumn(type(rf.cell("dropout"))):
    """Masks that follow from the place in the block: another shard, chunk or cut has others."""

    name: ClassVar[str] = "by-column"
    fault: str = "samples"

    def forward(self, block):
        super().forward(attrs.evolve(block, **self._change(block)))

    def backward(self, block, dh, dstate, gradients, dx):
        super().backward(attrs.evolve(block, **self._change(block)), dh, dstate, gradients, dx)

    def _change(self, block):
        if self.fault == "evaluation":
            return {"draw": block.draw or Draw(0, 0)}
        return {"samples": {"samples": slice(None)}, "start": {"start": 0}}[self.fault]


@attrs.frozen(kw_only=True)
class Forgetful(type(rf.cell("dropout"))):
    """Masks from a generator that goes on: a chunk that is run again has others."""

    name: ClassVar[str] = "forgetful"
    count: ClassVar[list[int]] = [0]

    def forward(self, block):
        self.count[0] += 1
        super().forward(attrs.evolve(block, draw=block.draw and Draw(0, self.count[0])))


@pytest.mark.parametrize(
    ("layer", "caught_by"),
    [
        (ByColumn(fault="samples"), "in threads the gradients are those of one"),
        (ByColumn(fault="start"), "random masks are the same for every chunk length"),
        (ByColumn(fault="evaluation"), "there are none in evaluation"),
        (Forgetful(), "recomputed blocks give the same bits"),
    ],
    ids=["by column", "by step of the block", "in evaluation too", "from a generator"],
)
def test_the_suite_catches_a_layer_whose_masks_depend_on_the_wrong_things(layer, caught_by):
    report = run(type("TestWrong", (CellTests,), {"cell": layer})())
    assert any(caught_by in outcome.title for outcome in report.failed), str(report)
