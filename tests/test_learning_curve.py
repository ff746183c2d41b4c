"""Proofs that take minutes: `pytest -m slow`, with RNNFRAME_DATA naming a folder that holds tinyshakespeare.txt."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TEXT = Path(os.environ.get("RNNFRAME_DATA", "")) / "tinyshakespeare.txt"
needs_text = pytest.mark.skipif(
    not TEXT.is_file(), reason="needs the char-rnn corpus tinyshakespeare.txt in the folder that RNNFRAME_DATA names"
)


@pytest.mark.slow
@needs_text
def test_an_lstm_of_256_reaches_what_torch_reaches_on_tiny_shakespeare(tmp_path: Path) -> None:
    """torch's nn.LSTM with an embedding reaches 1.56 nats per character in the sixth epoch, 1.55 in the seventh."""
    run = tmp_path / "run"
    words = (
        *("train", "--data", TEXT, "--cell", "lstm:hidden=256", "--batch", 32, "--steps", 128, "--epochs", 12),
        *("--optimizer", "adam:lr=2e-3", "--rate", "constant", "--clip", 1, "--out", run),
    )
    subprocess.run([sys.executable, "-m", "rnnframe", *map(str, words)], check=True)
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert min(record["valid_loss"] for record in records if record["kind"] == "epoch") <= 1.56
