"""A rank reads and makes its own samples of a batch alone: the values of the whole batch, and no row of the others."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from rank_groups import each_rank

import rnnframe as rf
from rnnframe.data.own_columns import OwnColumns
from rnnframe.plugin import Setting
from rnnframe.training.own_batches import OwnBatches, own_part

TASKS = {
    "characters": ("characters", "book.txt"),
    "bytes": ("bytes", "book.txt"),
    "rolls": ("rolls", "rolls.npz"),
    "classify": ("classify", "classes.jsonl"),
    "regress": ("regress", "numbers.jsonl"),
    "forecast": ("forecast:column=v,horizon=2", "series.csv"),
    "forecast, short series": ("forecast:column=v,id=name,horizon=2,missing=last", "panel.csv"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    rng = np.random.default_rng(0)
    (folder / "book.txt").write_text("it was the best of times, it was the worst of times " * 20)
    lengths = rng.integers(2, 9, 23)
    np.savez(folder / "rolls.npz", x=rng.random((int(lengths.sum()), 3)) < 0.5, lengths=lengths)
    rows = [{"x": rng.standard_normal((int(rng.integers(3, 9)), 2)).tolist()} for _ in range(31)]
    for name, target in (("classes", lambda n: "ab"[n % 2]), ("numbers", float)):
        lines = [json.dumps({**row, "y": target(n)}) for n, row in enumerate(rows)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    wave = np.sin(np.arange(160))
    (folder / "series.csv").write_text("v\n" + "".join(f"{value:.5f}\n" for value in wave))
    named = [(name, value) for name, count in (("a", 12), ("b", 40), ("c", 15)) for value in wave[:count]]
    (folder / "panel.csv").write_text("name,v\n" + "".join(f"{name},{value:.5f}\n" for name, value in named))
    return folder


class Watched:
    """An array, or the numbers of a file, that counts the rows that are read of it."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.rows = values, 0
        self.shape, self.dtype = getattr(values, "shape", (len(values),)), getattr(values, "dtype", None)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, key: object) -> np.ndarray:
        found = self.values[key]
        self.rows += found.size // math.prod(self.shape[1:])
        return found


def watched(data: rf.plugin.Dataset) -> Watched:
    """Have a dataset tell how many rows of its data are read."""
    holder, name = next(
        (getattr(data, holder), name)
        for holder, name in (
            ("train", "numbers"), ("rolls", "values"), ("sequences", "values"), ("learning", "read")
        )
        if hasattr(data, holder)
    )  # fmt: skip
    found = Watched(getattr(holder, name))
    object.__setattr__(holder, name, found)
    return found


@pytest.mark.parametrize(("case", "ranks"), [*((case, 4) for case in TASKS), ("rolls", 2)])
def test_ranks_make_the_samples_of_the_whole_batch_and_read_no_row_twice(case: str, ranks: int, folder: Path) -> None:
    task, file = TASKS[case]
    opened = rf.default_registry().task(task)
    setting = Setting(data=str(folder / file), batch=9, steps=10, held_out=0.2, seed=1)
    data = opened.open(setting)
    numbers = range(data.batches)

    def own(group):
        mine = opened.open(setting)
        network = rf.Network(["gru:hidden=3"], mine.head, mine.inputs)
        made = OwnBatches(mine, rf.Engine(network, shards=4, group=group, kernels="numpy"))
        counter = watched(mine)
        return [(made.batch(1, n), counter.rows) for n in numbers]

    found = each_rank(ranks, own)
    counter = watched(data)
    for n in numbers:
        whole, seen = data.batch(1, n), np.zeros(data.shape(n)[1], int)
        lengths = np.full(whole.samples, len(whole.x)) if whole.lengths is None else whole.lengths
        for batch, _ in (of_rank[n] for of_rank in found):
            assert isinstance(batch.x, OwnColumns)
            assert (batch.carry, batch.samples, batch.steps) == (whole.carry, whole.samples, whole.steps)
            assert np.array_equal(batch.lengths, whole.lengths) or batch.lengths is whole.lengths is None
            here = np.flatnonzero(batch.x.places >= 0)
            seen[here] += 1
            for sample in here:
                length, place = lengths[sample], batch.x.places[sample]
                assert batch.x.values[:length, place].tobytes() == whole.x[:length, sample].tobytes()
                if isinstance(batch.y, OwnColumns):
                    assert batch.y.values[:length, place].tobytes() == whole.y[:length, sample].tobytes()
                else:
                    assert batch.y[sample].tobytes() == whole.y[sample].tobytes()
            part = own_part(batch)
            assert part.samples == len(here)
            assert part.y.shape[1 if isinstance(batch.y, OwnColumns) else 0] == len(here)
        if whole.samples >= 4:
            assert (seen == 1).all()
    if all(data.shape(n)[1] >= 4 for n in numbers):  # no rank runs along
        assert sum(of_rank[-1][1] for of_rank in found) == counter.rows
    assert all(0 < of_rank[-1][1] < 0.75 * counter.rows for of_rank in found)


@pytest.mark.parametrize(
    ("case", "store"),
    [
        ("characters", "circular-queue:k1=4,k2=8"),
        ("rolls", "full-history"),
        ("forecast, short series", "circular-queue:k1=4,k2=8"),
    ],
)
def test_a_training_of_own_samples_has_the_bits_of_one_process(case: str, store: str, folder: Path) -> None:
    task, file = TASKS[case]

    def trained(group):
        options = rf.TrainingOptions(
            task=task, data=str(folder / file), batch=9, cell="gru:hidden=4", shards=4, epochs=1,
            store=store, rate="cosine:warmup=1", kernels="numpy", chunk=4, **({} if task == "rolls" else {"steps": 10}),
        )  # fmt: skip
        with rf.Training(options, group=group) as training:
            training.fit()
            now = training.progress
            return now.updates, now.valid_loss, training.model.network.parameters.flat.tobytes()

    (alone,) = each_rank(1, trained)
    for ranks in (2, 4):
        assert each_rank(ranks, trained) == [alone] * ranks


def test_a_batch_that_is_not_finite_is_told_with_its_place_by_every_rank(folder: Path) -> None:
    told = []

    def work(group):
        options = rf.TrainingOptions(
            task="classify", data=str(folder / "classes.jsonl"), batch=9, cell="elman:hidden=3", kernels="numpy"
        )
        with rf.Training(options, group=group) as training:
            training.trainer.engine.network.parameters["head.V"][...] = np.inf
            with pytest.raises(rf.errors.NonFiniteError) as error:
                training.fit()
            told.append(str(error.value))

    each_rank(2, work)
    assert len(set(told)) == 1
    assert "the parameters head.V" in told[0]


def test_columns_that_are_not_here_are_refused() -> None:
    here = OwnColumns(np.arange(12.0).reshape(4, 3, 1), np.array([-1, 0, 1, 2]), 4)
    assert here.shape == (4, 4, 1)
    assert here[1:3][:, slice(1, 3)].tolist() == [[[3.0], [4.0]], [[6.0], [7.0]]]
    assert here[:, np.array([3, 1])][0].tolist() == [[2.0], [0.0]]
    with pytest.raises(IndexError, match="not all among the 3"):
        here[:, slice(0, 2)]
    with pytest.raises(TypeError, match="3 of 4 columns are here"):
        np.asarray(here)
