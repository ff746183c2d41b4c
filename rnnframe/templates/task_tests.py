"""The conformance suite of tasks, and what only the author knows."""

from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe import testing
from rnnframe.plugin import DataError, Predicted, Setting


class TestExample(testing.TaskTests):
    """Every check of the suite, on the data of its own."""

    task = "example"
    setting = Setting(batch=4, steps=16)


def test_the_target_of_a_number_is_the_next_one(tmp_path: Path) -> None:
    """Read from a file and scaled, x is one step behind y."""
    path = tmp_path / "numbers.txt"
    path.write_text("".join(f"{n}\n" for n in range(100)))
    data = rf.task("example").open(Setting(data=str(path), batch=2, steps=10))
    batch = data.batch(epoch=0, number=0)
    assert batch.x.shape == batch.y.shape == (10, 2, 1)
    assert np.allclose((batch.y - batch.x) * data.learnt.deviation, 1)


def test_the_table_has_the_numbers_of_the_file(tmp_path: Path) -> None:
    """A row for every line but the first, in the unit of the file."""
    path = tmp_path / "numbers.txt"
    path.write_text("3\n1\n4\n1.5\n")
    task = rf.task("example")
    examples = task.examples(str(path), task.learns(mean=2, deviation=3), batch=1)
    network = rf.Network(["gru:hidden=3"], "mse:outputs=1", inputs=1)
    (batch,) = examples.batches()
    outputs, _ = rf.Inference(network).predict(batch.x)
    (table,) = examples.table([Predicted(batch, outputs)])
    assert (list(table["line"]), list(table["number"])) == ([2, 3, 4], [1, 4, 1.5])
    assert np.allclose(table["predicted"], outputs[:, 0, 0] * 3 + 2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\ntwo\n", "line 2: 'two' is not a number; expected one number in each line"),
        ("1\nnan\n", "has 2 numbers; expected two or more, all of them finite"),
        ("1\n2\n3\n", "3 numbers are too few: .* give fewer steps or more data"),
    ],
)
def test_a_file_that_does_not_fit_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    """With the line and what was expected."""
    path = tmp_path / "numbers.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        rf.task("example").open(Setting(data=str(path)))
