"""selective-ssm on compiled kernels: beside the same on numpy, and beside finite differences."""

import numpy as np
import pytest
from test_compiled_cells import (
    compiled,
    data_of,
    expect_alone_as_among_others,
    expect_nothing_compiled,
    expect_same_as_numpy,
    moved,
)

import rnnframe as rf
from rnnframe.testing import check_gradients

STORES = "full-history", "full-history:keep=lean", "states", "checkpoint:slots=2"


def network_of(inputs, states, rank, dtype="float64", seed=0):
    cell = f"selective-ssm:states={states},rank={rank}"
    return moved(rf.Network([cell], "mse:outputs=3", inputs, seed=seed, dtype=dtype), seed)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_any_number_of_inputs_states_and_ranks_under_every_store(dtype):
    for n in range(1, 37):
        network = network_of(n, 1 + (5 * n) % 19, 1 + n % 4, dtype)
        expect_same_as_numpy(network, *data_of(network, 5, 1 + (36 - n) % 7), store=STORES[n % 4], shards=1 + n % 2)


@pytest.mark.parametrize("shards", [1, 2])
def test_samples_that_end_and_begin_anew_give_the_same_bits_under_every_store(shards):
    network = network_of(9, 5, 3)
    x, y, state = data_of(network, 9, 6)
    more = np.array([9, 2, 7, 9, 1, 4]), np.random.default_rng(0).random((9, 6)) < 0.2
    expect_same_as_numpy(network, x, y, state, *more)
    found = [compiled(network, store, 2, shards).gradients(x, y, state, *more) for store in STORES]
    assert all(np.array_equal(other.gradients.flat, found[0].gradients.flat) for other in found)


@pytest.mark.parametrize("store", STORES)
def test_the_bytes_are_those_that_were_planned(store):
    network = network_of(9, 5, 3)
    report = compiled(network, store, 2, shards=2).gradients(*data_of(network, 9, 6)).report
    assert report.peak_bytes == report.predicted_bytes


def test_gradients_are_those_of_finite_differences():
    network = network_of(5, 4, 2)
    check_gradients(compiled(network, "states", chunk=3, shards=2), *data_of(network, 7, 3))


def test_inputs_that_are_too_wide_to_be_packed():
    from rnnframe_compiled.twins import PACKED

    network = network_of(PACKED + 1, 2, 2)
    expect_same_as_numpy(network, *data_of(network, 3, 2))


@pytest.mark.parametrize("b", [-60.0, -12.0, 12.0, 60.0])
def test_steps_that_are_nearly_zero_or_large_are_those_of_numpy(b):
    network = network_of(6, 4, 2)
    network.parameters["layer0.b"][...] = b
    expect_same_as_numpy(network, *data_of(network, 5, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@np.errstate(all="ignore")
def test_what_is_not_finite_spreads_as_it_does_with_numpy(value):
    for where in ("K", "R", "b", "D"):
        network = network_of(6, 4, 2)
        network.parameters[f"layer0.{where}"][..., 1] = value
        x, _, state = data_of(network, 5, 3)
        ours, theirs = (rf.Engine(network, chunk=4, kernels=k).predict(x, state)[0] for k in ("compiled", "numpy"))
        assert np.array_equal(np.isfinite(ours), np.isfinite(theirs)), where


def test_a_stream_gives_the_bits_of_the_whole_sequence():
    network = rf.Network(["selective-ssm:states=5,rank=3"] * 2, "mse:outputs=2", 11, dtype="float32")
    x = np.random.default_rng(0).normal(size=(9, 3, 11)).astype("float32")
    wanted, _ = rf.Inference(network, kernels="compiled").predict(x)
    stream = network.stream(3, kernels="compiled")
    assert np.array_equal([stream.step(each) for each in x], wanted)


def test_a_sample_alone_is_predicted_as_among_others():
    network = network_of(11, 5, 3, "float32")
    x = np.random.default_rng(0).normal(size=(6, 9, 11)).astype("float32")
    expect_alone_as_among_others(network, x)


def test_no_run_compiles_anything():
    from rnnframe_compiled import selective

    expect_nothing_compiled(selective, network_of(9, 4, 2, "float32"))
