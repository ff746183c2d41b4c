"""The losses of examples/plugins through every command: checked, trained with, resumed, judged and predicted by."""

import json
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnframe.cli import main

pytestmark = pytest.mark.usefixtures("everything_compiled", "numpy_where_numba_is_missing")
EXAMPLES = Path(__file__).parent.parent / "examples" / "plugins"
STEPS, BATCH = 12, 8
TASK = '''"""y = x + noise, and one y in twenty far away; the head is an option."""

from typing import ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Batch, Dataset, Examples, Task


@attrs.frozen(kw_only=True, eq=False)
class Readings(Examples):
    given: tuple[Batch, ...]

    def batches(self):
        yield from self.given

    def measure(self, predicted):
        return {"columns": float(next(iter(predicted)).outputs.shape[2])}

    def table(self, predicted):
        for each in predicted:
            rows = each.outputs.reshape(-1, each.outputs.shape[2])
            yield {f"output{n}": column for n, column in enumerate(rows.T)}


@attrs.frozen(kw_only=True, eq=False)
class Made(Dataset):
    batches = 150

    def shape(self, number):
        return 12, 8

    def batch(self, epoch, number):
        return made([1, epoch, number])


@attrs.frozen(kw_only=True)
class Noisy(Task):
    name: ClassVar[str] = "noisy"
    unit: ClassVar[str] = "loss/step"
    takes: ClassVar[tuple[str, ...]] = ()
    head: str = "quantile:columns=1"

    def open(self, setting):
        valid = Readings(name="made readings", given=(made([0, 0]), made([0, 1])))
        return Made(inputs=1, head=self.head, learnt=self.learns(), digest="noisy", valid=valid)

    def examples(self, data, learnt, batch):
        return Readings(name=data, given=(Batch(np.load(data), None),))


def made(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (12, 8, 1))
    return Batch(x, x + rng.uniform(-1, 1, x.shape) + 8 * (rng.uniform(size=x.shape) > 0.95))
'''
Typed = Callable[..., str]


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Return what types a command that knows both losses and the task, all in a folder without the repository."""
    for name in ("quantile.py", "huber.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    (tmp_path / "noisy.py").write_text(TASK)
    np.save(tmp_path / "x.npy", np.random.default_rng(5).uniform(-1, 1, (STEPS, BATCH, 1)))
    monkeypatch.chdir(tmp_path)
    plugins = [word for name in ("quantile.py", "huber.py", "noisy.py") for word in ("--plugin", name)]

    def run(*words: object, said: str = "") -> str:
        monkeypatch.setattr(sys, "argv", ["rnnframe", *plugins, *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        assert (stop.value.code, captured.err[: len(said)]) == (0, said), captured.err
        assert bool(captured.err) == bool(said)
        return captured.out

    return run


def words_for(head: str, out: str) -> tuple[object, ...]:
    small = ("--cell", "gru:hidden=6", "--optimizer", "adam:lr=2e-2", "--epochs", 2, "--chunk", 5, "--quiet")
    return ("train", "--task", f"noisy:head={head}", *small, "--out", out)


def predicted(typed: Typed, run: str) -> dict[str, np.ndarray]:
    """Return the columns that `predict` writes for x.npy."""
    typed("predict", run, "--data", "x.npy", "--out", f"{run}.npz")
    with np.load(f"{run}.npz") as table:
        return {name: table[name] for name in table.files}


@pytest.mark.parametrize("name", ["quantile", "huber"])
def test_a_loss_in_a_file_takes_at_most_thirty_lines(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) <= 30


@pytest.mark.parametrize("spec", ["quantile", "quantile:columns=2,quantiles=0.25;0.75", "huber", "huber:outputs=3"])
def test_a_loss_in_a_file_passes_the_suite_of_losses(typed: Typed, spec: str) -> None:
    report = json.loads(typed("check", spec, "--json"))
    assert report["passed"]
    assert (report["kind"], report["subject"].partition(":")[0]) == ("loss", spec.partition(":")[0])
    assert {outcome["status"] for outcome in report["outcomes"]} == {"ok"}
    assert f"{spec.partition(':')[0]}: loss of plugin" in typed("show", spec.partition(":")[0])


@pytest.mark.parametrize(("head", "columns"), [("quantile:columns=1", 3), ("huber", 1)])
def test_a_training_with_a_loss_in_a_file_resumes_bit_for_bit_and_is_judged(
    typed: Typed, head: str, columns: int
) -> None:
    typed(*words_for(head, "whole"))
    typed(*words_for(head, "run"), "--stop-after", 170, said="stopped after epoch 2, batch 20; go on with: rnnframe ")
    typed("train", "--resume", "run", "--quiet")
    weights = [Path(run, "weights.safetensors").read_bytes() for run in ("whole", "run")]
    assert weights[0] == weights[1]
    judged = json.loads(typed("evaluate", "run", "--json"))
    assert judged["count"] == 2 * STEPS * BATCH
    assert judged["measures"]["columns"] == columns
    lines = [json.loads(line) for line in Path("run", "metrics.jsonl").read_text().splitlines()]
    assert judged["loss"] == min(line["valid_loss"] for line in lines if "valid_loss" in line)


def test_a_run_names_the_file_of_its_loss(typed: Typed) -> None:
    typed(*words_for("huber", "run"), "--epochs", 1)
    named = tomllib.loads(Path("run", "config.toml").read_text())["plugin"]
    assert {Path(path).name for path in named} == {"huber.py", "noisy.py"}


def test_quantiles_of_one_target_are_predicted_in_three_columns(typed: Typed) -> None:
    typed(*words_for("quantile:columns=1", "run"))
    table = predicted(typed, "run")
    assert list(table) == ["output0", "output1", "output2"]
    assert len(table["output0"]) == STEPS * BATCH
    x = np.load("x.npy").ravel()
    noise = np.random.default_rng(0).uniform(-1, 1, (1000, 1))
    y = x + noise + 8 * (np.random.default_rng(1).uniform(size=noise.shape) > 0.95)
    for column, share in zip(table.values(), (0.1, 0.5, 0.9), strict=True):
        assert (y < column).mean() == pytest.approx(share, abs=0.06)


def test_outliers_disturb_a_huber_loss_less_than_a_squared_error(typed: Typed) -> None:
    errors = {}
    for head in ("huber:delta=0.1", "mse"):
        run = head.partition(":")[0]
        typed(*words_for(head, run))
        errors[run] = np.abs(predicted(typed, run)["output0"] - np.load("x.npy").ravel()).mean()
    assert errors["huber"] < 0.5 * errors["mse"]
