import copy
import pickle

import numpy as np
import pytest

import rnnframe as rf

COPIES = {"deepcopy": copy.deepcopy, "copy": copy.copy, "pickle": lambda thing: pickle.loads(pickle.dumps(thing))}


@pytest.mark.parametrize("way", COPIES)
def test_a_copied_vector_still_has_views_of_its_own_flat_vector(way: str) -> None:
    vector = rf.Network(cells=["gru:hidden=3"], head="mse:outputs=1", inputs=2).parameters
    twin = COPIES[way](vector)
    assert np.array_equal(twin.flat, vector.flat)
    twin.flat[:] = 7
    assert all((view == 7).all() for view in twin.values())
    assert not (vector.flat == 7).any()


@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copied_network_computes_the_same_and_is_trained_on_its_own(way: str) -> None:
    network = rf.Network(cells=["lstm:hidden=4", "gru:hidden=3"], head="softmax:classes=5", inputs=6, seed=3)
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, (20, 2)), rng.integers(0, 5, (20, 2))
    before = rf.Engine(network).gradients(x, y)
    twin = COPIES[way](network)
    assert np.array_equal(rf.Engine(twin).gradients(x, y).gradients.flat, before.gradients.flat)
    trainer = rf.Trainer(rf.Engine(twin), "sgd:lr=1")
    assert trainer.step(x, y).loss > trainer.step(x, y).loss
    assert np.array_equal(rf.Engine(network).gradients(x, y).gradients.flat, before.gradients.flat)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copied_inference_predicts_the_same_and_with_the_parameters_of_its_network(way: str, kernels: str) -> None:
    network = rf.Network(cells=["lstm:hidden=9"], head="mse:outputs=2", inputs=3, dtype="float64")
    x = np.random.default_rng(0).standard_normal((40, 5, 3))
    inference = rf.Inference(network, 7, kernels)
    wanted = inference.predict(x)[0]
    network_of_copy, copied = COPIES[way]((network, inference))
    assert np.array_equal(copied.predict(x)[0], wanted)
    network_of_copy.parameters.flat[:] *= 0.5
    assert np.array_equal(copied.predict(x)[0], rf.Inference(network_of_copy, 7, kernels).predict(x)[0])
    assert not np.array_equal(copied.predict(x)[0], wanted)


def test_what_is_assigned_to_the_flat_vector_is_written_into_it() -> None:
    parameters = rf.Network(cells=["elman:hidden=2"], head="mse:outputs=1", inputs=2).parameters
    parameters.flat = np.arange(parameters.flat.size)
    assert parameters["layer0.U"].ravel().tolist() == [0, 1, 2, 3]
    parameters.flat *= 2
    assert parameters["layer0.U"].ravel().tolist() == [0, 2, 4, 6]
