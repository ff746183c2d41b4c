"""A grid against time laid out step by step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from interpreter import cuts, lengths

import rnnframe as rf
from rnnframe.schedules import Grid
from rnnframe.schedules.grid import split_evenly

PATTERNS = st.lists(st.integers(1, 7), min_size=1, max_size=6).map(tuple)
AHEAD = 40  # chunks of an endless grid that are looked at


def laid_out(grid: Grid) -> list[tuple[int, int]]:
    """Return the steps [start, stop) of each chunk, of the first few where there is no end."""
    spans, start = [], 0
    for length in lengths(grid, AHEAD if grid.steps is None else None):
        spans.append((start, start + length))
        start += length
    return spans


@given(PATTERNS, st.integers(1, 60))
def test_a_bounded_grid_covers_its_steps_and_its_last_chunk_is_cut_short(pattern, steps):
    grid = Grid(steps, pattern)
    spans = laid_out(grid)
    assert spans[-1][1] == steps
    assert grid.chunks == len(spans)
    assert [grid.span(chunk) for chunk in range(len(spans))] == spans
    assert grid.longest == max(stop - start for start, stop in spans)


@given(PATTERNS)
def test_an_endless_grid_repeats_its_pattern(pattern):
    grid = Grid(None, pattern)
    assert grid.chunks is None
    assert [grid.span(chunk) for chunk in range(AHEAD)] == laid_out(grid)
    assert grid.longest == max(pattern)
    assert grid.period == sum(pattern)


@given(PATTERNS, st.none() | st.integers(1, 60))
def test_the_cut_at_or_after_a_step_is_the_first_chunk_that_begins_there_or_later(pattern, steps):
    grid = Grid(steps, pattern)
    starts = [start for start, _ in laid_out(grid)]
    for step in range(starts[-1] + 1 if steps is None else steps + 1):
        assert grid.cut_at_or_after(step) == sum(start < step for start in starts)


@given(PATTERNS, st.none() | st.integers(1, 60), st.data())
def test_steps_between_chunks_are_the_steps_of_the_chunks_between(pattern, steps, data):
    grid = Grid(steps, pattern)
    spans = laid_out(grid)
    start = data.draw(st.integers(0, len(spans)))
    stop = data.draw(st.integers(start, len(spans)))
    assert grid.steps_between(start, stop) == sum(after - before for before, after in spans[start:stop])


@given(st.integers(0, 100), st.integers(1, 40))
def test_a_length_is_split_into_equal_chunks_and_a_shorter_last_one(length, chunk):
    parts = split_evenly(length, chunk)
    assert sum(parts) == length
    assert all(part == chunk for part in parts[:-1])
    assert all(1 <= part <= chunk for part in parts)


def test_a_grid_by_hand():
    grid = Grid(11, (3, 1))
    assert [grid.span(chunk) for chunk in range(6)] == [(0, 3), (3, 4), (4, 7), (7, 8), (8, 11), (11, 11)]
    assert grid.chunks == 5
    assert [grid.cut_at_or_after(step) for step in (0, 1, 3, 4, 8, 9, 11)] == [0, 1, 1, 2, 4, 5, 5]
    assert list(cuts(grid)) == [0, 3, 4, 7, 8, 11]


@pytest.mark.parametrize(
    ("cells", "dtype", "batch", "steps"),
    [
        (["lstm:hidden=128"], "float32", 32, 16),  # 512 rows: their tape is 1.5 MiB
        (["lstm:hidden=64"], "float32", 1, 682),  # of 6 · 64 numbers, 1,536 bytes
        (["lstm:hidden=64"], "float64", 1, 512),
        (["elman:hidden=8"], "float32", 1, 2048),
        (["elman:hidden=8"] * 2, "float32", 100, 21),
        (["elman:hidden=128", "elman:hidden=128"], "float32", 1, 1024),
        (["lstm:hidden=128"], "float32", 1000, 1),
    ],
)
def test_a_usual_chunk_has_512_rows_or_more_where_its_tape_is_small(
    cells: list[str], dtype: str, batch: int, steps: int
) -> None:
    network = rf.Network(cells, "mse:outputs=1", inputs=3, dtype=dtype)
    assert network.usual_chunk(batch) == steps
    assert rf.Engine(network, shards=1).plan(5000, batch).grid.longest == steps
