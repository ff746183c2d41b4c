"""A schedule ends with the training, whatever the store, the head and the shapes are: against counted updates."""

import math
from typing import ClassVar

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.contracts.task import NothingLearnt
from rnnframe.errors import OptionError
from rnnframe.plugin import Dataset, Examples, Task
from rnnframe.training.course import Course

T, B, N, EPOCHS = 20, 3, 4, 2
QUEUE = "circular-queue:k1=5,k2=10"


@attrs.frozen(kw_only=True, eq=False)
class Held(Examples):
    data: "Made"

    def batches(self):
        yield self.data.batch(9, 0)

    def table(self, predicted):
        yield {}


@attrs.frozen(kw_only=True, eq=False)
class Made(Dataset):
    at: str = "every"
    steps: tuple[int, ...] = (T,) * N
    weights: str = "none"
    lengths: bool = False
    spikes: tuple[int, ...] = ()

    @property
    def batches(self):
        return len(self.steps)

    def shape(self, number):
        return self.steps[number], B

    def batch(self, epoch, number):
        rng, steps = np.random.default_rng([epoch, number]), self.steps[number]
        lead = (B,) if self.at == "last" else (steps, B)
        y = rng.normal(size=(*lead, 1)) * (1e300 if number in self.spikes else 1)
        weights = None
        if self.weights != "none":
            weights = np.zeros(lead)
            weights[{"end": slice(-3, None), "middle": slice(6, 13)}[self.weights]] = 1
        lengths = rng.integers(1, steps + 1, B) if self.lengths else None
        return rf.Batch(rng.normal(size=(steps, B, 2)), y, lengths, weights=weights)


@attrs.frozen(kw_only=True)
class Own(Task):
    name: ClassVar[str] = "own"
    unit: ClassVar[str] = "error"
    takes: ClassVar[tuple[str, ...]] = ()

    def open(self, setting):
        raise NotImplementedError

    def examples(self, data, learnt, batch):
        raise NotImplementedError


def made(at: str = "every", **options: object) -> Made:
    valid = Held(name="held", data=Made(inputs=2, head="mse", learnt=None, digest="", valid=None, at=at))
    return Made(inputs=2, head=f"mse:at={at}", learnt=NothingLearnt(), digest="m", valid=valid, at=at, **options)


def rates_of(data: Made, store: str, **options: object) -> tuple[list[float], rf.Training]:
    """Train, and return the factor of the learning rate at every update that was really made."""
    chosen = {"cell": "elman:hidden=3", "optimizer": "sgd:lr=1e-3", "epochs": EPOCHS, "dtype": "float64", "chunk": 5}
    training = rf.Training(
        rf.TrainingOptions(**{**chosen, "rate": "linear", "store": store, **options}), task=Own(), data=data
    )
    rates: list[float] = []
    schedule = training.trainer.rate

    class Listening(type(schedule)):
        def factor(self, update, share=None):
            rates.append(super().factor(update, share))
            return rates[-1]

    training.trainer.rate = Listening(**attrs.asdict(schedule))
    training.fit()
    assert training.trainer.updates == len(rates) or data.spikes
    return rates, training


EQUAL = {
    "exact": (made(), "full-history", {}, N),
    "exact, last": (made("last"), "checkpoint:slots=1", {}, N),
    "windows": (made(), QUEUE, {}, 4 * N),
    "windows of other lengths": (made(steps=(20, 20, 13, 3)), QUEUE, {}, 4 + 4 + 3 + 1),
    "windows, last": (made("last"), QUEUE, {}, N),
    "losses at the end alone": (made(weights="end"), QUEUE, {}, N),
    "losses in two windows": (made(weights="middle"), QUEUE, {}, 2 * N),
    "two batches an update": (made(), "full-history", {"accumulate": 2}, N // 2),
    "an update left over": (made(steps=(T,) * 5), "full-history", {"accumulate": 2}, 3),
    "two batches an update, last": (made("last"), QUEUE, {"accumulate": 2}, N // 2),
    "two batches, losses at the end alone": (made(weights="end"), QUEUE, {"accumulate": 2}, N // 2),
    "lengths, exact": (made("last", lengths=True), "full-history", {}, N),
}


@pytest.mark.parametrize("name", EQUAL)
def test_a_straight_fall_takes_equal_steps_over_the_updates_that_are_made(name):
    data, store, options, of_epoch = EQUAL[name]
    updates = EPOCHS * of_epoch
    rates, _ = rates_of(data, store, **options)
    assert rates == pytest.approx([1 - u / updates for u in range(updates)], abs=1e-12)


@pytest.mark.parametrize("warmup", [1, 3, 7])
@pytest.mark.parametrize("name", ["exact", "windows", "windows, last", "losses in two windows", "an update left over"])
def test_behind_the_warm_up_the_fall_takes_the_rest(name, warmup):
    data, store, options, of_epoch = EQUAL[name]
    rest = EPOCHS * of_epoch - warmup
    if rest < 1:
        pytest.skip("nothing is left behind the warm-up")
    rates, _ = rates_of(data, store, rate=f"cosine:warmup={warmup},floor=0.2", **options)
    rise = [(u + 1) / (warmup + 1) for u in range(warmup)]
    fall = [0.2 + 0.8 * (1 + math.cos(math.pi * u / rest)) / 2 for u in range(rest)]
    assert rates == pytest.approx([*rise, *fall], abs=1e-12)


@pytest.mark.parametrize("at", ["every", "last"])
@pytest.mark.parametrize("spikes", [(), (0, 2)])
def test_lengths_and_skipped_batches_leave_a_fall_from_one_to_the_end(at, spikes):
    data = made(at, lengths=True, spikes=spikes, steps=(T,) * 6)
    rates, training = rates_of(data, QUEUE, on_nonfinite="skip")
    assert training.progress.skipped == EPOCHS * len(spikes)
    assert rates[0] == 1
    made_rates = sorted(set(rates), reverse=True)
    assert made_rates == list(dict.fromkeys(rates))  # it never rises
    batches = EPOCHS * data.batches
    assert 0 < rates[-1] <= 1 / batches
    course = training.trainer.course
    assert course.gathered_from == pytest.approx(EPOCHS * course.starts[-1], abs=1e-12)


def test_updates_inside_a_batch_are_refused_where_batches_are_accumulated_and_nowhere_else():
    for data in (made(), made(weights="middle"), made("last", lengths=True)):
        with pytest.raises(OptionError, match="accumulate=2 makes fewer updates than one a sequence"):
            rates_of(data, QUEUE, accumulate=2)
    for name in ("two batches an update, last", "two batches, losses at the end alone"):
        data, store, options, of_epoch = EQUAL[name]
        assert len(rates_of(data, store, **options)[0]) == EPOCHS * of_epoch


def test_ignored_targets_are_no_losses():
    network = rf.Network(["elman:hidden=3"], "softmax:classes=4,ignore=-1", 2)
    trainer = rf.Trainer(rf.Engine(network, QUEUE), "sgd", accumulate=2)
    x, y = np.ones((20, 2, 2)), np.full((20, 2), -1)
    y[-2:] = 1
    trainer.step(x, y)
    y[7] = 1
    with pytest.raises(OptionError, match="accumulate=2"):
        trainer.step(x, y)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("at", ["every", "last"])
def test_gaps_and_weights_in_lists_are_no_losses(wide, at):
    network = rf.Network(["elman:hidden=3"], f"mse:gaps=ignore,at={at}", 2)
    trainer = rf.Trainer(rf.Engine(network, QUEUE), "sgd", accumulate=2)
    y = np.full((20, 3) if at == "every" else 3, np.nan)
    y[-2:] = 1
    y, weights = y[..., None] if wide else y, [1.0, 0.0, 2.0]
    trainer.step(np.ones((20, 3, 2)), y, lengths=[20, 20, 18], weights=weights)
    assert trainer.updates == 0


def test_streams_are_divided_as_planned():
    network = rf.Network(["elman:hidden=3"], "mse", 2)
    trainer = rf.Trainer(rf.Engine(network, QUEUE), "sgd:lr=1", rate="linear")
    trainer.course = Course(starts=(0, 4), epochs=1)
    trainer.course.begin(0, 0, waiting=False)
    trainer.step(iter([(np.ones((20, 2, 2)), np.ones((20, 2, 1)))]), None)
    assert trainer.updates == 4
    assert trainer.last[1] == pytest.approx(1 / 4)


@pytest.mark.parametrize("rate", ["linear", "cosine:warmup=3", "linear:warmup=6"])
@pytest.mark.parametrize("name", ["windows", "losses in two windows", "two batches an update, last"])
@pytest.mark.parametrize("stop", [1, 3, 6])
def test_a_resumed_training_has_the_same_rates_bit_for_bit(tmp_path, name, rate, stop):
    data, store, options, _ = EQUAL[name]
    chosen = rf.TrainingOptions(
        cell="elman:hidden=3", optimizer="adam:lr=1e-2", epochs=EPOCHS, rate=rate, store=store, chunk=5, **options
    )
    parameters = []
    for run, first in (("whole", None), ("run", stop)):
        with rf.Training(chosen, task=Own(), data=data, run=tmp_path / run) as training:
            training.fit(lambda first=first, training=training: training.number == first)
        if first is not None:
            with rf.Training.resume(tmp_path / run, task=Own(), data=data) as training:
                training.fit()
        parameters.append(training.model.network.parameters.flat.copy())
        assert training.trainer.updates > 3
    assert np.array_equal(*parameters)


def test_the_rate_of_a_long_memory_task_ends_near_zero(tmp_path):
    """Two hundred updates, of which only those at the ends of sequences carry a loss: 1 - 199/200 at the last one."""
    options = rf.TrainingOptions(
        task="adding:length=60,samples=2000",
        cell="gru:hidden=8",
        batch=20,
        epochs=2,
        rate="linear",
        optimizer="adam:lr=1",
        store="circular-queue:k1=6,k2=60",
    )
    training = rf.Training(options)
    training.fit()
    assert training.trainer.updates == 200
    assert training.trainer.last[1] == pytest.approx(1 - 199 / 200, rel=1e-12)
