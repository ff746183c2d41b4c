"""What the observer writes while a small network is trained."""

import csv
from pathlib import Path

import pytest

import rnnframe as rf
from rnnframe.plugin import UsageError

OPTIONS = rf.TrainingOptions(
    task="copy:delay=3,length=2,samples=32,judged=8", cell="gru:hidden=4", batch=8, epochs=2, kernels="numpy", shards=1
)


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_there_is_a_row_for_every_epoch(tmp_path: Path) -> None:
    """With the losses that the training reports."""
    with rf.Training(OPTIONS, observers=["example"], run=tmp_path / "run") as training:
        training.fit()
    found = rows(tmp_path / "run" / "losses.csv")
    assert [(row["epoch"], row["update"]) for row in found] == [("1", "4"), ("2", "8")]
    assert float(found[-1]["validation"]) == training.progress.valid_loss


def test_a_training_that_is_resumed_adds_to_the_file(tmp_path: Path) -> None:
    """The rows of the first two epochs stay as they are."""
    run = tmp_path / "run"
    with rf.Training(OPTIONS, observers=["example"], run=run) as training:
        training.fit()
    before = rows(run / "losses.csv")
    with rf.Training.resume(run, epochs=3, observers=["example"]) as training:
        training.fit()
    after = rows(run / "losses.csv")
    assert (after[:2], after[2]["epoch"], len(after)) == (before, "3", 3)


def test_without_a_run_folder_it_asks_for_a_file(tmp_path: Path) -> None:
    """And writes there if it is given one."""
    with pytest.raises(UsageError, match="has no run folder; give --out RUN, or example:path=FILE"):
        rf.Training(OPTIONS, observers=["example"])
    rf.Training(OPTIONS, observers=[f"example:path={tmp_path / 'mine.csv'}"]).fit()
    assert len(rows(tmp_path / "mine.csv")) == 2
