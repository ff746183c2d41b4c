"""Words and subwords: any text is cut and put together again, and bits per byte are those of the text."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import DataError, PluginError
from rnnframe.plugin import Dataset, Setting

pytest.importorskip("tokenizers")

STORY = "Once upon a time there was a kettle.  It sang,\n\n\tand the cat listened to 12 songs. " * 80
STORY = STORY.rstrip()
ANY = st.text(st.characters(codec="utf-8"), max_size=60)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "story.txt"
    path.write_text(STORY)
    return path


def opened(path: Path, task: str = "subwords:size=400") -> Dataset:
    return rf.task(task).open(Setting(data=str(path), batch=4, steps=10))


@pytest.fixture(scope="module")
def learnt(story: Path):
    return opened(story).learnt


@given(text=ANY)
def test_any_text_is_cut_into_subwords_and_put_together_again(learnt, text: str) -> None:
    numbers = learnt.encode(text)
    assert learnt.decode(numbers) == text
    assert learnt.sizes()[numbers].sum() == len(text.encode())
    assert learnt.undrawn is None


def test_words_that_are_known_are_put_together_again_and_others_are_one_symbol(story: Path) -> None:
    words = opened(story, "words").learnt
    numbers = words.encode(STORY)
    assert words.decode(numbers) == STORY
    assert words.sizes()[numbers].sum() == len(STORY.encode())
    assert words.decode(words.encode("the dog listened")) == "\ufffd\ufffd listened"
    assert (words.encode("the dog listened") == words.undrawn).tolist() == [True, True, False]


def test_the_library_cuts_a_line_the_same_way(learnt) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(learnt.tokenizer)
    line = "the cat sang, and 12 kettles listened"
    assert learnt.encode(line).tolist() == tokenizer.encode(line).ids
    assert "".join(learnt.symbols()[learnt.encode(line)]) == line


def test_only_what_is_trained_on_teaches_the_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(STORY + "zebra zebra zebra " * 20)
    data = opened(tmp_path / "a.txt", "words")
    assert " zebra" not in data.learnt.symbols()
    assert "tokens are unknown to the model" in data.valid.remarks[0]


@pytest.mark.parametrize("task", ["words", "subwords"])
def test_a_model_of_tokens_is_trained_judged_and_writes(task: str, story: Path, run_command, tmp_path: Path) -> None:
    words = ("--cell", "gru:hidden=16", "--batch", 4, "--steps", 20, "--epochs", 4, "--sample", 0, "--quiet")
    run_command("train", "--task", f"{task}:size=400", "--data", story, "--out", tmp_path / "run", *words)
    judged = json.loads(run_command("evaluate", tmp_path / "run", "--data", story, "--json"))
    run_command("predict", tmp_path / "run", "--data", story, "--out", tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as columns:
        nats, tokens = columns["nats"].sum(dtype=np.float64), columns["token"].tolist()
    first = "Once"
    assert first + "".join(tokens) == STORY
    size = len(STORY.encode()) - len(first)
    assert judged["bits_per_byte"] == pytest.approx(nats / math.log(2) / size, rel=1e-4)
    text = run_command("sample", tmp_path / "run", "--length", 12, "--prime", "Once upon")
    assert task == "subwords" or "\ufffd" not in text  # bytes may be drawn that are no UTF-8
    assert len(text) > 12


def test_a_text_that_is_too_short_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a few words")
    with pytest.raises(DataError, match="batch=4 needs at least 9 and 3: lower --batch or give a longer text"):
        opened(tmp_path / "a.txt")
    (tmp_path / "b.txt").write_bytes(b"abc\xff")
    with pytest.raises(DataError, match="is no UTF-8 text: byte 0xff at offset 3"):
        opened(tmp_path / "b.txt")


def test_a_damaged_tokenizer_is_refused(learnt) -> None:
    with pytest.raises(ValueError, match="no tokenizer"):
        type(learnt)(tokenizer=learnt.tokenizer[:-5], bytes=True)


def test_without_the_library_the_extra_is_named(story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(PluginError, match=r"pip install 'rnnframe\[tokens\]'"):
        opened(story)
