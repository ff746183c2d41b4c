"""linear-attention on compiled kernels: beside the same on numpy, and beside finite differences."""

import numpy as np
import pytest
from test_compiled_cells import (
    compiled,
    data_of,
    expect_alone_as_among_others,
    expect_near,
    expect_nothing_compiled,
    expect_same_as_numpy,
    moved,
)

import rnnframe as rf
from rnnframe.testing import check_gradients

STORES = "full-history", "full-history:keep=lean", "states", "checkpoint:slots=2"


def network_of(inputs, heads, keys, values, dtype="float64", seed=0):
    cell = f"linear-attention:heads={heads},keys={keys},values={values}"
    return moved(rf.Network([cell], "mse:outputs=3", inputs, seed=seed, dtype=dtype), seed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_heads_keys_and_values_under_every_store(dtype):
    for n in range(1, 37):
        network = network_of(1 + n % 5, 1 + n % 3, n, 1 + (5 * n) % 37, dtype)
        expect_same_as_numpy(network, *data_of(network, 5, 1 + (36 - n) % 4), store=STORES[n % 4], shards=1 + n % 2)


@pytest.mark.parametrize(("keys", "values"), [(64, 64), (70, 3), (3, 130)])
def test_matrices_of_whole_panels_and_of_several(keys, values):
    network = network_of(4, 2, keys, values)
    expect_same_as_numpy(network, *data_of(network, 6, 2))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("steps", [31, 32, 33, 70])
def test_a_chunk_of_several_spans_computes_what_steps_of_their_own_do(steps, dtype):
    network = network_of(3, 2, 5, 18, dtype)
    data = data_of(network, steps, 2)
    found = compiled(network, chunk=70).gradients(*data)
    expect_near(found, rf.Engine(network, chunk=70, shards=1, kernels="numpy").gradients(*data), dtype)
    if dtype == "float64":
        expect_near(found, compiled(network, chunk=1).gradients(*data), dtype)


@pytest.mark.parametrize("shards", [1, 2])
def test_samples_that_end_and_begin_anew_give_the_same_bits_under_every_store(shards):
    network = network_of(4, 2, 5, 3)
    x, y, state = data_of(network, 9, 6)
    more = np.array([9, 2, 7, 9, 1, 4]), np.random.default_rng(0).random((9, 6)) < 0.2
    expect_same_as_numpy(network, x, y, state, *more)
    found = [compiled(network, store, 2, shards).gradients(x, y, state, *more) for store in STORES]
    assert all(np.array_equal(other.gradients.flat, found[0].gradients.flat) for other in found)


@pytest.mark.parametrize("store", STORES)
def test_the_bytes_are_those_that_were_planned(store):
    network = network_of(4, 2, 5, 3)
    report = compiled(network, store, 2, shards=2).gradients(*data_of(network, 9, 6)).report
    assert report.peak_bytes == report.predicted_bytes


@pytest.mark.parametrize("chunk", [3, 40])
def test_gradients_are_those_of_finite_differences(chunk):
    network = network_of(3, 2, 4, 3)
    check_gradients(compiled(network, "states", chunk, shards=2), *data_of(network, 7 if chunk < 7 else 35, 2))


def test_inputs_that_are_too_wide_to_be_packed_and_rows_that_are_looked_up():
    from rnnframe_compiled.twins import PACKED

    network = network_of(PACKED + 1, 2, 3, 2)
    expect_same_as_numpy(network, *data_of(network, 3, 2))
    expect_same_as_numpy(network, *data_of(network, 5, 3, lookup=True))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("b", [-200.0, -12.0, 12.0, 200.0])
def test_decays_of_nearly_zero_or_one_are_those_of_numpy(b, dtype):
    network = network_of(4, 2, 5, 3, dtype)
    network.parameters["layer0.b"][...] = b
    expect_same_as_numpy(network, *data_of(network, 40, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@np.errstate(all="ignore")
def test_what_is_not_finite_spreads_as_it_does_with_numpy(value):
    for column in range(2 * 5 + 2 * 5 + 2 * 3):  # one of every q, k and v; a decay may be zero
        network = network_of(4, 2, 5, 3)
        network.parameters["layer0.U"][..., column] = value
        x, _, state = data_of(network, 5, 3)
        x = np.abs(x)
        ours, theirs = (rf.Engine(network, chunk=4, kernels=k).predict(x, state)[0] for k in ("compiled", "numpy"))
        assert np.array_equal(np.isfinite(ours), np.isfinite(theirs)), column


def test_no_step_sees_what_comes_after_it():
    network = network_of(4, 2, 5, 3)
    x = np.random.default_rng(0).normal(size=(9, 3, 4))
    inference = rf.Inference(network, chunk=9, kernels="compiled")
    before = inference.predict(x)[0]
    x[6] = 1e300
    after = inference.predict(x)[0]
    assert np.array_equal(after[:6], before[:6])
    assert not np.array_equal(after[6:], before[6:])


def test_a_stream_gives_the_bits_of_chunks_of_one_step():
    network = rf.Network(["linear-attention:heads=2,keys=5,values=3"] * 2, "mse:outputs=2", 11, dtype="float32")
    x = np.random.default_rng(0).normal(size=(9, 3, 11)).astype("float32")
    wanted, _ = rf.Inference(network, chunk=1, kernels="compiled").predict(x)
    stream = network.stream(3, kernels="compiled")
    assert np.array_equal([stream.step(each) for each in x], wanted)


def test_a_sample_alone_is_predicted_as_among_others():
    network = network_of(11, 3, 5, 20, "float32")
    x = np.random.default_rng(0).normal(size=(40, 9, 11)).astype("float32")
    expect_alone_as_among_others(network, x)


def test_no_run_compiles_anything():
    from rnnframe_compiled import attention

    expect_nothing_compiled(attention, network_of(9, 2, 4, 3, "float32"))
