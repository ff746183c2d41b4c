"""`rnnframe train --observer`: plugins that are told how a training goes."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from .conftest import Run
from .test_resume import BATCHES

DIARY = """
    from typing import ClassVar

    import attrs
    from rnnframe.plugin import Observer, Watcher

    @attrs.frozen(kw_only=True)
    class Diary(Observer):
        # writes the events of a training into a file
        name: ClassVar[str] = "diary"
        path: str = attrs.field(metadata={"help": "the file"})

        def open(self, run):
            return Pen(self.path, run)

    class Pen(Watcher):
        def __init__(self, path, run):
            self.path, self.run = path, run

        def write(self, record):
            fields = attrs.asdict(record) | {"run": str(self.run)}
            with open(self.path, "a") as file:
                print(__import__("json").dumps(fields), file=file)

        on_start = on_batch = on_skipped = on_evaluation = on_epoch = on_checkpoint = on_end = write
"""

FAILING = """
    from typing import ClassVar

    import attrs
    from rnnframe.plugin import Observer, UsageError, Watcher

    @attrs.frozen(kw_only=True)
    class Failing(Observer):
        name: ClassVar[str] = "failing"
        at: str = "on_batch"

        def open(self, run):
            if self.at == "usage":
                raise UsageError("the dashboard needs a login; run: dashboard login")
            if self.at == "open":
                return 1 / 0
            if self.at == "nothing":
                return None
            watcher = Watcher()
            setattr(watcher, self.at, lambda record: 1 / 0)
            return watcher
"""


@pytest.fixture
def diary(tmp_path: Path) -> Path:
    (tmp_path / "diary.py").write_text(dedent(DIARY))
    return tmp_path / "diary.py"


@pytest.fixture
def failing(tmp_path: Path) -> Path:
    (tmp_path / "failing.py").write_text(dedent(FAILING))
    return tmp_path / "failing.py"


def events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


SMALL = ("--cell", "elman:hidden=8", "--batch", 4, "--steps", 16, "--epochs", 2, "--sample", 0, "--quiet")


def test_an_observer_is_told_of_every_event_in_order(run: Run, text: Path, diary: Path, tmp_path: Path) -> None:
    written = tmp_path / "events"
    observed = ("--plugin", diary, "train", "--observer", f"diary:path={written}")
    outcome = run(*observed, "--data", text, *SMALL, "--out", tmp_path / "run", "--evaluate-every", BATCHES - 1)
    assert (outcome.code, outcome.err) == (0, "")
    told = events(written)
    epoch = ["batch"] * (BATCHES - 1) + ["evaluation", "checkpoint", "batch", "epoch", "checkpoint"]
    assert [event["kind"] for event in told] == ["start", *epoch, *epoch, "end"]
    assert {event["run"] for event in told} == {str(tmp_path / "run")}
    start, end = told[0], told[-1]
    assert (start["epochs"], start["batches"], start["epoch"], start["batch"]) == (2, BATCHES, 1, 0)
    assert start["task"].startswith("characters:")
    assert (start["unit"], start["options"]["batch"]) == ("nats/char", 4)
    assert (end["outcome"], end["update"]) == ("finished", 2 * BATCHES)
    assert [event["number"] for event in told if event["kind"] == "checkpoint"][-1] == 2 * BATCHES
    metrics = [{key: value for key, value in event.items() if key != "run"} for event in told]
    lines = events(tmp_path / "run" / "metrics.jsonl")
    assert lines == [event for event in metrics if event["kind"] in ("batch", "evaluation", "epoch")]


def test_an_observer_of_a_run_that_goes_on_is_told_where_it_is(
    run: Run, text: Path, diary: Path, tmp_path: Path
) -> None:
    written, folder = tmp_path / "events", tmp_path / "run"
    first = ("--data", text, *SMALL, "--out", folder, "--stop-after", BATCHES + 3)
    run("--plugin", diary, "train", "--observer", f"diary:path={written}", *first)
    stopped = events(written)[-1]
    assert (stopped["kind"], stopped["outcome"], stopped["epoch"], stopped["batch"]) == ("end", "stopped", 2, 3)
    written.unlink()
    words = ("train", "--resume", folder, "--quiet", "--observer", f"diary:path={written}")
    assert run("--plugin", diary, *words).code == 0
    told = events(written)
    assert (told[0]["epoch"], told[0]["batch"], told[0]["update"]) == (2, 3, BATCHES + 3)
    assert (told[1]["epoch"], told[1]["batch"]) == (2, 4)
    assert told[0]["valid_loss"] == stopped["valid_loss"]
    assert told[0]["loss"] > 0


def test_an_observer_is_told_of_a_failure(run: Run, text: Path, diary: Path, tmp_path: Path) -> None:
    growing = ("--cell", "elman:hidden=8,activation=relu", "--optimizer", "sgd:lr=1e12", "--clip", "none", "--quiet")
    words = ("--observer", f"diary:path={tmp_path / 'events'}")
    assert run("--plugin", diary, "train", "--data", text, *growing, *words).code == 1
    end = events(tmp_path / "events")[-1]
    assert (end["kind"], end["outcome"]) == ("end", "failed")
    assert end["reason"].startswith("NonFiniteError: epoch 1, batch ")


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("open", "ZeroDivisionError: division by zero"),
        ("nothing", "TypeError: open() returned None, which is no rnnframe.plugin.Watcher"),
        ("on_start", "ZeroDivisionError: division by zero"),
        ("on_batch", "ZeroDivisionError: division by zero"),
        ("on_epoch", "ZeroDivisionError: division by zero"),
        ("on_checkpoint", "ZeroDivisionError: division by zero"),
        ("on_end", "ZeroDivisionError: division by zero"),
    ],
)
def test_an_observer_that_fails_is_one_line_and_changes_nothing(
    run: Run, text: Path, failing: Path, tmp_path: Path, at: str, reason: str
) -> None:
    words = ("train", "--data", text, *SMALL, "--epochs", 1, "--out")
    outcome = run("--plugin", failing, *words, tmp_path / "run", "--observer", f"failing:at={at}")
    assert outcome.code == 0
    assert outcome.err == (
        f"rnnframe: observer 'failing' of plugin 'failing' of {failing} is left out of the rest of this training: "
        f"{reason}\n"
    )
    run(*words, tmp_path / "alone")
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("run", "alone")]
    assert weights[0] == weights[1]


def test_an_observer_that_cannot_be_used_is_refused_before_anything_is_written(
    run: Run, text: Path, failing: Path, tmp_path: Path
) -> None:
    words = ("--data", text, *SMALL, "--out", tmp_path / "run", "--observer", "failing:at=usage")
    outcome = run("--plugin", failing, "train", *words)
    assert (outcome.code, outcome.err) == (
        2,
        "rnnframe: error: the dashboard needs a login; run: dashboard login\n",
    )
    assert not (tmp_path / "run").exists()


def test_an_unknown_observer_is_named_with_the_known_ones(train: Run) -> None:
    outcome = train("--observer", "tensorbord")
    assert outcome.code == 2
    assert "unknown observer 'tensorbord'; did you mean 'tensorboard'?" in outcome.err


def test_observers_stand_in_a_configuration_and_not_in_the_run_folder(
    run: Run, text: Path, diary: Path, tmp_path: Path
) -> None:
    config = tmp_path / "run.toml"
    config.write_text(f'data = "{text}"\nobserver = "diary:path={tmp_path / "events"}"\nepochs = 1\n')
    words = ("train", "--config", config, "--cell", "elman:hidden=4", "--out", tmp_path / "run", "--quiet")
    assert run("--plugin", diary, *words).code == 0
    assert events(tmp_path / "events")[-1]["outcome"] == "finished"
    assert "\nobserver" not in (tmp_path / "run" / "config.toml").read_text()


def test_plugins_and_show_know_observers(run: Run, diary: Path) -> None:
    assert "observers: diary" in run("--plugin", diary, "plugins").out
    assert run("--plugin", diary, "show", "diary").out.startswith("diary: observer of plugin 'diary'")


def test_progress_can_be_replaced_by_disabling_its_plugin(
    train: Run, run: Run, text: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "nothing.py").write_text(dedent(DIARY))
    monkeypatch.setenv("RNNFRAME_DISABLE_PLUGINS", "progress")
    small = [word for word in SMALL if word != "--quiet"]
    outcome = run("--plugin", tmp_path / "nothing.py", "train", "--data", text, *small, "--epochs", 1)
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_progress_that_nobody_can_read_does_not_end_the_training(text: Path) -> None:
    small = [str(word) for word in SMALL if word != "--quiet"]
    command = [sys.executable, "-m", "rnnframe", "train", "--data", str(text), *small, "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=full, text=True, check=False)
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "-", *command], stdout=subprocess.PIPE, text=True, check=False
    )
    for outcome in (done, closed):
        assert outcome.returncode == 0
        assert json.loads(outcome.stdout)["finished"] is True
