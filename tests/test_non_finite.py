"""Losses and gradients that overflow: one error, no warning beside it (warnings are errors here), and no update."""

import collections

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import NonFiniteError

pytestmark = pytest.mark.usefixtures("each_kernels")

INPUTS, STEPS, BATCH = 3, 6, 2
RNG = np.random.default_rng(0)
X = RNG.normal(size=(STEPS, BATCH, INPUTS))
Y = RNG.uniform(size=(STEPS, BATCH, 2))


def make_trainer(cell, head, shards=1, store="full-history"):
    network = rf.Network([cell], head, INPUTS)
    return rf.Trainer(rf.Engine(network, store, chunk=2, shards=shards), "adam:lr=0.1", clip=1.0)


def assert_no_update(trainer, match):
    """Assert that a step raises the one error, on one line, and changes nothing."""
    before = trainer.engine.network.parameters.flat.tobytes()
    with pytest.raises(NonFiniteError, match=match) as failure:
        trainer.step(X, Y)
    assert "\n" not in str(failure.value)
    assert trainer.engine.network.parameters.flat.tobytes() == before
    assert trainer.updates == 0
    assert not trainer.slots.flat.any()


@pytest.mark.parametrize("store", ["full-history", "checkpoint:slots=1", "circular-queue:k1=2,k2=4,weights=stored"])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("cell", ["elman:hidden=4,activation=relu", "lstm:hidden=4", "gru:hidden=4"])
@pytest.mark.parametrize("head", ["mse:outputs=2", "bernoulli:outputs=2"])
def test_parameters_that_are_not_finite_make_no_update(cell, head, value, shards, store):
    trainer = make_trainer(cell, head, shards, store)
    trainer.engine.network.parameters["head.V"].fill(value)
    assert_no_update(trainer, "the loss is (nan|inf); lower the learning rate")


@pytest.mark.parametrize("shards", [1, 2])
def test_parameters_that_make_states_and_losses_overflow_make_no_update(shards):
    trainer = make_trainer("elman:hidden=4,activation=relu", "mse:outputs=2", shards)
    trainer.engine.network.parameters.flat[:] *= 1e30
    assert_no_update(trainer, "the loss is (nan|inf); lower the learning rate")


def test_a_gradient_that_overflows_beside_a_finite_loss_makes_no_update_and_its_array_is_named():
    # given errors of 1e25, whose squares a float64 sum can hold but whose products with V overflow float32
    trainer = make_trainer("elman:hidden=4,activation=relu", "mse:outputs=2")
    parameters = trainer.engine.network.parameters
    parameters["head.V"].fill(1e25)
    parameters["layer0.b"].fill(1)
    assert_no_update(trainer, r"the gradient's norm is .* at update 1 .*first in layer0\.U.*lower the learning rate")


def test_a_gradient_whose_squares_overflow_float32_is_clipped_all_the_same():
    trainer = make_trainer("elman:hidden=4", "mse:outputs=2")
    trainer.engine.network.parameters["head.c"].fill(1e25)
    result = trainer.step(X, Y)
    assert 1e24 < result.gradient_norm < np.inf
    assert np.isfinite(trainer.engine.network.parameters.flat).all()


def test_a_training_that_diverges_ends_with_that_error():
    network = rf.Network(["elman:hidden=4,activation=identity"], "mse:outputs=2", INPUTS)
    trainer = rf.Trainer(rf.Engine(network), "sgd:lr=100")
    with pytest.raises(NonFiniteError):
        collections.deque((trainer.step(X, Y) for _ in range(1000)), maxlen=0)
    assert trainer.updates > 0
