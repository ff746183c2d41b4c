"""Texts that are read as their characters are due: the same numbers, errors and training as of a text in memory."""

import hashlib
import os
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import DataError
from rnnframe.plugin import Setting
from rnnframe_tasks import byte_sources, streams
from rnnframe_tasks.byte_sources import HeldBytes, open_bytes
from rnnframe_tasks.text import Vocabulary
from rnnframe_tasks.text_files import Index, TextFile

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=80)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Go through texts in pieces of a few bytes, which end within characters."""
    monkeypatch.setattr(byte_sources, "BLOCK", 5)
    return


def encoded(text: str) -> np.ndarray:
    return Vocabulary.of(text).encode(text)


@given(text=TEXTS, start=st.integers(0, 80), length=st.integers(0, 80), bom=st.booleans())
@pytest.mark.usefixtures("small_blocks")
def test_any_piece_is_what_the_whole_text_has_there(text: str, start: int, length: int, bom: bool) -> None:
    read = TextFile.survey(HeldBytes((b"\xef\xbb\xbf" if bom else b"") + text.encode(), "text"))
    if text.startswith("\ufeff") and not bom:
        text = text[1:]  # it is a mark of the encoding, not of the text
    assert len(read) == len(text)
    if text:
        assert read.vocabulary == Vocabulary(Vocabulary.of(text).characters, unknown=True)
        assert read[start : start + length].tolist() == encoded(text)[start : start + length].tolist()
        assert read.held().tolist() == encoded(text).tolist()
    assert read.digest == hashlib.sha256(text.encode()).hexdigest()


@given(text=TEXTS, spacing=st.integers(1, 9), entries=st.integers(1, 9), cut=st.integers(1, 7), data=st.data())
def test_an_index_of_few_entries_finds_every_character(
    text: str, spacing: int, entries: int, cut: int, data: st.DataObject
) -> None:
    raw, index = text.encode(), Index(spacing, entries)
    for offset in range(0, len(raw), cut):
        index.add(offset, raw[offset : offset + cut])
    assert index.characters == len(text)
    start = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(start + 1, len(text)))
    begin, end, before = index.around(start, stop, len(raw))
    assert raw[begin:end].decode()[before : before + stop - start] == text[start:stop]


@given(raw=st.binary(min_size=1, max_size=40) | TEXTS.map(str.encode) | TEXTS.map(lambda text: text.encode()[:-1]))
@pytest.mark.usefixtures("small_blocks")
def test_bytes_that_are_no_text_are_refused_where_python_refuses_them(raw: bytes) -> None:
    wrong = [f"NUL at offset {raw.find(0)};"] if b"\0" in raw else []
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = len(raw) - len(error.object) + error.start  # a mark of the encoding is not counted
        wrong.append(f"byte 0x{raw[place]:02x} at offset {place};")
    if wrong or not raw:
        with pytest.raises(DataError, match="|".join(wrong or ["is empty"])):
            TextFile.survey(HeldBytes(raw, "text"))
    else:
        assert len(TextFile.survey(HeldBytes(raw, "text"))) == len(text)


@given(text=TEXTS, strange=st.characters(codec="utf-8", exclude_characters="\0\ufeff"), place=st.integers(0, 80))
@pytest.mark.usefixtures("small_blocks")
def test_a_character_that_a_model_does_not_know_is_named_with_its_place(text: str, strange: str, place: int) -> None:
    known = text.replace("\ufeff", "").replace(strange, "") or "a" * (strange != "a") or "b"
    text = known[:place] + strange + known[place:]
    place, line = min(place, len(known)), 1 + known[:place].count("\n")
    with pytest.raises(DataError, match=f"at place {place}, line {line}, was not in the training text"):
        TextFile.survey(HeldBytes(text.encode(), "text"), Vocabulary.of(known))
    vocabulary = Vocabulary(Vocabulary.of(known).characters, unknown=True)
    read = TextFile.survey(HeldBytes(text.encode(), "text"), vocabulary)
    assert read[:].tolist() == vocabulary.encode(text).tolist()
    assert read.held().tolist() == read[:].tolist()
    assert read.strange.remarks == (
        f"1 character was not in the training text and read as unknown, the first {strange!r} in line {line}",
    )


STORY = "Ein Fräulein stand am Meere und seufzte lang und bang. Es rührte sie so sehre der Sonnenuntergang… 🌅\n" * 60


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text(STORY, encoding="utf-8")
    return path


@pytest.mark.parametrize("page", [1, 700, 1 << 16])
def test_a_text_that_is_not_held_gives_the_same_batches(
    story: Path, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PAGE", page)
    setting = Setting(data=str(story), batch=4, steps=50)
    held, read = (rf.task(spec).open(setting) for spec in ("characters", "characters:hold=0"))
    assert read.batches == held.batches > 5
    assert read.learnt == held.learnt
    assert read.digest == held.digest
    for one, other in (
        *((held.batch(0, n), read.batch(0, n)) for n in range(held.batches)),
        *zip(held.valid.batches(), read.valid.batches(), strict=True),
    ):
        assert np.array_equal(one.x, other.x)
        assert np.array_equal(one.y, other.y)  # type: ignore[arg-type]
        assert other.x.flags.c_contiguous


def test_a_model_is_judged_on_a_file_that_is_not_held(story: Path) -> None:
    learnt = Vocabulary.of(STORY)
    held, read = (rf.task(spec).examples(str(story), learnt, 1) for spec in ("characters", "characters:hold=0"))
    for one, other in zip(held.batches(), read.batches(), strict=True):
        assert np.array_equal(one.x, other.x)


@pytest.mark.parametrize("change", ["longer", "shorter", "other"])
def test_a_file_that_changes_under_the_training_is_refused(
    story: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PAGE", 200)
    data = rf.task("characters:hold=0").open(Setting(data=str(story), batch=4, steps=50))
    data.batch(0, 0)
    raw = story.read_bytes()
    story.write_bytes({"longer": raw + b"x", "shorter": raw[:-9], "other": raw.upper()}[change])
    os.utime(story, ns=(1, 1))
    with pytest.raises(DataError, match="has changed while it was read; start again"):
        data.batch(0, 1)


def test_a_text_from_a_pipe_is_held(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"some text",))
    writer.start()
    source = open_bytes(str(pipe))
    writer.join()
    assert isinstance(source, HeldBytes)
    assert source.read(5, 4) == b"text"


def peak_of_training_on(path: Path) -> int:
    tracemalloc.start()
    try:
        data = rf.task("characters:hold=0").open(Setting(data=str(path), batch=8, steps=64))
        for number in range(100):
            data.batch(0, number)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_text(tmp_path: Path) -> None:
    path, peaks = tmp_path / "long.txt", []
    for times in (200, 1600):
        path.write_text(STORY * times, encoding="utf-8")
        peaks.append(peak_of_training_on(path))
    assert path.stat().st_size > 10_000_000
    assert peaks[1] < 1.05 * peaks[0]
