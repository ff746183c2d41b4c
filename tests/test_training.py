"""Training from Python: the same as at the command line, with or without a run folder."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import RunError, UsageError
from rnnframe.plugin import Setting, Watcher
from rnnframe.runs.folder import RunFolder

TEXT = "".join(f"{n}: the quick brown fox jumps over the lazy dog {n * 7 % 13} times.\n" for n in range(60))


@pytest.fixture
def options(tmp_path: Path) -> rf.TrainingOptions:
    (tmp_path / "text.txt").write_text(TEXT)
    data = str(tmp_path / "text.txt")
    return rf.TrainingOptions(data=data, cell="elman:hidden=8", batch=4, steps=16, epochs=2, kernels="numpy", shards=1)


class Losses(Watcher):
    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_batch(self, batch) -> None:
        self.seen.append(batch.loss)


def parameters(training: rf.Training) -> bytes:
    return training.model.network.parameters.flat.tobytes()


def test_it_ends_with_the_weights_that_the_command_line_ends_with(options: rf.TrainingOptions, tmp_path: Path) -> None:
    losses = Losses()
    with rf.Training(options, observers=[losses], run=tmp_path / "python") as training:
        assert training.fit()
    words = ["--data", options.data, "--cell", "elman:hidden=8", "--batch", "4", "--steps", "16", "--epochs", "2"]
    more = ["--kernels", "numpy", "--shards", "1", "--quiet", "--sample", "0", "--out", str(tmp_path / "typed")]
    subprocess.run([sys.executable, "-m", "rnnframe", "train", *words, *more], check=True)
    for name in ("weights.safetensors", "config.toml"):
        assert (tmp_path / "python" / name).read_bytes() == (tmp_path / "typed" / name).read_bytes()
    lines = map(json.loads, (tmp_path / "typed" / "metrics.jsonl").read_text().splitlines())
    assert losses.seen == [line["loss"] for line in lines if line["kind"] == "batch"]


def test_without_a_run_folder_nothing_is_written_and_the_result_is_the_same(
    options: rf.TrainingOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rf.Training(options, run=tmp_path / "run") as written:
        written.fit()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    training = rf.Training(options)
    assert training.fit()
    assert parameters(training) == parameters(written)
    assert not list((tmp_path / "empty").iterdir())
    assert training.evaluate().loss == training.progress.valid_loss


def test_a_stopped_training_goes_on_where_it_was(options: rf.TrainingOptions) -> None:
    whole, parts, losses = rf.Training(options), Losses(), Losses()
    whole.fit()
    stopped = rf.Training(options, observers=[losses, parts])
    assert not stopped.fit(stop=lambda: stopped.number == 5)
    assert len(losses.seen) == stopped.number == 5
    assert stopped.fit()
    assert parameters(stopped) == parameters(whole)
    assert losses.seen == parts.seen


def test_a_run_folder_is_resumed_bit_for_bit(options: rf.TrainingOptions, tmp_path: Path) -> None:
    with rf.Training(options, run=tmp_path / "run") as stopped:
        stopped.fit(stop=lambda: stopped.number == 5)
    with rf.Training.resume(tmp_path / "run") as resumed:
        assert resumed.number == 5
        assert resumed.fit()
    whole = rf.Training(options)
    whole.fit()
    assert parameters(resumed) == parameters(whole)
    with rf.Training.resume(tmp_path / "run", epochs=3) as longer:
        assert longer.options.epochs == 3
        assert longer.fit()
        assert longer.progress.epoch == 3


def test_a_run_that_has_ended_can_be_opened_and_has_nothing_to_train(
    options: rf.TrainingOptions, tmp_path: Path
) -> None:
    with rf.Training(options, run=tmp_path / "run") as training:
        training.fit()
    config = (tmp_path / "run" / "config.toml").read_bytes()
    losses = Losses()
    with rf.Training.resume(tmp_path / "run", observers=[losses]) as ended:
        assert ended.ended == "has finished its 2 epochs; give a larger --epochs to go on"
        assert ended.fit()
    assert losses.seen == []
    assert (tmp_path / "run" / "config.toml").read_bytes() == config


def test_the_folder_is_locked_until_the_training_is_closed(options: rf.TrainingOptions, tmp_path: Path) -> None:
    with rf.Training(options, run=tmp_path / "run") as training:
        with pytest.raises(RunError, match="is in use by process"):
            rf.Training.resume(tmp_path / "run")
        training.fit(stop=lambda: True)
    with pytest.raises(UsageError, match=r"the run folder .* is closed; go on with Training.resume\(path\)"):
        training.fit()
    rf.Training.resume(tmp_path / "run").close()


def test_an_existing_run_is_replaced_only_where_that_is_asked_for(options: rf.TrainingOptions, tmp_path: Path) -> None:
    rf.Training(options, run=tmp_path / "run").close()
    with pytest.raises(RunError, match="already holds a run"):
        rf.Training(options, run=tmp_path / "run")
    with rf.Training(options, run=RunFolder.fresh(tmp_path / "run", force=True)) as training:
        training.fit()
    assert RunFolder.open(tmp_path / "run").load().number == training.number


def test_options_are_settled_before_anything_is_made_of_them(options: rf.TrainingOptions) -> None:
    training = rf.Training(rf.TrainingOptions(data=options.data, cell="elman:hidden=8", store="auto:budget=60KiB"))
    assert not training.options.store.startswith("auto")
    assert training.options.shards >= 1
    assert training.options.kernels in ("numpy", "compiled")
    assert training.trainer.engine.store == rf.store(training.options.store)


def test_the_task_is_opened_once(options: rf.TrainingOptions, tmp_path: Path) -> None:
    task = rf.task("characters")
    opened = []

    class Counted(type(task)):
        def open(self, setting: Setting):
            opened.append(setting)
            return super().open(setting)

    with rf.Training(options, task=Counted(), run=tmp_path / "run") as training:
        training.fit()
    assert len(opened) == 1


def test_data_may_be_opened_beforehand(options: rf.TrainingOptions) -> None:
    task = rf.task("characters")
    data = task.open(options.setting(task))
    given, usual = rf.Training(options, task=task, data=data), rf.Training(options)
    given.fit()
    usual.fit()
    assert given.data is data
    assert parameters(given) == parameters(usual)


def test_a_watcher_that_fails_is_named_by_its_class(
    options: rf.TrainingOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    class Broken(Watcher):
        def on_epoch(self, epoch) -> None:
            raise OSError(28, "No space left on device")

    losses = Losses()
    training = rf.Training(options, observers=[Broken(), losses])
    assert training.fit()
    assert capsys.readouterr().err == (
        f"rnnframe: watcher Broken of {__name__} is left out of the rest of this training: "
        "OSError: [Errno 28] No space left on device\n"
    )
    assert len(losses.seen) == training.number


def test_an_observer_that_is_none_is_refused(options: rf.TrainingOptions) -> None:
    with pytest.raises(UsageError, match="a observer is a spec such as 'name:key=value' or a Observer, not 3"):
        rf.Training(options, observers=[3])


def test_what_is_wrong_leaves_no_folder_behind(options: rf.TrainingOptions, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown observer 'tensorbord'"):
        rf.Training(options, observers=["tensorbord"], run=tmp_path / "run")
    with pytest.raises(UsageError, match="unknown store 'ful-history'"):
        rf.Training(rf.TrainingOptions(data=options.data, store="ful-history"), run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_importing_rnnframe_leaves_the_training_for_when_it_is_asked_for() -> None:
    program = (
        "import sys, rnnframe\n"
        "print('rnnframe.training.session' in sys.modules)\n"
        "assert 'Training' in dir(rnnframe)\n"
        "from rnnframe import Training\n"
        "print('rnnframe.training.session' in sys.modules, rnnframe.Training is Training)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["False", "True True"]
    with pytest.raises(AttributeError, match="module 'rnnframe' has no attribute 'Trainng'"):
        rf.Trainng  # noqa: B018


def test_the_bits_do_not_depend_on_who_watches(options: rf.TrainingOptions) -> None:
    alone, watched = rf.Training(options), rf.Training(options, observers=[Losses(), "progress:every=1000"])
    alone.fit()
    watched.fit()
    assert np.array_equal(alone.model.network.parameters.flat, watched.model.network.parameters.flat)
