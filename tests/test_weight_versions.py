"""Updates while old steps still wait to be reversed: which weights belong to an old tape, and how long they live."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import examples
from surrogate import arrays_of, slope, step, stepped, window_loss, windows

import rnnframe as rf

pytestmark = pytest.mark.usefixtures("each_kernels")

LR = 0.7  # large, so that versions of the weights differ


def make_network(cells, seed=0):
    network = rf.Network([f"{cell}:hidden=3" for cell in cells], "softmax:classes=3", 2, dtype="float64")
    network.parameters.flat[:] = np.random.default_rng(seed).normal(scale=0.7, size=network.parameters.flat.shape)
    return network


def make_data(network, steps, batch=2, seed=0):
    rng = np.random.default_rng(seed + 1)
    state = network.new_state(batch)
    state.flat[:] = rng.normal(size=state.flat.shape)
    return rng.normal(size=(steps, batch, 2)), rng.integers(0, 3, (steps, batch)), state


def train(network, store, data, chunk=None):
    """Return the result of one pass over the data with plain gradient descent; the network is changed."""
    return rf.Trainer(rf.Engine(network, store, chunk=chunk), f"sgd:lr={LR}").step(*data)


def trained_by_versions(cells, network, k1, k2, x, y, state):
    """Return the flat parameters after a pass in which every step keeps the weights that were current at its time.

    A window's gradient is the sum, over the versions its steps were computed with, of its slope with respect to that
    version: the slope along a change of all of them at once.
    """
    shapes = network.parameters.shapes
    flat = network.parameters.flat.copy()
    states, moved = [dict(state)], []
    for window in windows(len(x), k1, k2):
        _, now, end = window
        for t in range(now, end):
            states.append(step(cells, arrays_of(flat, shapes), x[t], states[-1]))
            moved.append(arrays_of(stepped(flat), shapes))
        loss = window_loss(cells, moved, x, y, states, window)
        flat = flat - LR * slope(loss) / y[now:end].size
    return flat


def trained_by_todays_weights(network, k1, k2, x, y, state):
    """Return the arrays of an Elman network after a pass in which old steps are reversed with today's W.

    dh_t = do_t Vᵀ + dz_(t+1) Wᵀ,  dz_t = dh_t ∘ (1 - h_t²) with h as it was computed and V, W as they are now.
    """
    p = {name: array.copy() for name, array in network.parameters.items()}
    h = [state["layer0.h"]]
    for first, now, end in windows(len(x), k1, k2):
        for t in range(now, end):
            h.append(np.tanh(x[t] @ p["layer0.U"] + h[t] @ p["layer0.W"] + p["layer0.b"]))
        slopes = {name: np.zeros_like(array) for name, array in p.items()}
        dz = np.zeros_like(h[0])
        for t in reversed(range(first, end)):
            dh = dz @ p["layer0.W"].T
            if t >= now:
                e = np.exp(h[t + 1] @ p["head.V"] + p["head.c"])
                do = e / e.sum(axis=1, keepdims=True) - np.eye(3)[y[t]]
                slopes["head.V"] += h[t + 1].T @ do
                slopes["head.c"] += do.sum(axis=0)
                dh = dh + do @ p["head.V"].T
            dz = dh * (1 - h[t + 1] ** 2)
            slopes["layer0.U"] += x[t].T @ dz
            slopes["layer0.W"] += h[t].T @ dz
            slopes["layer0.b"] += dz.sum(axis=0)
        for name, array in p.items():
            array -= LR * slopes[name] / y[now:end].size
    return np.concatenate([p[name].ravel() for name in network.parameters])


def close(ours, theirs):
    assert np.abs(ours - theirs).max() <= 1e-10 * np.abs(theirs).max()


WINDOWS = st.tuples(st.integers(1, 5), st.integers(0, 9)).map(lambda w: (w[0], w[0] + w[1]))


@given(
    st.sampled_from([("elman",), ("lstm",), ("elman", "lstm")]),
    st.integers(1, 12),
    WINDOWS,
    st.integers(1, 6),
    st.integers(0, 1000),
)
@settings(max_examples=examples(150))
def test_stored_weights_make_every_update_the_exact_gradient_of_what_was_computed(cells, steps, window, chunk, seed):
    network = make_network(cells, seed)
    k1, k2 = window
    data = make_data(network, steps, seed=seed)
    wanted = trained_by_versions(cells, network, k1, k2, *data)
    train(network, f"circular-queue:k1={k1},k2={k2},weights=stored", data, chunk)
    close(network.parameters.flat, wanted)


@given(st.integers(1, 14), WINDOWS, st.integers(1, 6), st.integers(0, 1000))
@settings(max_examples=examples(150))
def test_current_weights_reverse_old_steps_with_what_the_weights_are_now(steps, window, chunk, seed):
    network = make_network(("elman",), seed)
    k1, k2 = window
    data = make_data(network, steps, seed=seed)
    wanted = trained_by_todays_weights(network, k1, k2, *data)
    train(network, f"circular-queue:k1={k1},k2={k2},weights=current", data, chunk)
    close(network.parameters.flat, wanted)


def trained(store, steps=12):
    network = make_network(("elman",))
    report = train(network, store, make_data(network, steps), chunk=2).report
    return network, report


def test_stored_and_current_weights_differ_where_old_steps_wait_over_an_update():
    stored, _ = trained("circular-queue:k1=2,k2=6,weights=stored")
    current, _ = trained("circular-queue:k1=2,k2=6,weights=current")
    difference = np.abs(stored.parameters.flat - current.parameters.flat).max()
    assert difference > 1e-3


def test_stored_and_current_weights_are_one_thing_where_no_step_waits_over_an_update():
    stored, report = trained("circular-queue:k1=4,k2=4,weights=stored")
    current, plain = trained("circular-queue:k1=4,k2=4,weights=current")
    assert np.array_equal(stored.parameters.flat, current.parameters.flat)
    assert report.peak_bytes == plain.peak_bytes  # and no version is kept for nothing


@pytest.mark.parametrize(("k1", "k2"), [(1, 1), (1, 4), (2, 6), (3, 4), (3, 7), (4, 8), (5, 5)])
@pytest.mark.parametrize("steps", [40, None], ids=["array", "stream"])
def test_no_more_versions_are_kept_than_windows_that_still_wait(k1, k2, steps):
    needed = math.ceil(k2 / k1) - 1  # the k2 - k1 steps before the newest window, k1 steps a version
    stored, current = (
        rf.Engine(make_network(("elman",)), f"circular-queue:k1={k1},k2={k2},weights={weights}", chunk=2)
        for weights in ("stored", "current")
    )
    assert stored.plan(steps, batch=2).simulation.versions == needed

    x, y, state = make_data(stored.network, 40)
    reports = []
    for engine in (stored, current):
        given = (x, y, state) if steps else (iter([(x, y)]), None, state)
        reports.append(rf.Trainer(engine, "sgd:lr=0.1").step(*given).report)
    assert reports[0].peak_bytes - reports[1].peak_bytes == needed * stored.running.weights.nbytes
    assert reports[0].predicted_bytes == reports[0].peak_bytes


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_share_the_old_weights(shards):
    data = make_data(make_network(("lstm",)), 12, batch=3)
    store = "circular-queue:k1=2,k2=5,weights=stored"
    alone, peaks = make_network(("lstm",)), make_network(("lstm",))
    one = rf.Trainer(rf.Engine(alone, store), f"sgd:lr={LR}").step(*data).report
    many = rf.Trainer(rf.Engine(peaks, store, shards=shards), f"sgd:lr={LR}").step(*data).report
    close(peaks.parameters.flat, alone.parameters.flat)
    assert many.predicted_bytes == many.peak_bytes
    assert one.updates == many.updates == 6


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_a_sequence_shorter_than_k1_gets_its_one_update(steps):
    truncated, full = make_network(("lstm",)), make_network(("lstm",))
    data = make_data(full, steps)
    train(full, "full-history", data)
    report = train(truncated, "circular-queue:k1=8,k2=16", data).report
    assert report.updates == 1
    assert np.array_equal(truncated.parameters.flat, full.parameters.flat)


@pytest.mark.parametrize(("steps", "updates"), [(8, 1), (9, 2), (16, 2), (17, 3)])
def test_every_window_has_an_update_and_the_short_last_one_too(steps, updates):
    network = make_network(("elman",))
    assert train(network, "circular-queue:k1=8,k2=16", make_data(network, steps)).report.updates == updates
