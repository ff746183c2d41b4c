from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError
from rnnframe.plugin import Setting
from rnnframe_tasks.raw_bytes import Utf8

RAW = bytes(np.random.default_rng(0).integers(0, 256, 5000, np.uint8))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "noise.bin"
    path.write_bytes(RAW)
    return path


def test_every_byte_of_any_file_is_read_once_and_the_target_is_the_next(file: Path) -> None:
    data = rf.task("bytes").open(Setting(data=str(file), batch=4, steps=90))
    batches = [data.batch(0, number) for number in range(data.batches)]
    x, y = (np.concatenate([getattr(batch, name) for batch in batches]).T.ravel() for name in "xy")
    assert bytes(x.astype(np.uint8)) == RAW[: len(x)]
    assert bytes(y.astype(np.uint8)) == RAW[1 : len(y) + 1]
    assert 4500 - len(x) <= 4
    valid = np.concatenate([batch.y.T.ravel() for batch in data.valid.batches()])
    assert bytes(valid.astype(np.uint8)) in RAW[4500:]


def test_a_model_of_bytes_is_trained_evaluated_and_sampled(run_command, tmp_path: Path) -> None:
    book, run = tmp_path / "book", tmp_path / "run"
    book.write_bytes("für Élise, ".encode() * 300)
    words = ("--cell", "gru:hidden=16", "--batch", 8, "--epochs", 8, "--optimizer", "adam:lr=2e-2", "--quiet")
    run_command("train", "--task", "bytes", "--data", book, "--out", run, *words)
    assert "nats/byte" in run_command("evaluate", run)
    assert "Élise" in run_command("sample", run, "--prime", "für ", "--temperature", 0, "--length", 40)


def test_bytes_that_are_no_text_are_written_as_such() -> None:
    assert Utf8().decode(Utf8().encode("für")) == "für"
    assert Utf8().decode(np.array([0xFF, 65])) == "\ufffdA"


@pytest.mark.parametrize(
    ("raw", "message"), [(b"short", "has 5 bytes, 0 of them held out"), (b"", "has 0 bytes, 0 of them held out")]
)
def test_a_file_that_is_too_short_is_told_in_one_line(file: Path, raw: bytes, message: str) -> None:
    file.write_bytes(raw)
    with pytest.raises(DataError, match=message):
        rf.task("bytes").open(Setting(data=str(file)))
