"""Every task that rnnframe brings goes through the suite that third parties use, on small files made here."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

import rnnframe as rf
from rnnframe.plugin import Dataset, Examples, Setting, Task
from rnnframe.testing import TaskTests, check_task, run

STEPS = np.arange(90)
SLOPES = np.array([np.arange(6.0) * (1 - 2 * (n % 2)) for n in range(11)])[..., None]


@pytest.fixture(scope="module", autouse=True)
def _files(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("data")
    (folder / "text.txt").write_text("abc, abcd; " * 40)
    (folder / "series.csv").write_text("v\n" + "".join(f"{value:.5f}\n" for value in np.sin(STEPS)))
    lengths = np.arange(11) % 4 + 2
    np.savez(folder / "slopes.npz", x=SLOPES, y=np.arange(11) % 2, lengths=lengths)
    np.savez(folder / "rolls.npz", x=SLOPES > 0, lengths=lengths)
    for suite in TaskTests.__subclasses__():
        if suite.__module__ == __name__ and suite.setting.data is not None:
            suite.setting = attrs.evolve(suite.setting, data=str(folder / Path(suite.setting.data).name))


def small(data: str | None = None, **setting: Any) -> Setting:
    return Setting(**{"data": data, "batch": 4, "steps": 7, "held_out": 0.2, "seed": 1, **setting})


class TestCharacters(TaskTests):
    task = "characters"
    setting = small("text.txt")


class TestBytes(TaskTests):
    task = "bytes"
    setting = small("text.txt")


needs_tokenizers = pytest.mark.skipif(find_spec("tokenizers") is None, reason="tokenizers is not installed")


@needs_tokenizers
class TestWords(TaskTests):
    task = "words:size=300"
    setting = small("text.txt")


@needs_tokenizers
class TestSubwords(TaskTests):
    task = "subwords:size=300"
    setting = small("text.txt")


class TestForecast(TaskTests):
    task = "forecast:horizon=3,season=6,difference=2,stride=3"
    setting = small("series.csv")


class TestClassify(TaskTests):
    task = "classify"
    setting = small("slopes.npz")


class TestRegress(TaskTests):
    task = "regress"
    setting = small("slopes.npz")


class TestRolls(TaskTests):
    task = "rolls"
    setting = small("rolls.npz")


class TestAdding(TaskTests):
    task = "adding:length=9,samples=13,judged=5"
    setting = small()


class TestCopy(TaskTests):
    task = "copy:delay=5,length=2,samples=13,judged=5"
    setting = small()


def test_every_task_that_rnnframe_brings_goes_through_the_suite() -> None:
    registry = rf.default_registry()
    brought = {n for n in registry.names("task") if registry.owner("task", n).distribution == "rnnframe"}
    suites = [suite for suite in TaskTests.__subclasses__() if suite.__module__ == __name__]
    assert {suite.task.partition(":")[0] for suite in suites} == brought


# What the suite must find: tasks that are right but for one thing.


@attrs.frozen(kw_only=True, eq=False)
class Held(Examples):
    size: int = 4

    def batches(self):
        if self.size:
            yield rf.Batch(np.zeros((3, self.size), int), np.zeros((3, self.size), int))

    def measure(self, predicted):
        return {"share": float(np.mean([each.outputs.mean() for each in predicted]))}

    def table(self, predicted):
        for each in predicted:
            yield {"p": each.outputs[0, :, 0], "q": each.outputs[0, :, 1]}


@attrs.frozen(kw_only=True, eq=False)
class Zeros(Dataset):
    inputs: int = 2
    looked_up: bool = True
    head: str = "softmax:classes=2"
    digest: str = "zeros"
    learnt: Any = attrs.Factory(lambda: Task.learns())
    valid: Examples = attrs.Factory(lambda: Held(name="held"))
    batches = 5

    def shape(self, number):
        return 3, 4

    def batch(self, epoch, number):
        x = np.random.default_rng([epoch, number]).integers(0, 2, (3, 4))
        return rf.Batch(x, x, carry=number > 0)


@attrs.frozen(kw_only=True)
class Right(Task):
    name = "right"
    unit = "nats/step"
    data: Any = attrs.field(factory=Zeros, eq=False, repr=False)

    def open(self, setting):
        return self.data

    def examples(self, data, learnt, batch):
        return self.data.valid


class Restless(Zeros):
    def batch(self, epoch, number):
        x = np.random.default_rng().integers(0, 2, (3, 4))
        return rf.Batch(x, x)


class Larger(Zeros):
    def batch(self, epoch, number):
        return rf.Batch(np.zeros((3, 5), int), np.zeros((3, 5), int))


class Disordered(Zeros):
    def columns(self, epoch, number, choose):
        batch = self.batch(epoch, number)
        chosen = np.sort(choose(batch.samples, None))
        return rf.Batch(batch.x[:, chosen], batch.y[:, chosen], carry=batch.carry)


class Unasked(Zeros):
    def columns(self, epoch, number, choose):
        return self.batch(epoch, number)


class Stranger(Zeros):
    def batch(self, epoch, number):
        return rf.Batch(np.full((3, 4), 2), np.zeros((3, 4), int))


class Aimless(Zeros):
    def batch(self, epoch, number):
        return rf.Batch(np.zeros((3, 4), int), None)


class Ragged(Held):
    def table(self, predicted):
        for each in predicted:
            yield {"p": each.outputs[0, :, 0], "q": each.outputs[0, 1:, 1]}


class Boundless(Held):
    def measure(self, predicted):
        return {"share": float("nan")}


class Restive(Held):
    def batches(self):
        x = np.random.default_rng().integers(0, 2, (30, 4))
        yield rf.Batch(x, x)


@attrs.frozen
class Learnt:
    words: tuple[str, ...] = ("a",)


WRONG = {
    "a_batch_is_the_same_whenever_it_is_asked_for": Restless(),
    "a_batch_has_the_shape_that_was_announced": Larger(),
    "some_samples_of_a_batch_are_those_of_the_whole": Disordered(),
    "some_samples_of_a_batch_are_those_of_the_whole, unasked": Unasked(),
    "a_network_learns_from_every_batch": Stranger(),
    "a_network_learns_from_every_batch, aimless": Aimless(),
    "what_is_held_out_is_always_the_same": Zeros(valid=Restive(name="restive")),
    "what_is_held_out_is_always_the_same, nothing": Zeros(valid=Held(name="held", size=0)),
    "the_held_out_part_is_judged": Zeros(valid=Boundless(name="boundless")),
    "predictions_are_pieces_of_one_table": Zeros(valid=Ragged(name="ragged")),
    "what_is_learnt_comes_back_from_a_file": Zeros(learnt=Learnt()),
    "the_digest_is_the_same_for_the_same_data": Zeros(digest=3),
}


def failures(task: Task) -> dict[str, str]:
    """Return the checks that a task fails, with their messages; its option is an object here, which no spec makes."""
    body = {"task": task, "test_the_options_written_down_make_an_equal_object": None}
    report = run(type("Checked", (TaskTests,), body)())
    return {outcome.check.removeprefix("test_"): outcome.message for outcome in report.failed}


def test_a_task_that_is_right_passes() -> None:
    assert failures(Right()) == {}


@pytest.mark.parametrize("fault", WRONG)
def test_a_task_with_a_fault_fails_in_the_check_for_it(fault: str) -> None:
    assert fault.partition(",")[0] in failures(Right(data=WRONG[fault]))


def test_what_is_learnt_as_a_list_where_a_tuple_was_is_told() -> None:
    @attrs.frozen(kw_only=True)
    class Listed(Right):
        learns = Learnt

    found = failures(Listed(data=Zeros(learnt=Learnt())))
    assert list(found) == ["what_is_learnt_comes_back_from_a_file"]
    assert "let its fields be texts, numbers and lists of them, with converters" in found.popitem()[1]


def test_a_task_is_checked_without_pytest() -> None:
    report = check_task("adding:length=9,samples=13,judged=5")
    assert report.passed
    assert len(report.outcomes) == 12
