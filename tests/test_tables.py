"""Tables that are written: every number reads back as it was, in no more digits than that takes."""

import csv
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnnframe.storage.tables import write_table


def texts(path: Path) -> list[str]:
    with open(path, newline="") as file:
        return [row["v"] for row in csv.DictReader(file)]


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_a_csv_holds_the_fewest_digits_that_read_back_the_same(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("table") / "t.csv"
    write_table(str(path), [{"v": np.array(values)}])
    found = texts(path)
    assert [float(text) for text in found] == values
    assert found == [repr(value) for value in values]


def test_what_was_computed_in_float32_has_the_digits_of_float32(tmp_path):
    values = np.float32([0.1, 1 / 3, 1e-20])
    write_table(str(tmp_path / "t.csv"), [{"v": values}])
    assert np.array_equal(np.float32(texts(tmp_path / "t.csv")), values)
    assert texts(tmp_path / "t.csv")[0] == "0.1"
