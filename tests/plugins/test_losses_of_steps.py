"""Losses that measures are made of come from the outputs, not from rounded probabilities: closed forms and torch."""

import json
import math
from typing import ClassVar

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.plugin import Loss, Setting
from rnnframe.runs.scoring import predictions, score

LOSSES = [
    "softmax:classes=4",
    "softmax:classes=4,ignore=3",
    "softmax:classes=4,smoothing=0.1,class_weights=1;2;0;4",
    "mse:outputs=3",
    "mse:outputs=3,gaps=ignore",
    "bernoulli:outputs=3",
]


def rows_of(spec: str, count: int = 9) -> tuple[Loss, np.ndarray, np.ndarray]:
    loss = rf.default_registry().loss(spec)
    rng = np.random.default_rng(4)
    o = rng.normal(size=(count, loss.width)) * 3
    if loss.target_width is None:
        return loss, o, rng.integers(0, 4, count)
    y = rng.integers(0, 2, (count, 3)).astype(float)
    if "gaps" in spec:
        y[rng.random(y.shape) < 0.3] = np.nan
    return loss, o, y


@pytest.mark.parametrize("spec", LOSSES)
def test_the_losses_of_rows_are_those_of_each_row_alone(spec):
    loss, o, y = rows_of(spec)
    before = o.copy()
    alone = [loss.loss_and_gradient(o[n : n + 1].copy(), y[n : n + 1], None) for n in range(len(o))]
    assert loss.losses(o, y) == pytest.approx(alone, rel=1e-12, abs=1e-15)
    assert np.array_equal(o, before)


@attrs.frozen(kw_only=True)
class Sums(Loss):
    name: ClassVar[str] = "sums"
    width: ClassVar[int] = 2

    def loss_and_gradient(self, o, y, weights):
        loss = float((o - y).sum())
        o.fill(1)
        return loss


@attrs.frozen(kw_only=True)
class Rows(Sums):
    def losses_and_gradients(self, o, y):
        losses = (o - y).sum(axis=1)
        o.fill(1)
        return losses


@pytest.mark.parametrize("cls", [Sums, Rows])
def test_a_loss_of_ones_own_needs_no_further_method(cls):
    o, y = np.arange(6.0).reshape(3, 2), np.ones((3, 2))
    assert cls().losses(o, y).tolist() == [-1, 3, 7]
    assert np.array_equal(o, np.arange(6.0).reshape(3, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_probabilities_keep_their_digits(dtype):
    o = np.array([[-80.0, -30, -18, -1, 0, 1, 18]], dtype)
    expected = [1 / (1 + math.exp(-value)) for value in o[0].tolist()]
    rf.default_registry().loss("bernoulli:outputs=7").prediction(o)
    assert o[0].tolist() == pytest.approx(expected, rel=float(4 * np.finfo(dtype).eps), abs=0)


def log_1_exp(a: float) -> float:
    return math.log1p(math.exp(a)) if a < 700 else a


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_small_losses_of_binary_outputs_keep_their_digits(dtype):
    o = np.array([[-60.0, -18, 18, 60, 1000], [18, 18, -18, 0.5, -1000]], dtype)
    y = np.array([[0, 0, 1, 1, 1], [0, 1, 1, 0.25, 0]], dtype)
    pairs = zip(o.ravel().tolist(), y.ravel().tolist(), strict=True)
    wanted = np.reshape([target * log_1_exp(-each) + (1 - target) * log_1_exp(each) for each, target in pairs], o.shape)
    loss = rf.default_registry().loss("bernoulli:outputs=5")
    assert loss.losses(o, y) == pytest.approx(wanted.sum(axis=1), rel=1e-12, abs=0)
    single = rf.default_registry().loss("bernoulli:outputs=1")
    for place in np.ndindex(o.shape):
        found = single.loss_and_gradient(o[place].reshape(1, 1).copy(), y[place].reshape(1, 1), None)
        assert found == pytest.approx(wanted[place], rel=1e-6, abs=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sure_and_wrong_prediction_costs_in_the_measure_what_it_costs_in_the_loss(tmp_path, dtype):
    np.savez(tmp_path / "zeros.npz", x=np.zeros((6, 5, 1)))
    data = rf.task("rolls").open(Setting(data=str(tmp_path / "zeros.npz"), batch=4))
    network = rf.Network(["gru:hidden=3"], data.head, data.inputs, dtype=dtype)
    network.parameters.flat.fill(0)
    network.parameters["head.c"][...] = 18
    judged = score(rf.Inference(network), data.valid)
    cost = 18 + math.log1p(math.exp(-18))
    assert judged.loss == pytest.approx(cost, rel=1e-6)
    assert judged.measures == {"nats/step, mean over rolls": pytest.approx(cost, rel=1e-12)}


def test_what_a_character_cost_is_finite_where_its_probability_is_too_small_for_a_float():
    data = rf.task("characters").open(Setting(batch=2, steps=8))
    network = rf.Network(["elman:hidden=2"], data.head, data.inputs)
    network.parameters["head.V"].fill(0)
    bias = network.parameters["head.c"]
    bias[0] = 500
    piece = next(iter(data.valid.table(predictions(rf.Inference(network), data.valid))))
    symbols = data.valid.symbols
    for symbol, nats in zip(piece["character"][:50], piece["nats"][:50], strict=True):
        assert nats == pytest.approx(500 - bias[np.flatnonzero(symbols == symbol)[0]], rel=1e-6)


@pytest.mark.parametrize("at", ["every", "last"])
@pytest.mark.parametrize("lengths", [None, np.array([7, 3, 11])], ids=["whole", "lengths"])
def test_the_losses_of_steps_add_up_to_the_loss_and_stand_at_their_steps(at, lengths):
    rng = np.random.default_rng(0)
    network = rf.Network(["gru:hidden=3"], f"bernoulli:outputs=2,at={at}", 2, dtype="float64")
    x = rng.normal(size=(12, 3, 2))
    y = rng.integers(0, 2, (3, 2) if at == "last" else (12, 3, 2)).astype(float)
    weights = rng.random(3 if at == "last" else (12, 3))
    inference = rf.Inference(network, chunk=5)
    batch = rf.Batch(x, y, lengths, weights=weights)
    judged, outputs, losses = inference.judge_steps(batch)
    whole, predicted = inference.judge(x, y, lengths=lengths, weights=weights)
    assert (judged.loss, judged.count) == (whole.loss, whole.count)
    assert np.array_equal(outputs, predicted)
    ends = np.full(3, 12) if lengths is None else lengths
    step = np.arange(12)[:, None]
    there = step == ends - 1 if at == "last" else step < ends
    chosen = np.where(np.broadcast_to(y, (12, 3, 2)) > 0, outputs, 1 - outputs)
    assert losses == pytest.approx(-np.log(np.where(there[..., None], chosen, 1)).sum(axis=2), rel=1e-9)
    assert (losses * weights * there).sum() / judged.count == pytest.approx(judged.loss, rel=1e-9)


def test_evaluate_prints_one_loss_for_rolls_of_one_length(run_command, tmp_path):
    np.savez(tmp_path / "rolls.npz", x=np.random.default_rng(1).integers(0, 2, (20, 6, 3)))
    words = ("--cell", "gru:hidden=4", "--batch", 5, "--epochs", 1, "--quiet")
    run_command("train", "--task", "rolls", "--data", tmp_path / "rolls.npz", "--out", tmp_path / "run", *words)
    judged = json.loads(run_command("evaluate", tmp_path / "run", "--json"))
    assert judged["measures"]["nats/step, mean over rolls"] == pytest.approx(judged["loss"], rel=1e-6)
