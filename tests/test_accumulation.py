import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import NonFiniteError, OptionError


def trainer(accumulate: int = 1, store: str = "full-history", **options: object) -> rf.Trainer:
    network = rf.Network(["lstm:hidden=5", "elman:hidden=4"], "mse:outputs=2", 3, seed=1, dtype="float64")
    engine = rf.Engine(network, store, chunk=3)
    return rf.Trainer(engine, "sgd:lr=0.1", accumulate=accumulate, **options)


def batch(steps: int, samples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(steps, samples, 3)), rng.normal(size=(steps, samples, 2))


@pytest.mark.parametrize("store", ["full-history", "checkpoint:slots=1", "circular-queue:k1=40,k2=40"])
def test_parts_of_a_batch_one_after_the_other_make_the_update_of_the_whole(store: str) -> None:
    x, y = batch(7, 6, 0)
    whole, parts = trainer(clip=0.05), trainer(3, store, clip=0.05)
    for _ in range(2):
        whole.step(x, y)
        for columns in (slice(0, 1), slice(1, 4), slice(4, 6)):
            parts.step(x[:, columns], y[:, columns])
    assert parts.updates == whole.updates == 2
    found, expected = (t.engine.network.parameters.flat for t in (parts, whole))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    assert parts.last == pytest.approx(whole.last, rel=1e-12)


def test_every_loss_counts_once_however_long_the_sequences_are() -> None:
    accumulating, alone = trainer(2), trainer()
    results = [alone.engine.gradients(*batch(steps, 2, steps)) for steps in (4, 11)]
    mean = (results[0].gradients.flat * 8 + results[1].gradients.flat * 22) / 30
    expected = alone.engine.network.parameters.flat - 0.1 * mean
    for steps in (4, 11):
        accumulating.step(*batch(steps, 2, steps))
    np.testing.assert_allclose(accumulating.engine.network.parameters.flat, expected, rtol=1e-12, atol=1e-14)


def test_what_waits_at_the_end_is_not_lost() -> None:
    accumulating, alone = trainer(5), trainer()
    accumulating.step(*batch(6, 2, 0))
    assert accumulating.updates == 0
    accumulating.finish()
    alone.step(*batch(6, 2, 0))
    found, expected = (t.engine.network.parameters.flat for t in (accumulating, alone))
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-15)
    accumulating.finish()
    assert accumulating.updates == 1


def test_a_sequence_that_is_not_finite_is_left_out_of_the_sum() -> None:
    with_bad, without = trainer(2), trainer(2)
    x, y = batch(6, 2, 0)
    for steady in (with_bad, without):
        steady.step(x, y)
    with pytest.raises(NonFiniteError):
        with_bad.step(x, y * 1e200)
    for steady in (with_bad, without):
        steady.step(*batch(6, 2, 1))
    found, expected = (t.engine.network.parameters.flat for t in (with_bad, without))
    assert np.array_equal(found, expected)


def test_stores_that_update_after_every_window_are_refused() -> None:
    with pytest.raises(OptionError, match=r"accumulate=2 makes fewer updates .* store 'circular-queue' makes more"):
        trainer(2, "circular-queue:k1=2,k2=4").step(*batch(7, 2, 0))
    with pytest.raises(OptionError, match="accumulate=0 is out of range"):
        trainer(0)
