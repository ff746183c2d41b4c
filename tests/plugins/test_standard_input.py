"""Text from standard input: read once, in pages, no further than asked for; resumed by feeding it again."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import DataError
from rnnframe.plugin import Setting
from rnnframe_tasks.standard_input import ByteCharacters, Pages, StandardInput, TextCharacters
from rnnframe_tasks.text import Vocabulary

TEXT = "".join(f"{n}: the quick brown fox jumps over the lazy dog {n * 7 % 13} times.\n" for n in range(200))


def piped(raw: bytes) -> int:
    """Return a descriptor that these bytes come out of, a few at a time."""
    out, into = os.pipe()

    def write() -> None:
        with open(into, "wb", buffering=0) as file:
            for start in range(0, len(raw), 7):
                file.write(raw[start : start + 7])

    threading.Thread(target=write).start()
    return out


@pytest.fixture
def pages() -> Iterator[Callable[..., Pages]]:
    """Make pages of a text; what was not read is read at the end, so that its writer ends too."""
    opened: list[int] = []

    def make(text: str, steps: int, batch: int) -> Pages:
        opened.append(piped(text.encode()))
        characters = TextCharacters(opened[-1], Vocabulary.of(text))
        return Pages(characters=characters, steps=steps, batch=batch)

    yield make
    for descriptor in opened:
        while os.read(descriptor, 1 << 16):
            pass
        os.close(descriptor)


@given(text=st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), counts=st.lists(st.integers(0, 20)))
def test_characters_come_in_order_and_no_more_than_asked_for(text: str, counts: list[int]) -> None:
    descriptor, vocabulary = piped(text.encode()), Vocabulary.of(text)
    characters, read = TextCharacters(descriptor, vocabulary), 0
    for count in (*counts, len(text)):
        numbers = characters.read(count)
        assert vocabulary.decode(numbers) == text[read : read + count]
        read += len(numbers)
    os.close(descriptor)


def test_bytes_are_characters_where_no_vocabulary_is_given() -> None:
    descriptor = piped(bytes(range(256)))
    assert ByteCharacters(descriptor).read(300).tolist() == list(range(256))
    os.close(descriptor)


def test_one_stream_is_the_text_from_page_to_page_and_its_state_is_carried_on(pages: Callable[..., Pages]) -> None:
    data = dataset(pages(TEXT, 60, 1), steps=20)
    batches = [data.batch(epoch, number) for epoch in range(3) for number in range(data.batches)]
    assert [batch.carry for batch in batches] == [False] + [True] * 8
    x, y = (np.concatenate([getattr(batch, name) for batch in batches])[:, 0] for name in "xy")
    numbers = Vocabulary.of(TEXT).encode(TEXT)
    assert np.array_equal(x, numbers[:180])
    assert np.array_equal(y, numbers[1:181])


def dataset(pages: Pages, steps: int) -> StandardInput:
    return StandardInput(
        inputs=2,
        head="softmax:classes=2",
        learnt=None,
        digest="",
        valid=rf.task("characters").open(Setting()).valid,
        pages=pages,
        steps=steps,
    )


def test_streams_of_a_page_are_those_of_a_text_of_its_length(pages: Callable[..., Pages]) -> None:
    data, numbers = dataset(pages(TEXT, 60, 4), steps=20), Vocabulary.of(TEXT).encode(TEXT)
    assert [data.batch(0, number).carry for number in range(3)] == [False, True, True]
    second = data.batch(1, 0)
    assert not second.carry
    assert second.x.T.tolist() == [numbers[240 + 60 * n :][:20].tolist() for n in range(4)]


def test_pages_before_the_one_asked_for_are_read_over_and_never_had_again(pages: Callable[..., Pages]) -> None:
    data = dataset(pages(TEXT, 60, 4), steps=20)
    resumed = dataset(pages(TEXT, 60, 4), steps=20)
    for epoch in range(3):
        last = data.batch(epoch, 1)
    assert np.array_equal(resumed.batch(2, 1).x, last.x)
    with pytest.raises(DataError, match="standard input is read once: epoch 2 of it is gone"):
        resumed.batch(1, 0)


def test_an_input_that_ends_too_early_says_where(pages: Callable[..., Pages]) -> None:
    data = dataset(pages(TEXT[:500], 60, 4), steps=20)
    data.batch(1, 2)
    with pytest.raises(DataError, match="ended in epoch 3, which takes 241 characters, after 20: lower --epochs"):
        data.batch(2, 0)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"abca\xff", "standard input is no UTF-8 text: byte 0xff behind character 0; use --task bytes"),
        (b"abca\nbcaz", "standard input: character 'z' at place 8, line 2, was not in the training text"),
    ],
)
def test_what_the_vocabulary_does_not_know_is_refused(raw: bytes, message: str) -> None:
    descriptor = piped(raw)
    characters = TextCharacters(descriptor, Vocabulary("\nabc"))
    with pytest.raises(DataError, match=message):
        characters.read(100)
    os.close(descriptor)


SMALL = (
    *("--cell", "elman:hidden=8", "--batch", "2", "--steps", "16", "--kernels", "numpy"),
    *("--quiet", "--sample", "0", "--save-every", "1"),
)


def train(text: str, *words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "rnnframe", "train", *map(str, words)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_a_training_on_standard_input_goes_on_bit_for_bit_when_it_is_fed_again(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    start = ("--data", "-", "--task", "bytes:epoch=9", "--epochs", 2, *SMALL)
    done = train(TEXT, *start, "--out", whole)
    assert (done.returncode, done.stderr) == (0, "")
    assert train(TEXT, *start, "--out", parts, "--stop-after", 13).returncode == 0
    assert train(TEXT, "--resume", parts, "--quiet", "--sample", 0).returncode == 0
    assert (parts / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    other = train("x" + TEXT, "--resume", parts, "--epochs", 3)
    assert other.returncode == 1
    assert "the data has changed" in other.stderr


@pytest.mark.parametrize(("fed", "batches"), [(100, 0), (400, 9)])  # 28 are held out, 289 make the first epoch
def test_a_training_that_waits_for_its_input_can_be_interrupted_and_goes_on(
    tmp_path: Path, fed: int, batches: int
) -> None:
    start = ("--data", "-", "--task", "bytes:epoch=9", "--epochs", 2, *SMALL)
    assert train(TEXT, *start, "--out", tmp_path / "whole").returncode == 0
    command = [sys.executable, "-m", "rnnframe", "train", *map(str, start), "--out", str(tmp_path / "run")]
    newest = tmp_path / "run" / "checkpoints" / f"{batches:08d}.safetensors"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(TEXT[:fed])
        process.stdin.flush()  # and nobody closes it
        until = time.monotonic() + 60
        while not newest.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        said = process.stderr.read()
    assert process.returncode == 130, said
    assert said.startswith("stopped after epoch ")
    assert train(TEXT, "--resume", tmp_path / "run", "--quiet", "--sample", 0).returncode == 0
    weights = [(tmp_path / name / "weights.safetensors").read_bytes() for name in ("whole", "run")]
    assert weights[0] == weights[1]


def test_an_input_that_ends_is_one_line_and_leaves_the_epochs_before_it(tmp_path: Path) -> None:
    done = train(TEXT[:700], "--data", "-", "--task", "bytes:epoch=9", *SMALL, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "standard input ended in epoch 3" in done.stderr
    assert len(list((tmp_path / "run" / "checkpoints").iterdir())) > 0


def test_a_vocabulary_file_says_which_characters_there_are(tmp_path: Path) -> None:
    known = tmp_path / "known.txt"
    known.write_text("".join(sorted(set(TEXT))) + "é")
    task = f"characters:epoch=9,vocabulary={known}"
    done = train(
        TEXT.replace("z", "é"), "--data", "-", "--task", task, "--epochs", 1, *SMALL, "--out", tmp_path / "run"
    )
    assert (done.returncode, done.stderr) == (0, "")
    unknown = train(TEXT.replace("z", "ß"), "--data", "-", "--task", task, *SMALL)
    assert unknown.returncode == 2
    assert "character 'ß' at place" in unknown.stderr


def test_characters_of_standard_input_need_a_vocabulary() -> None:
    done = train(TEXT, "--data", "-", *SMALL)
    assert done.returncode == 2
    assert "name a file that has them all with --task characters:vocabulary=FILE, or use --task bytes" in done.stderr
