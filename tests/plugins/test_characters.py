from pathlib import Path

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe.errors import DataError, RunError
from rnnframe.plugin import Setting
from rnnframe_tasks.streams import Streams
from rnnframe_tasks.text import Vocabulary, embedded_text


@given(st.text(min_size=1))
def test_every_text_comes_back_from_its_numbers(text: str) -> None:
    vocabulary = Vocabulary.of(text)
    numbers = vocabulary.encode(text)
    assert vocabulary.decode(numbers) == text
    assert sorted(set(numbers.tolist())) == list(range(len(set(text))))


@given(st.integers(1, 7), st.integers(1, 60), st.integers(1, 9))
def test_streams_read_neighbouring_pieces_side_by_side_and_the_target_is_the_next_character(
    batch: int, more: int, steps: int
) -> None:
    numbers = np.arange(batch + 1 + more)
    streams = Streams(numbers, batch)
    pieces = [streams.cut(start, start + steps) for start in range(0, len(streams), steps)]
    x, y = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    assert x.shape == y.shape == ((len(numbers) - 1) // batch, batch)
    assert np.array_equal(y, x + 1)
    assert np.array_equal(x.T.ravel(), numbers[: x.size])
    for start in np.random.default_rng(steps).permutation(len(streams))[:5]:  # in any order
        assert np.array_equal(streams.cut(start, start + 1)[1], y[start : start + 1])


def test_the_end_of_the_text_is_held_out_and_never_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text("ab" * 450 + "cd" * 50)
    data = rf.task("characters").open(Setting(data=str(file), batch=4, steps=20))
    trained = np.concatenate([data.batch(0, number).x for number in range(data.batches)])
    c = data.learnt.characters.index("c")
    assert trained.max() < c <= min(batch.x.min() for batch in data.valid.batches())


def test_the_state_is_carried_from_batch_to_batch_and_every_epoch_begins_anew() -> None:
    data = rf.task("characters").open(Setting(steps=4000))
    assert data.batches > 2
    assert [data.batch(1, number).carry for number in range(data.batches)] == [False] + [True] * (data.batches - 1)


def test_what_is_held_out_is_judged_in_pieces_as_if_it_were_one() -> None:
    data = rf.task("characters").open(Setting(batch=4, held_out=0.05))
    pieces = list(data.valid.batches())
    assert len(pieces) > 2
    assert np.array_equal(np.concatenate([piece.x for piece in pieces])[1:, 0], pieces_after(pieces))


def pieces_after(pieces: list[rf.Batch]) -> np.ndarray:
    return np.concatenate([piece.y for piece in pieces])[:-1, 0]


def test_an_unknown_character_is_named_with_its_place_and_line_or_has_a_symbol() -> None:
    message = "character 'z' at place 4, line 2, was not in the training text; the model knows 4"
    with pytest.raises(DataError, match=message):
        Vocabulary.of("abc\n").encode("ab\ncz")
    vocabulary = Vocabulary("abc", unknown=True)
    numbers = vocabulary.encode("abzc🌅")
    assert numbers.tolist() == [0, 1, 3, 2, 3]
    assert vocabulary.decode(numbers) == "ab\ufffdc\ufffd"
    assert (len(vocabulary), vocabulary.undrawn) == (4, 3)


def test_a_run_of_before_there_was_an_unknown_symbol_is_still_read(tmp_path: Path) -> None:
    learnt = rf.task("characters").learns(characters="abc")
    (tmp_path / "a.txt").write_text("abcab")
    (batch,) = rf.task("characters").examples(str(tmp_path / "a.txt"), learnt, 1).batches()
    assert (len(learnt), batch.y.ravel().tolist()) == (3, [1, 2, 0, 1])
    (tmp_path / "b.txt").write_text("ab\nc")
    with pytest.raises(DataError, match="place 2, line 1, was not in the training text"):
        rf.task("characters").examples(str(tmp_path / "b.txt"), learnt, 1)


def test_a_run_of_a_network_that_the_task_no_longer_makes_is_told_to_be_no_longer_trained(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abcab" * 50)
    options = rf.TrainingOptions(data=str(tmp_path / "a.txt"), cell=("elman:hidden=2",), batch=2, steps=9, epochs=1)
    task = rf.task("characters")
    data = task.open(options.setting(task))
    before = attrs.evolve(data, inputs=3, head="softmax:classes=3", learnt=Vocabulary("abc"))
    with rf.Training(options, run=tmp_path / "run", data=before) as training:
        training.fit()
    with pytest.raises(RunError, match="is of a network with inputs 3, and this version of the task makes one with 4"):
        rf.Training.resume(tmp_path / "run", epochs=2)
    assert np.isfinite(rf.load_model(tmp_path / "run").evaluate(tmp_path / "a.txt").loss)


def test_the_embedded_text_is_large_enough_to_learn_from() -> None:
    assert len(embedded_text()) > 300_000
    assert "pydoc_data" in rf.task("characters").open(Setting()).valid.name
