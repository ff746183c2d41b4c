"""A model without numpy runs through the real loop, under every kind of schedule, with the right gradients."""

import random

import pytest
from list_model import ListModel

import rnnframe as rf

STEPS, BATCH = 23, 4
POINT = (0.7, -0.9, 1.3)


def data():
    rng = random.Random(0)
    return [[[rng.uniform(-1, 1) for _ in range(BATCH)] for _ in range(STEPS)] for _ in range(2)]


def mean_loss(point, start=0, stop=STEPS):
    """Return the mean over the batch's losses, of the formulas written down a second time."""
    import math

    (x, y), (u, w, v), total, h = data(), point, 0.0, [0.0] * BATCH
    for t in range(STEPS):
        h = [math.tanh(u * x[t][b] + w * h[b]) for b in range(BATCH)]
        total += sum((v * h[b] - y[t][b]) ** 2 / 2 for b in range(BATCH))
    return total / (STEPS * BATCH)


def slope(n, step=1e-5):
    ahead, behind = ([value + sign * step * (k == n) for k, value in enumerate(POINT)] for sign in (1, -1))
    return (mean_loss(ahead) - mean_loss(behind)) / (2 * step)


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize(
    "store", ["full-history", "checkpoint", "checkpoint:policy=revolve,slots=2", "circular-queue:k1=23,k2=23"]
)
def test_every_exact_strategy_gives_the_gradients_of_differences(store, shards):
    x, y = data()
    result = rf.Engine(ListModel(*POINT), store, chunk=2, shards=shards).gradients(x, y)
    assert result.loss == pytest.approx(mean_loss(POINT), rel=1e-12)
    assert list(result.gradients) == pytest.approx([slope(n) for n in range(3)], rel=1e-8)
    assert result.report.kernels == ("lists",)


def test_strategies_give_the_same_bits():
    x, y = data()
    results = [
        rf.Engine(ListModel(*POINT), store, chunk=2, shards=1).gradients(x, y)
        for store in ("full-history", "checkpoint", "checkpoint:policy=revolve,slots=2")
    ]
    assert len({(result.loss, *result.gradients, *result.state, *result.state_gradient) for result in results}) == 1
    assert results[2].report.forward_steps > results[0].report.forward_steps


def test_windows_are_truncated_and_update_on_the_way():
    x, y = data()
    seen, model = [], ListModel(*POINT)
    engine = rf.Engine(model, "circular-queue:k1=4,k2=8,weights=stored", chunk=2, shards=1)

    def descend(gradients, loss):
        seen.append(loss)
        for n, slope in enumerate(gradients):
            model.weights[n] -= 0.1 * slope

    outcome = engine.run(x, y, None, descend)
    assert len(seen) == outcome.report.updates == 6
    assert seen[0] == pytest.approx(head_loss(4))
    assert tuple(model.weights) != POINT


def head_loss(stop):
    """Return the mean loss of the first steps."""
    import math

    (x, y), (u, w, v), total, h = data(), POINT, 0.0, [0.0] * BATCH
    for t in range(stop):
        h = [math.tanh(u * x[t][b] + w * h[b]) for b in range(BATCH)]
        total += sum((v * h[b] - y[t][b]) ** 2 / 2 for b in range(BATCH))
    return total / (stop * BATCH)
