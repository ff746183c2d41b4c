"""What is copied of a chunk's inputs, and in which memory."""

import numpy as np
import pytest

from rnnframe.arrays import ALIGNMENT
from rnnframe.data.staging import Staging

STEPS = np.random.default_rng(0).normal(size=(6, 8, 3)).astype("float32")
SOME = np.array([5, 0, 3])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [slice(0, 8), slice(2, 5), SOME], ids=str)
@pytest.mark.parametrize("kind", ["float32", "float64", "uint8", "bool", ">f8"])
def test_copies_are_dense_and_of_the_dtype_that_is_wanted(kind: str, columns: slice, dtype: str) -> None:
    given = (10 * np.abs(STEPS)).astype(kind)
    got = Staging().of(given, columns, np.dtype(dtype))
    assert got.flags.c_contiguous
    assert got.dtype == dtype
    assert np.array_equal(got, given[:, columns].astype(dtype))


def test_what_can_be_used_as_it_is_is_viewed() -> None:
    staging = Staging()
    got = staging.of(STEPS[1:4], slice(0, 8), STEPS.dtype)
    assert np.shares_memory(got, STEPS)
    assert staging.nbytes == 0


def test_pieces_of_a_chunk_stand_side_by_side_and_the_next_chunk_takes_their_memory() -> None:
    staging = Staging()
    for _ in range(2):  # the memory is made piece by piece, then it is there
        staging.begin()
        pieces = [staging.of(STEPS[start : start + 2], SOME, STEPS.dtype) for start in (0, 2, 4)]
        assert all(np.array_equal(piece, STEPS[2 * n : 2 * n + 2, SOME]) for n, piece in enumerate(pieces))
    held, addresses = staging.nbytes, [piece.ctypes.data for piece in pieces]
    assert held == sum(-(-piece.nbytes // 64) * 64 for piece in pieces)
    assert all(address % 64 == 0 for address in addresses)
    staging.begin()
    assert [staging.of(STEPS[n : n + 2], SOME, STEPS.dtype).ctypes.data for n in (4, 2, 0)] == addresses
    assert staging.nbytes == held


def test_memory_of_many_pieces_is_made_a_few_times_and_not_for_each() -> None:
    staging, pieces, made = Staging(), [], set()
    steps = np.zeros((1, 8, 16), "float32")
    for _ in range(1000):
        pieces.append(staging.of(steps, slice(0, 4), steps.dtype))
        made.add(staging.nbytes)
    assert len(made) <= 31
    assert staging.nbytes == staging.peak_bytes <= 1.25 * sum(piece.nbytes for piece in pieces)


def test_all_memory_that_pieces_lie_in_is_counted() -> None:
    staging = Staging()
    for _ in range(2):
        staging.begin()
        pieces = [staging.of(np.ones((steps, 8, 3)), slice(0, 5), np.dtype("f4")) for steps in (1, 20, 300)]
        held = {id(root): root.nbytes for root in map(_root, pieces)}
        assert len(held) == 3
        assert sum(held.values()) - 3 * ALIGNMENT <= staging.nbytes == staging.peak_bytes <= sum(held.values())


def test_memory_that_later_pieces_do_not_fit_in_is_given_back() -> None:
    staging, both = Staging(), []
    staging.start()
    for steps in range(100, 200):  # each chunk is larger than all before
        before = staging.nbytes
        staging.begin()
        if staging.nbytes < before:
            both.append(before + staging.nbytes)  # copies of the last chunk may still be in use
        copy = staging.of(np.ones((steps, 8, 3)), slice(0, 8), np.dtype("f4"))
        assert staging.nbytes <= 2.5 * copy.nbytes
    assert staging.peak_bytes >= max(both)
    staging.start()
    assert staging.peak_bytes == staging.nbytes <= 1.5 * copy.nbytes


def _root(array):
    """Return the array whose memory this one is a part of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
