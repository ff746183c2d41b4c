"""`--observer mlflow` and `--observer wandb`, with the real libraries: what they keep is what the metrics say."""

import json
import sqlite3
import struct
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from .conftest import SMALL, Run

BLOCK = 32768  # of the log format of LevelDB, in which wandb writes
HEADER = 7

needs_mlflow = pytest.mark.skipif(
    find_spec("mlflow") is None or find_spec("sqlalchemy") is None, reason="MLflow and SQLAlchemy are not installed"
)
needs_wandb = pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")


def trained(text: Path, folder: Path, observer: str, **environment: str) -> subprocess.CompletedProcess:
    """Train in a process of its own, in the parent of `folder`."""
    words = ("train", "--data", str(text), *SMALL, "--out", str(folder), "--observer", observer)
    program = f"import os; os.environ.update({environment!r}); from rnnframe.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *words], cwd=folder.parent, capture_output=True, text=True, check=False
    )


def metrics(run: Path, kind: str) -> list[dict]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record for record in records if record["kind"] == kind]


def agree(shown: dict[str, dict[int, float]], folder: Path) -> None:
    batches, epochs = metrics(folder, "batch"), metrics(folder, "epoch")
    assert shown["loss/training"] == pytest.approx({one["update"]: one["loss"] for one in batches})
    assert shown["loss/validation"] == pytest.approx({one["update"]: one["valid_loss"] for one in epochs})
    assert shown["training/gradient_norm"] == pytest.approx({one["update"]: one["gradient_norm"] for one in batches})
    assert len(shown["training/learning_rate"]) == len(shown["training/bytes_held"]) == len(batches)


@needs_mlflow
def test_mlflow_keeps_options_metrics_and_weights(text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    database = tmp_path / "mlflow.db"
    done = trained(text, folder, "mlflow:experiment=books", MLFLOW_TRACKING_URI=f"sqlite:///{database.as_posix()}")
    assert done.returncode == 0, done.stderr
    assert "is left out" not in done.stderr
    with sqlite3.connect(database) as kept:
        ((name, status, artifacts, experiment),) = kept.execute(
            "select runs.name, status, artifact_uri, experiments.name from runs join experiments using (experiment_id)"
        )
        shown: dict[str, dict[int, float]] = {}
        for key, step, value in kept.execute("select key, step, value from metrics"):
            shown.setdefault(key, {})[step] = value
        options = dict(kept.execute("select key, value from params"))
    kept.close()
    assert (name, status, experiment) == ("run", "FINISHED", "books")
    agree(shown, folder)
    assert options["batch"] == "4"
    assert "elman:hidden=8" in options["cell"]
    sent = Path(unquote(urlparse(artifacts).path) if artifacts.startswith("file:") else artifacts)
    assert (sent / "weights.safetensors").read_bytes() == (folder / "weights.safetensors").read_bytes()


@needs_mlflow
def test_a_store_of_mlflow_that_cannot_be_opened_is_told_once_and_the_training_goes_on(
    text: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    done = trained(text, folder, "mlflow", MLFLOW_TRACKING_URI="unknown://nowhere")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("is left out of the rest of this training") == 1
    assert len(metrics(folder, "epoch")) == 2


def records_of(path: Path) -> list:
    """Return the records of a file of wandb: a header, then those of LevelDB's log in blocks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of wandb's own imports
        from wandb.proto.wandb_internal_pb2 import Record
    data, at, parts, found = path.read_bytes(), HEADER, b"", []
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack("<IHB", data[at : at + HEADER])
        parts += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(parts))
            parts = b""
    return found


@needs_wandb
def test_wandb_keeps_options_metrics_and_weights_without_a_network(text: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    done = trained(text, folder, "wandb:project=books", WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    assert "is left out" not in done.stderr
    (written,) = folder.glob("wandb/offline-run-*/*.wandb")
    records = records_of(written)
    shown: dict[str, dict[int, float]] = {}
    for record in records:
        items = {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for key, value in items.items():
            if not key.startswith("_"):
                shown.setdefault(key, {})[items["_step"]] = value
    agree(shown, folder)
    (run,) = [record.run for record in records if record.HasField("run")][:1]
    assert (run.project, run.display_name) == ("books", "run")
    assert {update.key: json.loads(update.value_json) for update in run.config.update}["batch"] == 4
    (sent,) = [each.request.log_artifact.artifact for each in records if each.request.HasField("log_artifact")] or [
        each.artifact for each in records if each.HasField("artifact")
    ]
    assert [entry.path for entry in sent.manifest.contents] == ["weights.safetensors"]
    assert sent.manifest.contents[0].size == (folder / "weights.safetensors").stat().st_size
    (end,) = [record.exit.exit_code for record in records if record.HasField("exit")]
    assert end == 0


@pytest.mark.parametrize("library", ["mlflow", "wandb"])
def test_without_the_library_the_line_names_the_command_to_run(
    train: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    outcome = train("--out", tmp_path / "run", "--observer", library)
    assert outcome.code == 2
    assert outcome.err.endswith(f'which is not installed; run: pip install "rnnframe[{library}]"\n')
    assert not (tmp_path / "run").exists()
