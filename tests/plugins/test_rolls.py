from pathlib import Path

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError
from rnnframe.plugin import Dataset, Setting
from rnnframe.runs.scoring import predictions, score

CHANNELS = 6


def rolls(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rolls laid end to end in which one note after the other sounds, and their lengths."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(5, 20, count)
    notes = np.concatenate([(np.arange(length) + rng.integers(CHANNELS)) % CHANNELS for length in lengths])
    return np.eye(CHANNELS, dtype=np.uint8)[notes], lengths


@pytest.fixture
def file(tmp_path: Path) -> Path:
    parts = {}
    for seed, (name, count) in enumerate({"train": 30, "valid": 7, "test": 9}.items()):
        parts[name], parts[f"{name}_lengths"] = rolls(seed, count)
    np.savez(tmp_path / "rolls.npz", **parts)
    return tmp_path / "rolls.npz"


def opened(path: Path) -> Dataset:
    return rf.task("rolls").open(Setting(data=str(path), batch=4))


def test_each_step_is_predicted_from_those_before_it(file: Path) -> None:
    batch = opened(file).batch(0, 0)
    for n, length in enumerate(batch.lengths):
        assert np.array_equal(batch.y[: length - 1, n], batch.x[1:length, n])
        assert batch.y[:length, n].sum() == length


def test_the_parts_of_a_file_are_trained_on_held_out_and_evaluated(file: Path) -> None:
    data = opened(file)
    lengths = {name: rolls(seed, count)[1] - 1 for seed, (name, count) in enumerate([("t", 30), ("v", 7), ("e", 9)])}
    trained = np.concatenate([data.batch(0, number).lengths for number in range(data.batches)])
    assert sorted(trained) == sorted(lengths["t"])
    kept = np.concatenate([batch.lengths for batch in data.valid.batches()])
    assert np.array_equal(kept, lengths["v"])
    test = rf.task("rolls").examples(str(file), data.learnt, 4)
    assert test.name == f"the part test of {file}"
    assert np.array_equal(np.concatenate([batch.lengths for batch in test.batches()]), lengths["e"])


def test_the_measure_is_the_mean_over_rolls_of_the_loss_of_each_alone(file: Path) -> None:
    data = opened(file)
    network = rf.Network(["gru:hidden=5"], data.head, data.inputs, dtype="float64", seed=3)
    values, lengths = rolls(1, 7)
    losses, start = [], 0
    for length in lengths:
        roll = values[start : start + length, None].astype(float)
        losses.append(rf.Engine(network).evaluate(roll[:-1], roll[1:]).loss)
        start += length
    inference = rf.Inference(network)
    judged = score(inference, data.valid)
    assert judged.measures["nats/step, mean over rolls"] == pytest.approx(np.mean(losses), rel=1e-9)
    assert judged.loss == pytest.approx(np.average(losses, weights=lengths - 1), rel=1e-9)
    rows = list(data.valid.table(predictions(inference, data.valid)))
    assert [len(row["step"]) for row in rows] == (lengths - 1).tolist()
    assert [row["roll"][0] for row in rows] == list(range(7))


def test_training_learns_which_note_comes_next(run_command, file: Path, tmp_path: Path) -> None:
    words = ("--cell", "gru:hidden=16", "--batch", 6, "--epochs", 15, "--optimizer", "adam:lr=3e-2", "--quiet")
    run_command("train", "--task", "rolls", "--data", file, "--out", tmp_path / "run", *words)
    run_command("predict", tmp_path / "run", "--data", file, "--out", tmp_path / "out.npz")
    values, lengths = rolls(2, 9)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as columns:
        p = np.stack([columns[f"p({n})"] for n in range(CHANNELS)], axis=1)
    starts = np.cumsum(lengths) - lengths
    true = np.delete(values, starts, axis=0)  # all steps but the first of each roll
    assert np.mean((p > 0.5) == true) > 0.97


X = np.zeros((3, 4, 2), np.uint8)
BAD = {
    "another name": ({"z": X}, "has the arrays z; expected x and lengths, or train"),
    "a two": ({"x": X + 2}, "x holds 2; expected zeros and ones"),
    "a roll of one step": ({"x": X, "lengths": np.array([3, 1, 2])}, "roll 1 has 1 step; at least 2 are needed"),
    "other channels": ({"train": X, "valid": X[..., :1]}, "train has 2 channels, valid 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_holds_no_rolls_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    arrays, message = BAD[name]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError) as refusal:
        opened(tmp_path / "bad.npz")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_rolls_of_other_channels_are_refused_by_a_trained_model(file: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=X)
    with pytest.raises(DataError, match="has 2 channels; the model takes 6"):
        rf.task("rolls").examples(str(tmp_path / "other.npz"), opened(file).learnt, 1)


def test_fractions_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "rolls.npz", x=np.full((4, 5, 2), 0.5))
    with pytest.raises(DataError, match=r"holds 0\.5; expected zeros and ones"):
        opened(tmp_path / "rolls.npz")


def test_a_share_that_leaves_nothing_to_train_on_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "rolls.npz", x=np.ones((40, 5, 2)))
    with pytest.raises(DataError, match=r"40 samples, and --held-out 0\.99 keeps them all; lower --held-out"):
        rf.task("rolls").open(Setting(data=str(tmp_path / "rolls.npz"), held_out=0.99))
