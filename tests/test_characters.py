import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnframe.characters import Corpus, Streams, Vocabulary, read_text
from rnnframe.errors import DataError


@given(st.text(min_size=1))
def test_every_text_comes_back_from_its_numbers(text: str) -> None:
    vocabulary = Vocabulary.of(text)
    numbers = vocabulary.encode(text)
    assert vocabulary.decode(numbers) == text
    assert sorted(set(numbers.tolist())) == list(range(len(set(text))))


@given(st.integers(1, 7), st.integers(1, 60))
def test_streams_read_neighbouring_pieces_side_by_side_and_the_target_is_the_next_character(
    batch: int, more: int
) -> None:
    numbers = np.arange(batch + 1 + more)
    streams = Streams.cut(numbers, batch)
    assert streams.x.shape == streams.y.shape == ((len(numbers) - 1) // batch, batch)
    assert np.array_equal(streams.y, streams.x + 1)
    assert np.array_equal(streams.x.T.ravel(), numbers[: streams.x.size])


def test_the_end_of_the_text_is_held_out_and_never_trained_on() -> None:
    text = "ab" * 450 + "cd" * 50
    corpus = Corpus.of(text, "text", batch=4, held_out=0.1)
    c = corpus.vocabulary.characters.index("c")
    assert corpus.train.x.max() < c <= corpus.valid.x.min()


def test_an_unknown_character_is_named_with_its_place() -> None:
    with pytest.raises(DataError, match="character 'z' at place 2 was not in the training text; the model knows 3"):
        Vocabulary.of("abc").encode("abz")


def test_the_embedded_text_is_large_enough_to_learn_from() -> None:
    text, name = read_text(None)
    assert len(text) > 300_000
    assert "pydoc_data" in name
