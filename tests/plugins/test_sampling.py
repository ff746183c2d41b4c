"""Text that a model writes: how characters are drawn, what it goes on from, and what is unknown to it."""

import json
import math
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import OptionError
from rnnframe.runs.sampling import Drawing, sample_text
from rnnframe_tasks.text import Vocabulary

TEXT = "the quick brown fox jumps over the lazy dog\n" * 60
WEIGHTS = st.lists(st.integers(0, 50), min_size=2, max_size=12).filter(any)


@given(WEIGHTS, st.floats(0.3, 3), st.none() | st.integers(1, 14), st.none() | st.floats(0.05, 1))
def test_what_can_be_drawn_is_what_torch_says_of_top_k_and_top_p(
    weights: list[int], temperature: float, top_k: int | None, top_p: float | None
) -> None:
    torch = pytest.importorskip("torch")
    p = np.array(weights) / sum(weights)
    left = torch.softmax(torch.log(torch.tensor(p)) / temperature, 0)
    if top_k is not None:
        least = torch.topk(left, min(top_k, len(p))).values[-1]
        left = torch.where(left >= least, left, 0)  # those as likely as the last one count too
        left /= left.sum()
    if top_p is not None:
        ordered, places = torch.sort(left, descending=True)
        left[places[(torch.cumsum(ordered, 0) - ordered) >= top_p + 1e-9]] = 0
    rng = np.random.default_rng(0)
    drawing = Drawing(temperature=temperature, top_k=top_k, top_p=top_p)
    drawn = {drawing.choose(p, rng) for _ in range(50)}
    assert all(left[n] > 0 for n in drawn)
    assert not top_k or len(drawn) <= top_k


def test_frequencies_are_those_of_the_distribution_that_is_left() -> None:
    p = np.array([0.1, 0.5, 0.15, 0.25])
    rng = np.random.default_rng(0)
    drawing = Drawing(temperature=1, top_k=3, top_p=0.8)  # 0.5, 0.25, 0.15 -> 5/9, 5/18 have more than 0.8 together
    counts = np.bincount([drawing.choose(p, rng) for _ in range(6000)], minlength=4)
    assert counts[[0, 2]].sum() == 0
    assert counts[1] / 6000 == pytest.approx(2 / 3, abs=0.03)


@pytest.mark.parametrize("options", [{"temperature": -1}, {"temperature": math.nan}, {"top_k": 0}, {"top_p": 1.5}])
def test_options_that_are_out_of_range_are_refused(options: dict) -> None:
    with pytest.raises(OptionError, match=f"{next(iter(options))}=.* is out of range; expected"):
        Drawing(**options)


def network(size: int) -> rf.Network:
    return rf.Network(["gru:hidden=16"], f"softmax:classes={size}", size, seed=1, embedding_std=1.0)


def test_the_unknown_symbol_is_read_and_never_written() -> None:
    vocabulary, model = Vocabulary("ab", unknown=True), network(3)
    model.parameters["head.c"][:] = [0, 0, 5]  # by far the likeliest
    for temperature in (0, 1):
        text = sample_text(model, vocabulary, 40, prime="a?b", drawing=Drawing(temperature=temperature))
        assert set(text) <= {"a", "b"}


def test_what_is_written_follows_from_all_of_the_beginning() -> None:
    vocabulary, model = Vocabulary("abc"), network(3)
    prime = "abcbacab" * 700  # more than are read at once
    inference = rf.Inference(model)
    outputs, _ = inference.predict(vocabulary.encode(prime)[:, None])
    written = sample_text(model, vocabulary, 1, prime=prime, drawing=Drawing(temperature=0), kernels="numpy")
    assert written == vocabulary.decode(np.array([outputs[-1, 0].argmax()]))


def test_a_beginning_of_any_length_takes_the_same_memory() -> None:
    vocabulary, model = Vocabulary("".join(map(chr, range(32, 232)))), network(200)

    def peak(length: int) -> int:
        prime = vocabulary.decode(np.random.default_rng(0).integers(0, 200, length))
        tracemalloc.start()
        sample_text(model, vocabulary, 2, prime=prime, kernels="numpy")
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    short, long = peak(5_000), peak(50_000)  # whose distributions would take 40 MB
    assert long - short < 45_000 * 32  # the text itself and its numbers


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    (folder / "text.txt").write_text(TEXT)
    options = rf.TrainingOptions(data=str(folder / "text.txt"), cell=("gru:hidden=16",), batch=8, steps=20, epochs=1)
    with rf.Training(options, run=folder / "run") as training:
        training.fit()
    return folder / "run"


def typed(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rnnframe", *map(str, words)], capture_output=True, text=True, check=False
    )


def test_one_strange_character_is_told_and_does_not_stop_an_evaluation(run: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text(TEXT + "the éclair\n")
    done = typed("evaluate", run, "--data", tmp_path / "other.txt")
    assert done.returncode == 0
    assert "1 character was not in the training text and read as unknown, the first 'é' in line 61" in done.stderr
    assert "bits/byte" not in done.stdout  # what it stands for cannot be told from the symbol


def test_bits_per_byte_are_the_cost_of_all_characters_over_their_bytes(run: Path, tmp_path: Path) -> None:
    data = tmp_path / "some.txt"
    data.write_text("the lazy fox jumps over the dog\n" * 50)
    judged = json.loads(typed("evaluate", run, "--data", data, "--json").stdout)
    typed("predict", run, "--data", data, "--out", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as columns:
        nats = columns["nats"].sum(dtype=np.float64)
    size = len(data.read_bytes()) - 1  # the first character is no target
    assert judged["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-4)
    assert f"{judged['bits_per_byte']:.4f} bits/byte" in typed("evaluate", run, "--data", data).stdout


def test_a_beginning_may_stand_in_a_file(run: Path, tmp_path: Path) -> None:
    (tmp_path / "prime.txt").write_text("the quick\n")
    words = ("--length", 20, "--top-k", 5, "--top-p", 0.9, "--json")
    from_file = json.loads(typed("sample", run, "--prime-file", tmp_path / "prime.txt", *words).stdout)
    assert from_file == json.loads(typed("sample", run, "--prime", "the quick\n", *words).stdout)
    assert (from_file["top_k"], from_file["top_p"], len(from_file["text"])) == (5, 0.9, 20)
    strange = typed("sample", run, "--prime", "Ünknown", "--length", 3)
    assert strange.returncode == 0
    assert "the text to continue: 1 symbol of it is not in the training text and read as unknown" in strange.stderr


WRONG = {
    "two beginnings": (("--prime", "a", "--prime-file", "b"), "both give the text to continue"),
    "no file": (("--prime-file", "nothing.txt"), "cannot read --prime-file 'nothing.txt': No such file or directory"),
    "no share": (("--top-p", "0"), "top_p=0.0 is out of range; expected more than 0 and at most 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_beginning_that_cannot_be_read_is_refused(run: Path, name: str) -> None:
    words, message = WRONG[name]
    done = typed("sample", run, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
