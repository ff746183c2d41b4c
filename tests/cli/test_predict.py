import csv
import json
from pathlib import Path

import numpy as np
import pytest

from .conftest import TEXT, Run


@pytest.fixture
def trained(train: Run, tmp_path: Path) -> Path:
    train("--out", tmp_path / "run", "--epochs", 1)
    return tmp_path / "run"


def test_predictions_of_a_text_say_what_each_character_cost(
    run: Run, trained: Path, text: Path, tmp_path: Path
) -> None:
    outcome = run("predict", trained, "--data", text, "--out", tmp_path / "out.csv")
    assert outcome.out == f"{len(TEXT) - 1:,} predictions for {text} in {tmp_path / 'out.csv'}\n"
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert "".join(row["character"] for row in rows) == TEXT[1:]
    judged = json.loads(run("evaluate", trained, "--data", text, "--json").out)
    assert np.mean([float(row["nats"]) for row in rows]) == pytest.approx(judged["loss"], rel=1e-5)


def test_an_npz_holds_what_the_csv_does(run: Run, trained: Path, text: Path, tmp_path: Path) -> None:
    for name in ("out.csv", "out.npz"):
        assert run("predict", trained, "--data", text, "--out", tmp_path / name, "--json").code == 0
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    with np.load(tmp_path / "out.npz", allow_pickle=False) as columns:
        assert list(columns) == list(rows[0])
        assert columns["nats"].tolist() == [float(np.float32(row["nats"])) for row in rows]
        assert columns["likeliest"].tolist() == [row["likeliest"] for row in rows]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (
            ("--data", "{text}", "--out", "{tmp}/out.txt"),
            2,
            "cannot tell how to write '{tmp}/out.txt'; end",
        ),
        (("--data", "{tmp}/none", "--out", "{tmp}/out.csv"), 2, "cannot read data file '{tmp}/none': No such file"),
        (("--data", "{text}", "--out", "{tmp}/none/out.csv"), 2, "cannot write '{tmp}/none/out.csv': No such file"),
    ],
)
def test_what_cannot_be_read_or_written_is_one_line_and_leaves_nothing(
    run: Run, trained: Path, text: Path, tmp_path: Path, words: tuple[str, ...], code: int, message: str
) -> None:
    before = sorted(tmp_path.iterdir())
    outcome = run("predict", trained, *(word.format(text=text, tmp=tmp_path) for word in words))
    assert outcome.code == code
    assert message.format(tmp=tmp_path) in outcome.err
    assert outcome.err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before
