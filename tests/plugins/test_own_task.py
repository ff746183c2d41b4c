"""A task that somebody else wrote, in a file of its own: the one of the documentation."""

import json
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "tasks.md"
BLOCK = re.compile(r"^```python\n(.*?)^data = ", re.MULTILINE | re.DOTALL)


@pytest.fixture
def parity(tmp_path: Path) -> Path:
    (found,) = BLOCK.findall(PAGE.read_text())
    (tmp_path / "parity.py").write_text(found)
    return tmp_path / "parity.py"


def test_a_task_in_a_file_is_trained_resumed_and_evaluated(run_command, parity: Path, tmp_path: Path) -> None:
    own = ("--plugin", parity)
    words = ("--task", "parity", "--cell", "gru:hidden=16", "--optimizer", "adam:lr=2e-2", "--epochs", 1, "--quiet")
    assert "parity: task of plugin 'parity'" in run_command(*own, "show", "parity")
    run_command(*own, "train", *words, "--out", tmp_path / "whole")
    run_command(*own, "train", *words, "--out", tmp_path / "run", "--stop-after", 100)
    run_command(*own, "train", "--resume", tmp_path / "run", "--quiet")
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "run")]
    assert weights[0] == weights[1]
    judged = json.loads(run_command(*own, "evaluate", tmp_path / "run", "--json"))
    assert judged["loss"] < 0.1
    assert (judged["count"], judged["unit"]) == (2000, "nats/step")
