"""Gradients against finite differences: the one witness that shares no backward code with the library."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.testing import check_gradients

pytestmark = pytest.mark.usefixtures("each_kernels")

SMOOTH_CELLS = [
    "elman:hidden=3,activation=sigmoid",
    "elman:hidden=3,activation=tanh",
    "elman:hidden=3,activation=identity",
    "lstm:hidden=3",
    "gru:hidden=3,reset=after",
    "gru:hidden=3,reset=before",
]
HEADS = ["softmax:classes=4", "mse:outputs=2", "bernoulli:outputs=2"]
EXACT_STORES = [
    "full-history",
    "circular-queue:k1=100,k2=100",
    "checkpoint:policy=uniform,slots=1",
    "checkpoint:policy=uniform,slots=3",
    "checkpoint:policy=uniform",
    "checkpoint:policy=revolve,slots=1",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=revolve,slots=5",
]
INPUTS = 2
PLACES = 0.5  # size of parameters and states: away from saturation, where differences would see nothing


def some_network(cells, head="softmax:classes=4", inputs=INPUTS, seed=0):
    """Return a float64 network whose every parameter is random: initial biases are zero and would hide mistakes."""
    network = rf.Network(cells, head, inputs, dtype="float64")
    rng = np.random.default_rng(seed)
    network.parameters.flat[:] = rng.normal(scale=PLACES, size=network.parameters.flat.shape)
    return network


def some_data(network, steps, batch, seed=0, *, lookup=False):
    """Return x, y and a state that is not zero."""
    rng = np.random.default_rng(seed + 1000)
    lead = (steps, batch)
    x = rng.integers(0, network.inputs, lead) if lookup else rng.normal(size=(*lead, network.inputs))
    head = network.head
    y = rng.integers(0, head.width, lead) if head.loss.target_width is None else rng.uniform(size=(*lead, head.width))
    state = network.new_state(batch)
    state.flat[:] = rng.normal(scale=PLACES, size=state.flat.shape)
    return x, y if head.loss.at == "every" else y[-1], state


def test_every_parameter_of_a_network_for_these_tests_is_random():
    network = some_network(["lstm:hidden=3", "gru:hidden=3"])
    assert all((np.abs(array) > 0).all() for array in network.parameters.values())


@pytest.mark.parametrize("at", ["every", "last"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("cell", SMOOTH_CELLS)
def test_gradients_are_those_of_finite_differences_for_every_cell_and_head(cell, head, at):
    network = some_network([cell], f"{head},at={at}")
    x, y, state = some_data(network, steps=7, batch=2)
    check_gradients(rf.Engine(network, chunk=3), x, y, state)


@pytest.mark.parametrize("lookup", [False, True], ids=["dense", "lookup"])
@pytest.mark.parametrize("head", HEADS)
def test_gradients_of_relu_are_those_of_finite_differences_away_from_its_corner(head, lookup):
    network = some_network(["elman:hidden=3,activation=relu"], head, inputs=5 if lookup else INPUTS, seed=8)
    x, y, state = some_data(network, steps=7, batch=2, seed=8, lookup=lookup)
    z = relu_arguments(network, np.eye(5)[x] if lookup else x, state)
    # given each unit on both sides of the corner, and never so near that a step of the differences crosses it
    assert (z > 0.02).any(axis=(0, 1)).all()
    assert (z < -0.02).any(axis=(0, 1)).all()
    assert np.abs(z).min() > 0.02
    check_gradients(rf.Engine(network, chunk=3), x, y, state)


def relu_arguments(network, x, state):
    """Return z_t = x_t U + h_(t-1) W + b of every step of a network of one layer."""
    p, h, z = network.parameters, state["layer0.h"], []
    for x_t in x:
        z.append(x_t @ p["layer0.U"] + h @ p["layer0.W"] + p["layer0.b"])
        h = np.maximum(z[-1], 0)
    return np.array(z)


@pytest.mark.parametrize("cell", SMOOTH_CELLS)
def test_gradients_of_looked_up_inputs_are_those_of_finite_differences(cell):
    network = some_network([cell], inputs=5, seed=2)
    x, y, state = some_data(network, steps=6, batch=2, seed=2, lookup=True)
    assert len(np.unique(x)) < x.size  # given rows of U that are looked up more than once
    check_gradients(rf.Engine(network, chunk=4), x, y, state)


@pytest.mark.parametrize("lookup", [False, True], ids=["dense", "lookup"])
@pytest.mark.parametrize(
    "cells",
    [
        ["lstm:hidden=3", "lstm:hidden=3"],
        ["gru:hidden=2,reset=before", "elman:hidden=4", "lstm:hidden=2"],
        ["elman:hidden=3,activation=sigmoid", "lstm:hidden=2", "gru:hidden=3"],
    ],
    ids=" ".join,
)
def test_gradients_of_stacked_layers_are_those_of_finite_differences(cells, lookup):
    network = some_network(cells)
    x, y, state = some_data(network, steps=5, batch=2, lookup=lookup)
    check_gradients(rf.Engine(network, chunk=2), x, y, state)


@pytest.mark.parametrize("chunk", [1, 3, 7, 50, None])
@pytest.mark.parametrize("store", EXACT_STORES)
def test_every_exact_store_gives_the_gradients_of_finite_differences(store, chunk):
    network = some_network(["lstm:hidden=2", "gru:hidden=2"])
    x, y, state = some_data(network, steps=7, batch=2)
    check_gradients(rf.Engine(network, store, chunk=chunk), x, y, state)


@pytest.mark.parametrize("store", EXACT_STORES)
def test_every_exact_store_carries_a_loss_of_the_last_step_back_to_the_first(store):
    network = some_network(["gru:hidden=3"], "mse:outputs=2,at=last")
    x, y, state = some_data(network, steps=8, batch=2)
    check_gradients(rf.Engine(network, store, chunk=1), x, y, state)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("cell", ["elman:hidden=3", "lstm:hidden=3", "gru:hidden=3"])
def test_one_step_and_one_sample_are_enough_for_a_gradient(cell, steps, batch):
    network = some_network([cell], "mse:outputs=1")
    x, y, state = some_data(network, steps, batch)
    check_gradients(rf.Engine(network), x, y, state)


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_of_unequal_size_give_the_gradient_of_the_whole_batch(shards):
    network = some_network(["lstm:hidden=3"])
    x, y, state = some_data(network, steps=5, batch=4)
    check_gradients(rf.Engine(network, chunk=2, shards=shards), x, y, state)


def test_a_state_that_is_not_given_is_zero():
    network = some_network(["lstm:hidden=3"])
    x, y, _ = some_data(network, steps=5, batch=2)
    check_gradients(rf.Engine(network, chunk=2), x, y)
