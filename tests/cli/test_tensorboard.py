"""`rnnframe train --tensorboard`, read back by TensorBoard's own reader."""

import json
import sys
import warnings
from pathlib import Path

import pytest

from .conftest import Run


def read(run: Path) -> dict[str, dict[int, float]]:
    """Return tag -> update -> value, as TensorBoard reads them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorBoard's imports warn of what they are made with
        reader = pytest.importorskip(
            "tensorboard.backend.event_processing.event_accumulator",
            reason="the reader is TensorBoard's: pip install tensorboard",
        )
        events = reader.EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
        events.Reload()
    return {tag: {one.step: one.value for one in events.Scalars(tag)} for tag in events.Tags()["scalars"]}


def metrics(run: Path, kind: str) -> list[dict]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if record["kind"] == kind]


def test_tensorboard_shows_what_the_metrics_say_also_of_a_run_that_went_on(
    train: Run, run: Run, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboardX", reason='the writer is an extra: pip install "rnnframe[tensorboard]"')
    folder = tmp_path / "run"
    assert train("--out", folder, "--tensorboard", "--stop-after", 5).code == 0
    assert run("train", "--resume", folder, "--tensorboard", "--quiet").code == 0
    shown = read(folder)
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
    outcome = train("--tensorboard")
    assert outcome.code == 2
    assert "--tensorboard writes into the run folder; give --out RUN" in outcome.err
