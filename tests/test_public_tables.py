"""Public tables go through `train`, `evaluate` and `predict`, or are refused on one line: `pytest -m slow`."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


def test_every_table_is_forecast_as_pandas_reads_it_or_refused_on_a_line_that_helps() -> None:
    command = [sys.executable, "-m", "tests.benchmarks", "public-tables"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    print(done.stdout)
    if "could not be downloaded" in done.stderr:
        pytest.skip(done.stderr.splitlines()[-1])
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    ends = [row[5].split() for row in rows[1:] if "." in row[1]]  # the rows of files
    assert sum(end[1] == "forecasts" for end in ends) > 75
    assert all(end[0] == "refused:" or int(end[0].replace(",", "")) > 2 for end in ends)
