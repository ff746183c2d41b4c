"""Large tables in blocks of rows: not copied without need, and the same numbers in whatever order they lie."""

import numpy as np
import pytest

from rnnframe_tasks.files import digest
from rnnframe_tasks.row_blocks import BLOCK_BYTES, blocks_of, side_by_side
from rnnframe_tasks.scales import Scale

ROWS, CHANNELS = BLOCK_BYTES // 64, 17  # several blocks, the last one shorter


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(ROWS, CHANNELS)) * 10.0 ** np.arange(CHANNELS)


def test_blocks_hold_every_row_once() -> None:
    rows = [row for block in blocks_of(ROWS, 8 * CHANNELS) for row in range(block.start, block.stop)]
    assert rows == list(range(ROWS))
    assert list(blocks_of(2, 10 * BLOCK_BYTES)) == [slice(0, 1), slice(1, 2)]
    assert list(blocks_of(3, 0)) == [slice(0, 3)]


def test_columns_that_follow_one_another_in_an_array_are_not_copied(values: np.ndarray) -> None:
    kept = np.ascontiguousarray(values.T)
    columns = [row[:, None] for row in kept[2:9]]
    made = side_by_side(columns)
    assert np.shares_memory(made, kept)
    assert np.array_equal(made, values[:, 2:9])
    backwards = [row[::-1, None] for row in kept]
    for each in (columns[::-1], columns[::2], [columns[0], np.ones((ROWS, 1))], backwards):
        made = side_by_side(each)
        assert np.array_equal(made, np.concatenate(each, axis=1))
        assert not np.shares_memory(made, kept)


def test_a_scale_and_a_digest_do_not_depend_on_the_order_in_memory(values: np.ndarray) -> None:
    known = np.random.default_rng(1).random(values.shape) < 0.8
    other = np.asfortranarray(values)
    assert digest([values]) == digest([other])
    for which in (None, known, np.ones_like(known)):
        one, two = Scale.of(values, which), Scale.of(other, which)
        assert np.array_equal(one.mean, two.mean)
        assert np.array_equal(one.spread, two.spread)
        counted = np.ma.array(values, mask=False if which is None else ~which)
        assert np.allclose(one.mean, counted.mean(axis=0), rtol=1e-9, atol=1e-9)
        assert np.allclose(one.spread, counted.std(axis=0), rtol=1e-12)
        assert np.array_equal(one.apply(values), one.apply(other))
        assert np.array_equal(one.apply(values), ((values - one.mean) / one.spread).astype(np.float32))
