import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import DataError, OptionError
from rnnframe.plugin import Setting
from rnnframe.training.non_finite import first_non_finite
from rnnframe.training.options import TrainingOptions
from rnnframe.training.session import Training
from rnnframe_tasks.adding import GUESSING
from rnnframe_tasks.made import BLOCK

LENGTHS = st.integers(2, 40) | st.integers(BLOCK - 2, 2 * BLOCK + 5)


def first_batch(spec: str, **setting: int) -> rf.Batch:
    return rf.task(spec).open(Setting(**setting)).batch(0, 0)


@given(LENGTHS, st.integers(1, 5), st.integers(0, 9))
def test_the_target_of_adding_is_the_sum_of_the_two_marked_numbers(length: int, batch: int, seed: int) -> None:
    made = first_batch(f"adding:length={length}", batch=batch, seed=seed)
    x = made.x[0:length]
    assert x.shape == made.x.shape == (length, batch, 2)
    assert np.array_equal(x[..., 1].sum(axis=0), np.full(batch, 2))
    assert np.array_equal(x[: length // 2, :, 1].sum(axis=0), np.ones(batch))
    assert np.allclose((x[..., 0] * x[..., 1]).sum(axis=0), made.y)


@given(st.integers(1, 60), st.integers(1, 12), st.integers(2, 9), st.integers(1, 5))
def test_copy_asks_for_the_symbols_after_the_mark(delay: int, length: int, symbols: int, batch: int) -> None:
    made = first_batch(f"copy:delay={delay},length={length},symbols={symbols}", batch=batch)
    x, y = made.x[0 : made.x.shape[0]], made.y[0 : made.y.shape[0]]
    assert x.shape == y.shape == (delay + 2 * length, batch)
    assert np.array_equal(y[-length:], x[:length])
    assert not y[:-length].any()
    assert x[:length].min() >= 1
    assert x[:length].max() <= symbols
    assert np.array_equal(x[length + delay - 1], np.full(batch, symbols + 1))
    assert np.count_nonzero(x[length:]) == batch


@pytest.mark.parametrize("spec", [f"adding:length={2 * BLOCK + 7}", f"copy:delay={2 * BLOCK}"])
@given(data=st.data())
def test_what_is_made_does_not_depend_on_how_it_is_sliced(spec: str, data: st.DataObject) -> None:
    made = first_batch(spec, batch=3).x
    length = made.shape[0]
    cuts = sorted({0, length, *data.draw(st.lists(st.integers(0, length), max_size=4))})
    pieces = [made[start:stop] for start, stop in itertools.pairwise(cuts)]
    assert np.array_equal(np.concatenate(pieces), made[0:length])


@pytest.mark.parametrize("spec", ["adding", "copy"])
def test_every_batch_of_every_epoch_has_samples_of_its_own_and_always_the_same(spec: str) -> None:
    data = rf.task(f"{spec}:samples=8,judged=8").open(Setting(batch=4, seed=1))
    places = [(epoch, number) for epoch in range(2) for number in range(data.batches)]
    made = [data.batch(*place).x for place in places] + [batch.x for batch in data.valid.batches()]
    seen = {x[0 : x.shape[0]].tobytes() for x in made}
    assert len(seen) == len(made) == 6
    again = data.batch(1, 1).x
    assert np.array_equal(again[0 : again.shape[0]], made[3][0 : again.shape[0]])
    other = rf.task(spec).open(Setting(batch=4, seed=2)).batch(0, 0).x
    assert not np.array_equal(other[0 : other.shape[0]], made[0][0 : other.shape[0]])


def test_a_long_sequence_is_never_there_as_a_whole() -> None:
    length, batch = 60_000, 4
    data = rf.task(f"adding:length={length}").open(Setting(batch=batch))
    network = rf.Network(["gru:hidden=2"], data.head, data.inputs)
    engine = rf.Engine(network)
    engine.evaluate(np.zeros((8, batch, 2)), np.zeros(batch))
    tracemalloc.start()
    made = data.batch(0, 0)
    engine.evaluate(made.x, made.y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < length * batch * 2 * 4 / 4


def trained(spec: str, **options: object) -> Training:
    training = Training(TrainingOptions(task=spec, shards=1, **options))
    assert training.fit()
    return training


def test_adding_is_learnt_better_than_by_guessing() -> None:
    options = {"cell": "lstm:hidden=32", "batch": 50, "epochs": 4, "optimizer": "adam:lr=1e-2", "rate": "constant"}
    progress = trained("adding:length=20,samples=6000", **options).progress
    assert progress.measures == {"guessing": GUESSING}
    assert progress.valid_loss is not None
    assert progress.valid_loss < GUESSING / 4


def test_copying_is_learnt_better_than_by_guessing() -> None:
    options = {"cell": "lstm:hidden=48", "batch": 50, "epochs": 6, "optimizer": "adam:lr=1e-2", "rate": "constant"}
    progress = trained("copy:delay=5,length=3,symbols=4,samples=5000", **options).progress
    assert progress.valid_loss is not None
    assert progress.valid_loss < progress.measures["guessing"] / 4
    assert progress.measures["repeated"] > 0.9


@pytest.mark.parametrize("spec", ["adding", "copy"])
def test_there_is_no_file_to_evaluate_on(spec: str) -> None:
    task = rf.task(spec)
    with pytest.raises(DataError, match=f"task '{spec}' makes its own data and takes no file such as 'a.npz'"):
        task.examples("a.npz", task.learns(), 1)


@pytest.mark.parametrize(("option", "value"), [("data", "a.npz"), ("steps", 9), ("held_out", 0.5)])
def test_an_option_that_means_nothing_to_a_task_is_refused(option: str, value: object) -> None:
    options = TrainingOptions(task="adding", **{option: value})
    flag = "--" + option.replace("_", "-")
    with pytest.raises(OptionError, match=rf"task 'adding' takes no {flag} \({value}\); leave it out"):
        options.setting(rf.task("adding"))


@pytest.mark.parametrize("task", ["adding:length=20,samples=100", "copy:delay=5,length=2,samples=100"])
def test_a_loss_that_is_not_finite_on_made_data_is_told_as_such(task: str) -> None:
    data = rf.task(task).open(Setting(batch=4))
    made = data.batch(0, 0)
    assert len(made.x) == made.x.shape[0]
    network = rf.Network(["gru:hidden=3"], data.head, data.inputs)
    network.parameters["head.V"].fill(np.nan)
    assert first_non_finite(network, made, None) == "the parameters head.V, before any step"
    network.parameters["head.V"].fill(0)
    assert "reverse sweep" in first_non_finite(network, made, None)


def test_the_marks_of_adding_do_not_follow_from_the_numbers() -> None:
    batches = [
        next(iter(rf.task("adding:length=40").open(Setting(batch=320, seed=n)).valid.batches())) for n in range(5)
    ]
    read = np.concatenate([each.x[0:40] for each in batches], axis=1)
    for mark in (read[:20, :, 1].argmax(axis=0), read[20:, :, 1].argmax(axis=0)):
        strongest = max(abs(np.corrcoef(numbers, mark)[0, 1]) for numbers in read[..., 0])
        assert strongest < 0.15
