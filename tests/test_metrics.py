"""Reading metrics: what the curves and totals say of a file, whole, growing, odd or damaged."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnframe.errors import RunError
from rnnframe.runs.metrics import read_metrics

BATCH = {"kind": "batch", "epoch": 1, "loss": 2.5, "gradient_norm": 0.5, "learning_rate": 0.01}


def batch(update, **values):
    return BATCH | {"batch": update, "update": update, "steps": 100, "seconds": 0.5, "peak_bytes": 1000} | values


def epoch(number, update, valid_loss, **values):
    return {"kind": "epoch", "epoch": number, "update": update, "train_loss": 2.0, "valid_loss": valid_loss} | values


def written(folder: Path, *records) -> Path:
    path = folder / "metrics.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def points(curve):
    return list(zip(curve.columns().x.tolist(), curve.columns().mean.tolist(), strict=True))


def test_curves_and_totals_of_two_epochs(tmp_path):
    path = written(
        tmp_path,
        batch(1, loss=4.0),
        batch(2, loss=3.0, peak_bytes=2000),
        epoch(1, 2, 3.5, measures={"accuracy": 0.5}),
        batch(3, loss=2.0, seconds=0.25),
        {"kind": "evaluation", "epoch": 2, "update": 3, "valid_loss": 2.25, "measures": {"accuracy": 0.75}},
        batch(4, loss=1.0),
        epoch(2, 4, 2.75, train_loss=1.5),
    )
    read = read_metrics(path)
    assert points(read.loss) == [(1, 4), (2, 3), (3, 2), (4, 1)]
    assert points(read.valid_loss) == [(2, 3.5), (3, 2.25), (4, 2.75)]
    assert points(read.throughput) == [(1, 200), (2, 200), (3, 400), (4, 200)]
    assert points(read.memory) == [(1, 1000), (2, 2000), (3, 1000), (4, 1000)]
    assert points(read.measures["accuracy"]) == [(2, 0.5), (3, 0.75)]
    assert (read.batches, read.epochs, read.updates, read.steps, read.seconds) == (4, 2, 4, 400, 1.75)
    assert (read.last_loss, read.train_loss, read.last_valid_loss, read.peak_bytes) == (1.0, 1.5, 2.75, 2000)
    assert read.best is not None
    assert (read.best.loss, read.best.update, read.best.epoch) == (2.25, 3, 2)
    assert read.steps_per_second == pytest.approx(400 / 1.75)


def test_the_x_axis_may_be_steps_or_seconds(tmp_path):
    path = written(tmp_path, batch(2), batch(4, steps=50), epoch(1, 4, 3.0))
    assert points(read_metrics(path, "steps").loss) == [(100, 2.5), (150, 2.5)]
    assert points(read_metrics(path, "seconds").valid_loss) == [(1.0, 3.0)]


def test_records_of_other_kinds_and_missing_keys_are_no_harm(tmp_path):
    read = read_metrics(written(tmp_path, {"kind": "note", "loss": "?"}, {"kind": "batch", "loss": 1.5}, {"a": 1}))
    assert points(read.loss) == [(1, 1.5)]
    assert (read.updates, read.steps, read.seconds, read.steps_per_second, read.peak_bytes) == (
        1,
        None,
        None,
        None,
        None,
    )
    assert not len(read.memory.columns())


def test_losses_that_are_not_finite_are_counted_and_left_out(tmp_path):
    skipped = {"kind": "skipped", "update": 3, "reason": "?"}
    read = read_metrics(
        written(tmp_path, batch(1), batch(2, loss=math.nan), batch(3, loss=math.inf), skipped, batch(4))
    )
    assert [x for x, _ in points(read.loss)] == [1, 4]
    assert read.not_finite == 3


def test_a_file_that_is_being_written_is_read_up_to_its_last_whole_line(tmp_path):
    path = written(tmp_path, batch(1), batch(2))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        assert read_metrics(path).batches == (size >= first) + (size >= len(whole))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"[1, 2]", "line 2 is no record of metrics"),
        (b"{'kind': 1}", "line 2 is no record of metrics"),
        (b"\xff\xfe\x00", "line 2 is no record of metrics"),
        (b"[" * 100_000, "line 2 is no record of metrics"),
        (b'{"kind": "batch", "loss": "low"}', "line 2: 'loss' is 'low'; expected a number"),
        (b'{"kind": "batch", "steps": true}', "line 2: 'steps' is True; expected a number"),
        (b'{"kind": "batch", "update": 1' + b"0" * 400 + b"}", "line 2: 'update' is 1000.*; expected a number"),
        (b'{"kind": "epoch", "valid_loss": [1]}', r"line 2: 'valid_loss' is \[1\]; expected a number"),
        (b'{"kind": "epoch", "measures": [1]}', r"line 2: 'measures' is \[1\]; expected numbers by name"),
        (b'{"kind": "epoch", "measures": {"f1": {}}}', "line 2: 'f1' is {}; expected a number"),
        (b"x" * (1 << 20), "line 2 has more than 1,048,576 bytes"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, line, message):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(json.dumps(batch(1)).encode() + b"\n" + line + b"\n")
    with pytest.raises(RunError, match=message) as caught:
        read_metrics(path)
    assert len(str(caught.value)) < 300


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RunError, match=r"cannot read .*: No such file"):
        read_metrics(tmp_path / "metrics.jsonl")


LIKELY = ("update", "loss", "steps", "seconds", "peak_bytes", "valid_loss", "train_loss", "epoch", "measures", "kind")
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(("batch", "epoch")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(LIKELY), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.sampled_from(LIKELY), ANYTHING, max_size=8)


def outcome(path: Path) -> str:
    """Return the line of the error that a file is refused with, "" where it is read."""
    try:
        read_metrics(path)
    except RunError as error:
        return str(error)
    return ""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("run") / "metrics.jsonl"


@given(lines=st.lists(RECORDS.map(json.dumps).map(str.encode) | st.binary(max_size=30), max_size=3))
def test_whatever_stands_in_a_file_is_read_or_refused_in_one_line(file, lines):
    file.write_bytes(b"\n".join(lines))
    assert "\n" not in outcome(file)
