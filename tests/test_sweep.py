"""A loss outside of the engine: outputs are handed out, their gradient is asked for, dL/dx and dL/dstate are given."""

import math

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError, OptionError

EXACT = [
    "full-history",
    "checkpoint",
    "checkpoint:slots=3",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=mixed,slots=3",
    "checkpoint:budget=1MiB,keep=lean",
]
T, B, INPUTS, CLASSES = 19, 5, 3, 4


def network(cells=("lstm:hidden=6", "gru:hidden=5"), head=f"softmax:classes={CLASSES}", dtype="float64"):
    made = rf.Network(cells, head, INPUTS, dtype=dtype)
    made.parameters.flat[:] = np.random.default_rng(3).normal(scale=0.5, size=made.parameters.flat.shape)
    return made


def data(seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(T, B, INPUTS)), rng.integers(0, CLASSES, (T, B))


class CrossEntropy:
    """The cross entropy of a user: it keeps the outputs and gives their gradient, divided by the number of losses."""

    def __init__(self, y):
        self.y, self.loss, self.seen = y, 0.0, np.full((*y.shape, CLASSES), np.nan)

    def outputs(self, part, outputs):
        assert np.isnan(self.seen[part.index]).all()
        self.seen[part.index] = outputs

    def pull(self, part, outputs):
        o = outputs.reshape(-1, CLASSES).copy()
        y = self.y[part.index].ravel()
        o -= o.max(axis=1, keepdims=True)
        true = np.arange(len(o)), y
        np.exp(o, out=o)
        o /= o.sum(axis=1, keepdims=True)
        o[true] -= 1
        return o.reshape(outputs.shape)


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("store", EXACT)
def test_an_outside_cross_entropy_gives_the_gradients_of_the_heads_to_the_last_bit(store, shards):
    made, (x, y) = network(), data()
    engine = rf.Engine(made, store, chunk=4, shards=shards, kernels="numpy")
    expected = engine.gradients(x, y)
    outside = CrossEntropy(y)
    found = engine.sweep(x, outside.pull, outputs=outside.outputs)
    found.gradients.scale(1 / expected.count)
    assert np.array_equal(found.gradients.flat, expected.gradients.flat)
    assert np.array_equal(found.state.flat, expected.state.flat)
    assert np.array_equal(found.state_gradient.flat / expected.count, expected.state_gradient.flat) or np.allclose(
        found.state_gradient.flat / expected.count, expected.state_gradient.flat, rtol=1e-15, atol=0
    )
    assert not np.isnan(outside.seen).any()
    assert found.report.forward_steps == expected.report.forward_steps
    assert found.report.peak_bytes == expected.report.peak_bytes


@pytest.mark.parametrize("store", ["full-history", "checkpoint:slots=3"])
def test_an_outside_squared_error_gives_the_same_bits_with_every_kernel(store, each_kernels):
    made, (x, _) = network(head="mse:outputs=2"), data()
    y = np.random.default_rng(1).normal(size=(T, B, 2))
    engine = rf.Engine(made, store, chunk=4, shards=2)
    expected = engine.gradients(x, y)
    found = engine.sweep(x, lambda part, o: (o - y[part.index]) * (2 / 2))
    found.gradients.scale(1 / expected.count)
    assert np.array_equal(found.gradients.flat, expected.gradients.flat)


@pytest.mark.parametrize("lengths", [None, [19, 3, 11, 1, 19]])
@pytest.mark.parametrize("head", [None, "mse:outputs=2"])
@pytest.mark.parametrize("store", ["full-history", "checkpoint:policy=revolve,slots=2"])
def test_the_gradients_of_inputs_and_states_are_those_of_differences(store, head, lengths):
    """Of a loss that is linear in outputs and final state, so that differences are exact but for the network."""
    made, (x, _) = network(head=head), data()
    rng = np.random.default_rng(5)
    width = 5 if head is None else 2
    c = rng.normal(size=(T, B, width))
    start = {name: rng.normal(size=value.shape) for name, value in made.new_state(B).items()}
    d = {name: rng.normal(size=value.shape) for name, value in start.items()}
    engine = rf.Engine(made, store, chunk=4, shards=2, kernels="numpy")

    def loss():
        parts = []  # shards add theirs from threads of their own

        def add(part, outputs):
            parts.append(float(np.vdot(outputs, c[part.index])))

        found = engine.sweep(x, lambda part, o: np.zeros_like(o), outputs=add, state=start, lengths=lengths)
        return math.fsum(parts) + sum(float(np.vdot(found.state[name], d[name])) for name in d)

    dx = np.zeros_like(x)

    def take(part, values):
        dx[part.index] = values

    found = engine.sweep(
        x,
        lambda part, o: c[part.index],
        input_gradient=take,
        state=start,
        state_gradient=d,
        lengths=lengths,
    )
    for point, gradient in [(x, dx), *((start[name], found.state_gradient[name]) for name in start)]:
        for index in [tuple(rng.integers(0, n) for n in point.shape) for _ in range(12)]:
            value, step = point[index], 1e-5
            point[index] = value + step
            ahead = loss()
            point[index] = value - step
            behind = loss()
            point[index] = value
            assert gradient[index] == pytest.approx((ahead - behind) / (2 * step), rel=1e-7, abs=1e-8)
    if lengths is not None:
        assert not dx[3:, 1].any()
        assert dx[2, 1].any()


def test_outputs_come_once_and_in_the_order_of_time_however_often_chunks_are_run():
    made, (x, _) = network(), data()
    starts = []
    engine = rf.Engine(made, "checkpoint:policy=revolve,slots=1", chunk=2, shards=1)
    result = engine.sweep(x, lambda part, o: o, outputs=lambda part, o: starts.append((part.start, part.stop)))
    assert starts == [(t, min(t + 2, T)) for t in range(0, T, 2)]
    assert result.report.forward_steps > 2 * T


def test_outputs_are_those_of_the_readout_before_its_activation():
    made, (x, _) = network(), data()
    logits = np.zeros((T, B, CLASSES))

    def take(part, outputs):
        logits[part.index] = outputs

    rf.Engine(made, chunk=4).sweep(x, lambda part, o: o, outputs=take)
    predicted, _ = rf.Inference(made).predict(x)
    odds = np.exp(logits - logits.max(axis=2, keepdims=True))
    assert np.allclose(odds / odds.sum(axis=2, keepdims=True), predicted, atol=1e-12)


def test_what_cannot_be_swept_is_refused_in_one_line():
    made, (x, y) = network(), data()
    engine = rf.Engine(made, "circular-queue:k1=4,k2=8")
    with pytest.raises(OptionError, match="store 'circular-queue' truncates, so that dL/dx is not defined"):
        engine.sweep(x, lambda part, o: o, input_gradient=lambda part, dx: None)
    with pytest.raises(DataError, match="x holds row numbers, which have no gradient"):
        rf.Engine(made).sweep(y % INPUTS, lambda part, o: o, input_gradient=lambda part, dx: None)
    with pytest.raises(DataError, match=r"pull returned \[3\] of float64 for steps 0 to 18; expected dL/d\(outputs\)"):
        rf.Engine(made).sweep(x, lambda part, o: np.zeros(3))
    with pytest.raises(DataError, match="this network has no head, so that it takes no targets"):
        rf.Engine(network(head=None)).gradients(x, y)


def test_a_network_without_a_head_predicts_the_outputs_of_its_top_layer():
    made, (x, _) = network(head=None), data()
    predicted, state = rf.Inference(made).predict(x)
    assert predicted.shape == (T, B, 5)
    assert np.array_equal(predicted[-1], state["layer1.h"])
    assert "head.V" not in made.parameters
