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


STORES = ["full-history", "checkpoint:slots=2", "circular-queue:k1=5,k2=10,weights=stored"]


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("way", COPIES)
def test_a_copied_engine_that_has_run_computes_the_same_bits(way: str, shards: int, store: str, kernels: str) -> None:
    engine = rf.Engine(network(), store, 5, shards, kernels=kernels)
    x, y = sequence(40)
    wanted = engine.gradients(x, y)
    engine.predict(x)
    twin = COPIES[way](engine)
    found = twin.gradients(x, y)
    assert found.loss == wanted.loss
    assert np.array_equal(found.gradients.flat, wanted.gradients.flat)
    assert twin.running.kernels == engine.running.kernels
    assert np.array_equal(engine.gradients(x, y).gradients.flat, wanted.gradients.flat)


@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("way", ["deepcopy", "pickle"])
def test_a_copied_trainer_goes_on_with_the_same_bits_and_leaves_the_other_alone(
    way: str, shards: int, accumulate: int, kernels: str
) -> None:
    def trainer() -> rf.Trainer:
        engine = rf.Engine(network(), "checkpoint:slots=2", 5, shards, kernels=kernels)
        return rf.Trainer(engine, "adam:lr=1e-2", clip=1.0, rate="cosine:updates=20", accumulate=accumulate)

    whole, first = trainer(), trainer()
    x, y = sequence(40)
    for each in (whole, first):
        for _ in range(4):
            each.step(x, y)
    twin = COPIES[way](first)
    for _ in range(5):
        whole.step(x, y)
        twin.step(x, y)
    wanted, found = whole.engine.network.parameters, twin.engine.network.parameters
    assert np.array_equal(found.flat, wanted.flat)
    assert twin.updates == whole.updates > first.updates
    assert not np.array_equal(first.engine.network.parameters.flat, wanted.flat)


def test_a_copied_engine_takes_no_buffers_along() -> None:
    engine = rf.Engine(network(), "full-history", shards=2)
    before = len(pickle.dumps(engine))
    engine.gradients(*sequence(2000))
    assert len(pickle.dumps(engine)) == before


def network() -> rf.Network:
    return rf.Network(cells=["lstm:hidden=9", "gru:hidden=5"], head="mse:outputs=2", inputs=3, seed=1)


def sequence(steps: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((steps, 8, 3)).astype("f"), rng.standard_normal((steps, 8, 2)).astype("f")


def test_what_is_assigned_to_the_flat_vector_is_written_into_it() -> None:
    parameters = rf.Network(cells=["elman:hidden=2"], head="mse:outputs=1", inputs=2).parameters
    parameters.flat = np.arange(parameters.flat.size)
    assert parameters["layer0.U"].ravel().tolist() == [0, 1, 2, 3]
    parameters.flat *= 2
    assert parameters["layer0.U"].ravel().tolist() == [0, 2, 4, 6]
