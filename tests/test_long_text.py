"""A million characters of a file larger than the address space of the process that trains on it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and bytes are told as Linux tells them")
def test_a_text_larger_than_memory_is_trained_on_in_flat_memory_with_the_same_losses_as_one_that_is_held() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "stream", "--characters", "1000000"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "same losses: True" in done.stdout
    grown = re.search(r"grown by ([+-][\d.]+) MiB", done.stdout)
    assert grown is not None
    assert float(grown[1]) < 2
