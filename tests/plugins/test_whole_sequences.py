"""What `classify` and `regress` share: parts, weights of classes, gaps, numbers, and what is found of each class."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import DataError
from rnnframe.plugin import Dataset, Setting
from rnnframe.runs.confusion import Confusion
from rnnframe_tasks.gaps import filled
from rnnframe_tasks.parts import held_out_of_each
from rnnframe_tasks.sequences import Sequences


def opened(path: Path, task: str = "classify", **setting: object) -> Dataset:
    return rf.task(task).open(Setting(data=str(path), **{"batch": 8, "held_out": 0.2, **setting}))


def jsonl(path: Path, *lines: dict) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=8).filter(lambda sizes: max(sizes) > 1),
    st.floats(0.01, 0.99),
    st.integers(0, 3),
)
def test_every_class_is_divided_alike_and_always_trained_on(sizes: list[int], share: float, seed: int) -> None:
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    if round(len(y) * share) >= len(y):
        return
    train, kept = held_out_of_each(y, share, seed, "it")
    assert sorted([*train, *kept]) == list(range(len(y)))
    assert len(kept) == min(max(1, round(len(y) * share)), len(y) - len(sizes))
    of_class = np.bincount(y[kept], minlength=len(sizes))
    room = np.array(sizes) - 1
    assert (of_class <= room).all()
    if (room >= np.ceil(np.array(sizes) * share)).all():  # no class is too small for its share
        assert (np.abs(of_class - np.array(sizes) * share) <= 1 + 1e-9).all()
    again = held_out_of_each(y, share, seed, "it")
    assert np.array_equal(kept, again[1])


def test_classes_without_held_out_samples_and_without_samples_are_named(tmp_path: Path) -> None:
    lines = [{"x": [n, 1], "y": "ab"[n % 2]} for n in range(10)] + [{"x": [3, 4], "y": "rare"}]
    data = opened(jsonl(tmp_path / "a.jsonl", *lines))
    assert data.remarks == (
        "nothing is held out of class rare, with too few samples: no validation tells how it is learnt",
    )
    text = "@classLabel true a b c d\n@data\n" + "".join(f"{n},1:{'ab'[n % 2]}\n" for n in range(10))
    (tmp_path / "a.ts").write_text(text)
    data = opened(tmp_path / "a.ts")
    assert data.remarks == ("no sample is of classes c, d, which its header names; the model will not know it",)


def test_balanced_weights_are_those_of_scikit_learn(tmp_path: Path) -> None:
    """compute_class_weight("balanced"): n_samples / (n_classes * np.bincount(y)), of the training part."""
    y = np.array([0] * 12 + [1] * 6 + [2] * 2)
    np.savez(tmp_path / "a.npz", x=np.zeros((20, 3)), y=y)
    data = opened(tmp_path / "a.npz", "classify:class_weights=balanced", held_out=0.5)
    counts = np.bincount(data.y)
    assert counts.tolist() == [6, 3, 1]
    head = rf.default_registry().head(data.head)
    assert head.loss.class_weights == pytest.approx((10 / 18, 10 / 9, 10 / 3))
    network = rf.Network(["gru:hidden=2"], data.head, 1)
    batch = data.batch(0, 0)
    assert np.isfinite(rf.Engine(network).gradients(batch.x, batch.y, lengths=batch.lengths).loss)


SEQUENCES = Sequences(np.array([[1, np.nan], [np.nan, 2], [np.nan, np.nan], [np.nan, 5], [4, 6.0]]), np.array([3, 2]))


def test_a_gap_is_the_last_known_value_of_its_own_sample_or_the_mean() -> None:
    mean = np.array([10.0, 20.0])
    assert filled(SEQUENCES, "last", mean).values.tolist() == [[1, 20], [1, 2], [1, 2], [10, 5], [4, 6]]
    assert filled(SEQUENCES, "mean", mean).values.tolist() == [[1, 20], [10, 2], [10, 20], [10, 5], [4, 6]]


@pytest.mark.parametrize("missing", ["last", "mean"])
def test_gaps_count_in_no_scale_and_are_read_in_training_and_prediction(tmp_path: Path, missing: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(50, 3, (40, 6))
    x[rng.random(x.shape) < 0.3] = np.nan
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(40) % 2)
    data = opened(tmp_path / "a.npz", f"classify:missing={missing}")
    rows = held_out_of_each(np.arange(40) % 2, 0.2, 0, "it")[0]
    assert data.learnt.mean == pytest.approx([np.nanmean(x[rows])])
    assert data.learnt.spread == pytest.approx([np.nanstd(x[rows])])
    assert data.learnt.fill == pytest.approx([np.nanmean(x[rows])])
    assert all(np.isfinite(data.batch(0, n).x).all() for n in range(data.batches))
    examples = rf.task(f"classify:missing={missing}").examples(str(tmp_path / "a.npz"), data.learnt, 40)
    (batch,) = examples.batches()
    found = batch.x[:, :, 0].T * data.learnt.spread[0] + data.learnt.mean[0]
    assert np.allclose(found[~np.isnan(x)], x[~np.isnan(x)], atol=1e-4)
    if missing == "mean":
        assert np.allclose(found[np.isnan(x)], np.nanmean(x[rows]), atol=1e-4)
    with pytest.raises(DataError, match=r"missing=last or missing=mean"):
        opened(tmp_path / "a.npz")


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 5), st.integers(1, 3))
def test_a_frame_holds_neighbouring_steps_and_the_last_one_is_filled_up(
    lengths: list[int], frame: int, channels: int
) -> None:
    values = np.arange(sum(lengths) * channels).reshape(-1, channels)
    framed = Sequences(values, np.array(lengths)).framed(frame)
    wanted = []
    for part in np.split(values, np.cumsum(lengths)[:-1]):
        rows = part.tolist()
        rows += [rows[-1]] * (-len(rows) % frame)
        wanted += [np.ravel(rows[start : start + frame]).tolist() for start in range(0, len(rows), frame)]
    assert framed.values.tolist() == wanted
    assert framed.lengths.tolist() == [-(-length // frame) for length in lengths]


def test_a_model_of_frames_is_judged_as_it_was_trained(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).normal(0, 1, (20, 7, 2)), y=np.arange(20) % 2)
    data = opened(tmp_path / "a.npz", "classify:frame=3")
    assert data.inputs == 6
    assert data.batch(0, 0).x.shape == (3, 8, 6)
    (batch,) = rf.task("classify:frame=3").examples(str(tmp_path / "a.npz"), data.learnt, 20).batches()
    assert batch.x.shape == (3, 20, 6)


def test_a_channel_without_any_value_is_refused(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "a.jsonl", *({"x": [[n, None]], "y": n % 2} for n in range(8)))
    with pytest.raises(DataError, match="channel 2 has no value in the training part"):
        opened(path, "classify:missing=mean")


def test_a_number_is_learnt_and_judged_in_its_own_unit(run_command, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)

    def lines(count: int) -> list[dict]:
        made = [rng.normal(0, 1, int(rng.integers(3, 9))) for _ in range(count)]
        return [{"x": x.tolist(), "y": 1000 + 50 * float(x.mean())} for x in made]

    train, test = jsonl(tmp_path / "train.jsonl", *lines(200)), lines(60)
    words = ("--cell", "gru:hidden=16", "--batch", 16, "--epochs", 20, "--optimizer", "adam:lr=1e-2", "--quiet")
    run_command("train", "--task", "regress", "--data", train, "--out", tmp_path / "run", *words)
    judged = json.loads(
        run_command("evaluate", tmp_path / "run", "--data", jsonl(tmp_path / "t.jsonl", *test), "--json")
    )
    bare = jsonl(tmp_path / "bare.jsonl", *({"x": line["x"]} for line in test))
    run_command("predict", tmp_path / "run", "--data", bare, "--out", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as columns:
        errors = columns["value"] - [line["y"] for line in test]
    measures = judged["measures"]
    assert measures["mean absolute error"] == pytest.approx(np.abs(errors).mean(), rel=1e-5)
    assert measures["root mean squared error"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-5)
    assert measures["root mean squared error"] < measures["that of the mean"] / 2
    with open(train) as file:
        of_train = [json.loads(line)["y"] for line in file]
    assert measures["that of the mean"] == pytest.approx(np.std(of_train), rel=0.5)


WRONG = {
    "classes": ("regress", [{"x": [1], "y": "a"}, {"x": [2], "y": "b"}], "has classes as targets, such as 'a'"),
    "numbers": ("classify", [{"x": [1], "y": 0.5}, {"x": [2], "y": 1}], "has numbers as targets, such as 0.5"),
    "no numbers": ("regress", [{"x": [1]}, {"x": [2]}], "has no numbers to learn"),
}


@pytest.mark.parametrize("name", WRONG)
def test_targets_of_the_other_kind_are_refused_with_the_task_that_takes_them(tmp_path: Path, name: str) -> None:
    task, lines, message = WRONG[name]
    with pytest.raises(DataError) as refusal:
        opened(jsonl(tmp_path / "a.jsonl", *lines), task)
    assert message in str(refusal.value)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=40))
def test_the_scores_of_classes_are_those_of_their_definitions(pairs: list[tuple[int, int]]) -> None:
    confusion = Confusion(("a", "b", "c", "d"))
    for start in range(0, len(pairs), 7):
        part = np.array(pairs[start : start + 7])
        confusion.add(part[:, 0], part[:, 1])
    recalls = []
    for n, score in enumerate(confusion.by_class()):
        right = sum(true == chosen == n for true, chosen in pairs)
        of_class, taken = [true for true, _ in pairs].count(n), [chosen for _, chosen in pairs].count(n)
        assert score.count == of_class
        assert score.precision == (right / taken if taken else None)
        assert score.recall == (right / of_class if of_class else None)
        if score.precision and score.recall:
            assert score.f1 == pytest.approx(2 / (1 / score.precision + 1 / score.recall))
        if score.recall is not None:
            recalls.append(score.recall)
    assert confusion.balanced_accuracy == pytest.approx(np.mean(recalls) if recalls else 0)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a run of three classes, one of which is rare, and a file to judge it by."""
    folder, rng = tmp_path_factory.mktemp("classes"), np.random.default_rng(0)
    y = rng.choice(3, 90, p=[0.5, 0.4, 0.1])
    x = y[:, None] + rng.normal(0, 0.8, (90, 5))
    np.savez(folder / "data.npz", x=x, y=np.array(["low", "middle", "high"])[y], other=np.zeros((2, 2)))
    options = rf.TrainingOptions(task="classify", data=str(folder / "data.npz"), cell=("gru:hidden=6",), epochs=4)
    with rf.Training(options, run=folder / "run") as training:
        training.fit()
    return folder / "run", folder / "data.npz"


def test_evaluate_tells_of_every_class_what_the_predictions_say(trained, run_command, tmp_path: Path) -> None:
    run, data = trained
    judged = json.loads(run_command("evaluate", run, "--data", data, "--json"))
    run_command("predict", run, "--data", data, "--out", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        chosen = [row["class"] for row in csv.DictReader(file)]
    with np.load(data, allow_pickle=False) as arrays:
        true = arrays["y"].tolist()
    labels = ["high", "low", "middle"]
    assert [each["label"] for each in judged["classes"]] == labels
    pairs = list(zip(true, chosen, strict=True))
    assert judged["confusion"] == [[pairs.count((row, column)) for column in labels] for row in labels]
    assert judged["measures"]["accuracy"] == pytest.approx(np.trace(judged["confusion"]) / 90)


def test_evaluate_prints_classes_and_draws_them(trained, run_command, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason='the picture needs: pip install "rnnframe[plot]"')
    run, data = trained
    for picture in (tmp_path / "c.svg", tmp_path / "c.png"):
        said = run_command("evaluate", run, "--data", data, "--plot", picture)
        assert picture.stat().st_size > 1000
    assert "balanced accuracy: 0." in said
    assert "class   samples  precision  recall  f1" in said
    assert "true class (rows) and chosen class (columns):" in said
    assert "90" in (tmp_path / "c.svg").read_text()


def test_arrays_that_are_not_read_are_told_on_stderr(trained, tmp_path: Path) -> None:
    run, data = trained
    words = ("predict", run, "--data", data, "--out", tmp_path / "out.csv")
    done = subprocess.run(
        [sys.executable, "-m", "rnnframe", *map(str, words)], capture_output=True, text=True, check=True
    )
    assert done.stderr == f"rnnframe: remark: {data}: its array other [2, 2] was not read\n"


def test_a_run_of_before_there_were_gaps_is_still_read(tmp_path: Path) -> None:
    learnt = rf.task("classify").learns(labels=["a", "b"], mean=[1.0], spread=[2.0])
    np.savez(tmp_path / "a.npz", x=np.ones((2, 3)), y=np.array(["b", "a"]))
    examples = rf.task("classify").examples(str(tmp_path / "a.npz"), learnt, 2)
    (batch,) = examples.batches()
    assert batch.y.tolist() == [1, 0]
    assert not batch.x.any()
    assert attrs.asdict(learnt)["fill"] == ()
