"""`rnnframe train --tensorboard`, read back by TensorBoard's own reader, and by the definition of its format."""

import json
import resource
import struct
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import SMALL, Run

Shown = dict[str, dict[int, float]]


def by_tensorboard(folder: Path) -> Shown:
    """Return tag -> update -> value, as TensorBoard reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's imports warn of what they are made with
        reader = pytest.importorskip(
            "tensorboard.backend.event_processing.event_accumulator",
            reason="the reader is TensorBoard's: pip install tensorboard",
        )
        events = reader.EventAccumulator(str(folder), size_guidance={"scalars": 0})
        events.Reload()
    return {tag: {one.step: one.value for one in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def by_definition(folder: Path) -> Shown:
    """Return the same from the records of the files; a session that begins at a step drops what was at it or later."""
    shown: Shown = {}
    for path in sorted(folder.iterdir(), key=lambda path: path.name.rpartition(".")[2]):
        for event in events_of(path):
            if event.HasField("session_log"):
                shown = {tag: {s: v for s, v in values.items() if s < event.step} for tag, values in shown.items()}
            for value in event.summary.value:
                shown.setdefault(value.tag, {})[event.step] = value.simple_value
    return shown


def events_of(path: Path) -> Iterator[Any]:
    """Yield the events of a file: each is a length, its checksum, the bytes and their checksum."""
    from tensorboardX.proto.event_pb2 import Event

    data = path.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        yield Event.FromString(data[12 : 12 + length])
        data = data[16 + length :]


def metrics(run: Path, kind: str) -> list[dict]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if record["kind"] == kind]


@pytest.mark.parametrize("read", [by_definition, by_tensorboard])
def test_tensorboard_shows_what_the_metrics_say_also_of_a_run_that_went_on(
    train: Run, run: Run, tmp_path: Path, read: Callable[[Path], Shown]
) -> None:
    pytest.importorskip("tensorboardX", reason='the writer is an extra: pip install "rnnframe[tensorboard]"')
    folder = tmp_path / "run"
    assert train("--out", folder, "--tensorboard", "--stop-after", 5).code == 0
    assert run("train", "--resume", folder, "--tensorboard", "--quiet").code == 0
    shown = read(folder / "tensorboard")
    batches, epochs = metrics(folder, "batch"), metrics(folder, "epoch")
    assert shown["loss/training"] == pytest.approx({one["update"]: one["loss"] for one in batches})
    assert shown["loss/validation"] == pytest.approx({one["update"]: one["valid_loss"] for one in epochs})
    assert shown["training/learning_rate"] == pytest.approx({one["update"]: one["learning_rate"] for one in batches})
    assert set(shown) == {
        "loss/training",
        "loss/validation",
        "training/learning_rate",
        "training/gradient_norm",
        "training/steps_per_second",
        "training/bytes_held",
    }


def test_without_the_writer_the_line_names_the_command_to_run(
    train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    outcome = train("--out", tmp_path / "run", "--tensorboard")
    assert outcome.code == 2
    assert outcome.err.endswith('which is not installed; run: pip install "rnnframe[tensorboard]"\n')
    assert not (tmp_path / "run").exists()


def test_events_need_a_run_folder(train: Run) -> None:
    pytest.importorskip("tensorboardX", reason='the writer is an extra: pip install "rnnframe[tensorboard]"')
    outcome = train("--tensorboard", "--no-out")
    assert outcome.code == 2
    assert "observer 'tensorboard' writes into the run folder, and there is none; give --out RUN" in outcome.err


def test_events_are_written_into_another_folder_where_one_is_named(train: Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason='the writer is an extra: pip install "rnnframe[tensorboard]"')
    assert train("--observer", f"tensorboard:path={tmp_path / 'events'}").code == 0
    assert len(by_definition(tmp_path / "events")["loss/validation"]) == 2


def test_a_full_disk_ends_the_events_in_one_line_and_not_the_training(text: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX", reason='the writer is an extra: pip install "rnnframe[tensorboard]"')
    observer = ("--observer", f"tensorboard:path={tmp_path / 'events'}")
    done = subprocess.run(
        [sys.executable, "-m", "rnnframe", "train", "--data", str(text), *SMALL, "--json", "--no-out", *observer],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),  # bytes of a file
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["finished"] is True
    assert done.stderr.startswith("rnnframe: observer 'tensorboard' of plugin 'tensorboard' of rnnframe ")
    assert done.stderr.endswith(" is left out of the rest of this training: OSError: [Errno 27] File too large\n")
    assert done.stderr.count("\n") == 1
