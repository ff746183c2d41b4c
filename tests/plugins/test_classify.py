import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import DataError
from rnnframe.plugin import Dataset, Setting
from rnnframe.runs.scoring import predictions, score
from rnnframe_tasks.sequences import Sequences, Shuffled
from rnnframe_tasks.ts import read_ts

SAMPLES, CHANNELS = 60, 2


def made(seed: int, samples: int = SAMPLES) -> tuple[list[np.ndarray], list[str]]:
    """Return sequences of 3 to 12 steps: class "down" falls, "up" rises; the second channel is noise."""
    rng = np.random.default_rng(seed)
    sequences, labels = [], []
    for n in range(samples):
        steps = int(rng.integers(3, 13))
        slope = 1 if n % 2 else -1
        rise = 100 + slope * np.arange(steps) + rng.normal(0, 0.2, steps)
        sequences.append(np.stack([rise, rng.normal(0, 3, steps)], axis=1))
        labels.append("up" if n % 2 else "down")
    return sequences, labels


def write_ts(path: Path, sequences: list[np.ndarray], labels: list[str]) -> Path:
    head = "# made here\n@problemName slopes\n@timestamps false\n@classLabel true down up\n@data\n"
    lines = (
        ":".join(",".join(map(repr, channel.tolist())) for channel in sequence.T) + f":{label}"
        for sequence, label in zip(sequences, labels, strict=True)
    )
    path.write_text(head + "\n".join(lines) + "\n")
    return path


def write_npz(path: Path, sequences: list[np.ndarray], labels: list[str] | None) -> Path:
    lengths = np.array([len(sequence) for sequence in sequences])
    x = np.full((len(sequences), lengths.max(), CHANNELS), np.nan)  # what stands behind a sample is not read
    for n, sequence in enumerate(sequences):
        x[n, : len(sequence)] = sequence
    np.savez(path, x=x, lengths=lengths, **({} if labels is None else {"y": np.array(labels)}))
    return path


@pytest.fixture
def slopes(tmp_path: Path) -> Path:
    return write_ts(tmp_path / "slopes.ts", *made(0))


def opened(path: Path, **setting: object) -> Dataset:
    return rf.task("classify").open(Setting(data=str(path), **{"batch": 8, "held_out": 0.2, **setting}))


def test_a_ts_file_is_read_as_it_was_written(slopes: Path) -> None:
    sequences, labels = made(0)
    read = read_ts(str(slopes))
    assert np.array_equal(read.sequences.values, np.concatenate(sequences))
    assert read.sequences.lengths.tolist() == [len(sequence) for sequence in sequences]
    assert read.targets is not None
    assert read.targets.tolist() == labels


@pytest.mark.parametrize("end_to_end", [False, True])
def test_the_same_samples_in_a_npz_make_the_same_batches(slopes: Path, tmp_path: Path, end_to_end: bool) -> None:
    sequences, labels = made(0)
    other = write_npz(tmp_path / "slopes.npz", sequences, labels)
    if end_to_end:
        lengths = np.array([len(sequence) for sequence in sequences])
        np.savez(other, x=np.concatenate(sequences), lengths=lengths, y=np.array(labels))
    wanted, found = opened(slopes), opened(other)
    assert wanted.learnt == found.learnt
    for number in range(wanted.batches):
        one, two = wanted.batch(1, number), found.batch(1, number)
        assert np.array_equal(one.x, two.x)
        assert np.array_equal(one.y, two.y)
        assert np.array_equal(one.lengths, two.lengths)


def test_every_sample_is_trained_on_once_an_epoch_or_held_out(slopes: Path) -> None:
    data = opened(slopes)
    for epoch in range(2):
        batches = [data.batch(epoch, number) for number in range(data.batches)]
        ends = [batch.x[length - 1, n] for batch in batches for n, length in enumerate(batch.lengths)]
        kept = [batch.x[length - 1, n] for batch in data.valid.batches() for n, length in enumerate(batch.lengths)]
        whole = np.concatenate([ends, kept]) * data.learnt.scale.spread + data.learnt.scale.mean
        wanted = np.array([sequence[-1] for sequence in made(0)[0]])
        assert len(kept) == 12
        order, true = np.lexsort(whole.T), np.lexsort(wanted.T)
        assert np.allclose(whole[order], wanted[true], atol=1e-3)


@given(st.integers(1, 50), st.integers(1, 20), st.integers(0, 3))
def test_an_epochs_order_is_a_permutation_that_another_epoch_does_not_have(count: int, batch: int, seed: int) -> None:
    order = Shuffled(count, batch, seed)
    epochs = [np.concatenate([order.chosen(epoch, n) for n in range(order.batches)]) for epoch in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(count))
    assert [order.size(n) for n in range(order.batches)] == [len(order.chosen(0, n)) for n in range(order.batches)]
    assert count < 10 or not np.array_equal(epochs[0], epochs[1])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.randoms())
def test_padding_puts_every_sequence_at_its_own_beginning(lengths: list[int], random) -> None:
    values = np.arange(1, sum(lengths) + 1)[:, None]
    sequences = Sequences(values, np.array(lengths))
    chosen = np.array(random.sample(range(len(lengths)), random.randint(1, len(lengths))))
    block, taken = sequences.padded(chosen), sequences.take(chosen)
    ends = np.cumsum(lengths)
    for column, n in enumerate(chosen):
        mine = values[ends[n] - lengths[n] : ends[n]]
        assert np.array_equal(block[: lengths[n], column], mine)
        assert not block[lengths[n] :, column].any()
    assert np.array_equal(taken.values, np.concatenate([block[: lengths[n], c] for c, n in enumerate(chosen)]))


def test_training_tells_the_classes_apart_and_files_without_classes_are_predicted(
    run_command, slopes: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = (
        "--cell",
        "gru:hidden=8",
        "--batch",
        10,
        "--epochs",
        12,
        "--optimizer",
        "adam:lr=2e-2",
        "--json",
        "--quiet",
    )
    trained = json.loads(run_command("train", "--task", "classify", "--data", slopes, "--out", run, *words))
    assert trained["measures"]["accuracy"] > 0.9
    sequences, labels = made(1, 41)
    test = write_ts(tmp_path / "test.ts", sequences, labels)
    judged = json.loads(run_command("evaluate", run, "--data", test, "--json"))
    assert judged["measures"]["accuracy"] > 0.9
    assert judged["count"] == 41
    bare = write_npz(tmp_path / "bare.npz", sequences, None)
    run_command("predict", run, "--data", bare, "--out", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    right = [row["class"] == label for row, label in zip(rows, labels, strict=True)]
    assert np.mean(right) == pytest.approx(judged["measures"]["accuracy"])
    assert all(float(row["p(up)"]) + float(row["p(down)"]) == pytest.approx(1, abs=1e-5) for row in rows)


def test_a_sample_is_predicted_alike_alone_and_beside_longer_ones(run_command, slopes: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run_command("train", "--task", "classify", "--data", slopes, "--out", run, "--epochs", 1, "--quiet")
    sequences, labels = made(2, 9)
    peaks = write_ts(tmp_path / "all.ts", sequences, labels)
    run_command("predict", run, "--data", peaks, "--out", tmp_path / "all.npz")
    with np.load(tmp_path / "all.npz", allow_pickle=False) as columns:
        wanted = columns["p(up)"]
    for n, (sequence, label) in enumerate(zip(sequences, labels, strict=True)):
        write_ts(tmp_path / "one.ts", [sequence], [label])
        run_command("predict", run, "--data", tmp_path / "one.ts", "--out", tmp_path / "one.npz")
        with np.load(tmp_path / "one.npz", allow_pickle=False) as columns:
            assert columns["p(up)"] == pytest.approx(wanted[n], abs=1e-5)


def test_a_resumed_training_goes_on_bit_for_bit(run_command, slopes: Path, tmp_path: Path) -> None:
    words = ("--task", "classify", "--data", slopes, "--cell", "gru:hidden=4", "--batch", 9, "--epochs", 3, "--quiet")
    run_command("train", *words, "--out", tmp_path / "whole")
    for stop in (1, 5, 6, 11):
        run_command("train", *words, "--out", tmp_path / f"run{stop}", "--stop-after", stop)
        run_command("train", "--resume", tmp_path / f"run{stop}", "--quiet")
        weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", f"run{stop}")]
        assert weights[0] == weights[1]


TS = {
    "no header": ("1,2:3,4:a\n", "has no line @data"),
    "no samples": ("@classLabel true a b\n@data\n", "has no samples after @data"),
    "time stamps": ("@timestamps true\n@data\n(1,2):a\n", "has time stamps"),
    "a gap": (
        "@classLabel true a b\n@data\n1,?,3:1,2,3:a\n",
        "sample 1 has no value at step 2 of channel 1 (all from 1); fill it in, or add missing=last",
    ),
    "a word": (
        "@classLabel true a b\n@data\n1,2:3,x:a\n",
        "line 3, channel 2: value 2 is 'x'; expected a number, or ? for a missing value",
    ),
    "channels that end early": ("@classLabel true a b\n@data\n1,2:3:a\n", "line 3: the channels have 1 and 2 steps"),
    "fewer channels": ("@classLabel true a b\n@data\n1:2:a\n1:b\n", "line 4: 1 channels; the samples before have 2"),
    "nothing but a class": ("@classLabel true a b\n@data\na\n", "line 3: the channels have no steps"),
    "infinity": ("@classLabel true a b\n@data\ninf,1:a\n", "sample 1 holds infinite values"),
    "one class": ("@classLabel true a\n@data\n1:a\n2:a\n", "has the class 'a' alone; at least 2 are needed"),
    "one sample": ("@classLabel true a b\n@data\n1:a\n", "has 1 samples; at least 2 are needed, one of them held out"),
    "no classes": ("@classLabel false\n@data\n1,2\n2,3\n", "has no classes to learn"),
}


@pytest.mark.parametrize("name", TS)
def test_a_ts_file_that_is_none_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    content, message = TS[name]
    path = tmp_path / "bad.ts"
    path.write_text(content)
    with pytest.raises(DataError) as refusal:
        opened(path)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


X, Y = np.zeros((4, 5, 2)), np.arange(4)
NPZ = {
    "no x": ({"z": X}, "has the arrays z; expected x, y and lengths"),
    "objects": (
        {"x": np.array([{}, 1], object)},
        "is damaged or no NPZ of plain arrays: Object arrays",
    ),
    "texts": ({"x": np.array([["a"]])}, "x holds <U1; expected numbers"),
    "one dimension": ({"x": np.zeros(3)}, "x has shape [3]; expected [samples, steps, channels]"),
    "no samples": ({"x": np.zeros((0, 5, 2))}, "x has shape [0, 5, 2]; expected at least one step, sample and channel"),
    "NaN": (
        {"x": np.where(np.arange(40).reshape(4, 5, 2) == 22, np.nan, 0)},
        "sample 3 has no value at step 2 of channel 1 (all from 1)",
    ),
    "lengths that are too large": ({"x": X, "lengths": Y + 4}, "4 samples of up to 5 steps, but 4 lengths of up to 7"),
    "too few lengths": ({"x": X, "lengths": Y[:2] + 1}, "4 samples of up to 5 steps, but 2 lengths"),
    "a length of zero": ({"x": X, "lengths": Y}, "lengths are int64 [4]; expected integers [samples] above 0"),
    "lengths that are no numbers": ({"x": X, "lengths": np.array(["a"])}, "lengths are <U1 [1]; expected integers"),
    "too few classes": ({"x": X, "y": Y[:3]}, "y is int64 [3]; expected numbers or texts, one for each of 4 samples"),
    "classes that are numbers": (
        {"x": X, "y": Y / 2},
        "has numbers as targets, such as 0; learn them with --task regress",
    ),
}


@pytest.mark.parametrize("name", NPZ)
def test_a_npz_that_holds_no_sequences_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    arrays, message = NPZ[name]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError) as refusal:
        opened(tmp_path / "bad.npz")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "pickle", "a single array"])
def test_a_damaged_npz_is_told_in_one_line(tmp_path: Path, damage: str) -> None:
    path = write_npz(tmp_path / "data.npz", *made(0))
    raw = bytearray(path.read_bytes())
    if damage == "a single array":
        np.save(tmp_path / "array.npy", X)
        raw = bytearray((tmp_path / "array.npy").read_bytes())
    if damage == "flipped":
        raw[len(raw) // 3] ^= 0xFF
    forms = {"truncated": raw[:-40], "text": b"hello", "pickle": b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93."}
    path.write_bytes(bytes(forms.get(damage, raw)))
    with pytest.raises(DataError) as refusal:
        opened(path)
    assert str(refusal.value).startswith(f"data file {str(path)!r} ")
    assert "\n" not in str(refusal.value)


def test_other_channels_and_unknown_classes_are_refused_by_a_trained_model(slopes: Path, tmp_path: Path) -> None:
    task, learnt = rf.task("classify"), opened(slopes).learnt
    sequences, labels = made(0, 4)
    with pytest.raises(DataError, match="has 1 channels; the model takes 2"):
        task.examples(str(write_ts(tmp_path / "one.ts", [s[:, :1] for s in sequences], labels)), learnt, 4)
    path = write_ts(tmp_path / "odd.ts", sequences, ["up", "down", "sideways", "up"])
    path.write_text(path.read_text().replace("down up", "down sideways up"))
    examples = task.examples(str(path), learnt, 4)  # which can be predicted for
    inference = rf.Inference(rf.Network(["gru:hidden=2"], "softmax:classes=2,at=last", 2))
    with pytest.raises(DataError, match="sample 3 is of class 'sideways'; the model knows down, up"):
        score(inference, examples)
    assert len(list(examples.table(predictions(inference, examples)))) == 1
