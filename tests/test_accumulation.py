from pathlib import Path

import numpy as np
import pytest
from rank_groups import each_rank

import rnnframe as rf
from rnnframe.errors import NonFiniteError, OptionError, RunError
from rnnframe.runs.folder import RunFolder
from rnnframe.training.accumulation import Accumulation
from rnnframe.training.groups import ParameterGroup


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


def counted(group: rf.Engine | None, sizes: list[int], cell: str):
    """Return how often gradients were added up over ranks, and the bits of a training that accumulates 3 batches."""
    network = rf.Network([cell], "mse:outputs=2", 3, seed=1)
    engine = rf.Engine(network, shards=4, chunk=3, seed=2, group=group, kernels="numpy")
    trainer = rf.Trainer(engine, "adam:lr=1e-2", 0.05, accumulate=3, groups=[ParameterGroup("*.bn", freeze=True)])
    reductions, summed = [], None if group is None else group.sum
    if group is not None:
        group.sum = lambda *given: (reductions.append(trainer.updates), summed(*given))
    seen = []
    for number, samples in enumerate(sizes):
        x, y = (values.astype(np.float32) for values in batch(5, samples, number))
        result = trainer.step(x, y)
        seen += [result.loss, result.count, result.gradient_norm]
    trainer.finish()
    return reductions, (seen, network.parameters.flat.tobytes(), trainer.slots.flat.tobytes(), trainer.updates)


@pytest.mark.parametrize("sizes", [[8, 8, 8, 8, 8], [9, 1, 3, 2, 1, 1, 7]])
@pytest.mark.parametrize("cell", ["gru:hidden=4,weight_drop=0.3", "bidirectional(gru:hidden=3,weight_drop=0.3)"])
def test_ranks_add_gradients_up_once_an_update_with_the_bits_of_one_process(sizes, cell) -> None:
    _, alone = counted(None, sizes, cell)
    for ranks in (2, 4):
        for reductions, found in each_rank(ranks, lambda group: counted(group, sizes, cell)):
            assert found == alone
            assert reductions == list(range(-(-len(sizes) // 3)))  # once before each update


def overflowing(group):
    """Return a trainer and a batch with a finite loss, whose gradient overflows for the last samples alone."""
    network = rf.Network(["elman:hidden=2"], "mse:outputs=1", 1, seed=1)
    network.parameters["layer0.U"][...] = 1e-39
    trainer = rf.Trainer(rf.Engine(network, shards=4, group=group, kernels="numpy"), "sgd:lr=0.1", accumulate=2)
    x, y = np.ones((30, 8, 1), np.float32), np.ones((30, 8, 1), np.float32)
    large = x.copy()
    large[:, 6:] = 3e38
    return trainer, x, large, y * 5


def test_a_gradient_that_overflows_on_one_rank_is_left_out_by_all() -> None:
    def work(group):
        trainer, x, large, y = overflowing(group)
        trainer.step(x, y)
        with pytest.raises(NonFiniteError, match=r"norm is (inf|nan) in a batch that is accumulated .* in layer0.U"):
            trainer.step(large, y)
        trainer.step(x, 2 * y)
        return trainer.updates, trainer.engine.network.parameters.flat.tobytes()

    def without():
        trainer, x, _, y = overflowing(None)
        trainer.step(x, y)
        trainer.step(x, 2 * y)
        return trainer.updates, trainer.engine.network.parameters.flat.tobytes()

    assert each_rank(2, work) == [without()] * 2


def test_a_run_that_stops_within_an_update_goes_on_with_any_number_of_ranks(tmp_path: Path) -> None:
    def trained(folder: str, ranks: int, stop: int | None):
        def work(group):
            path, run = tmp_path / folder, None
            if group.rank == 0:
                run = RunFolder.resume(path) if path.exists() else RunFolder.fresh(path)
            options = rf.TrainingOptions(
                task="adding:length=5,samples=36,judged=4", cell="gru:hidden=3", batch=4, epochs=2, shards=4,
                accumulate=4, kernels="numpy",
            )  # fmt: skip
            with rf.Training(options, group=group, run=run) as training:
                training.fit(lambda: training.number == stop)
                return training.trainer.updates, training.model.network.parameters.flat.tobytes()

        return each_rank(ranks, work)

    whole = trained("whole", 1, None)[0]
    for name, begun, gone_on in (("fewer", 4, 2), ("more", 1, 4), ("one", 2, 1)):
        trained(name, begun, 6)
        assert trained(name, gone_on, None) == [whole] * gone_on


def test_sums_that_wait_in_a_checkpoint_are_checked() -> None:
    waiting = trainer(3).accumulation
    x, y = batch(6, 2, 0)
    (only,) = [name for name in waiting._shapes if name == "layer0.b"]
    with pytest.raises(RunError, match="of other parts than it has"):
        waiting.put_back({f"1/{only}": x}, 1, 2.0, 3.0, "the checkpoint")
    steady = trainer(3)
    steady.step(x, y)
    assert isinstance(steady.accumulation, Accumulation)
    saved = {name: array.copy() for name, array in steady.accumulation.described().items()}
    one_sum = {name.removeprefix("0/"): array for name, array in saved.items() if name.startswith("0/")}
    waiting.put_back(one_sum, 1, 2.0, 3.0, "the checkpoint")  # as earlier versions wrote it
    assert np.array_equal(waiting.parts[0].flat, steady.accumulation.parts[0].flat)
