"""Which samples of a batch each shard takes, and in which order they stand there."""

import itertools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from rnnframe.arrays import Array

Columns: TypeAlias = slice | Array
"""Some samples of a batch: a range of columns, or their numbers."""


def split_batch(batch: int, shards: int) -> list[slice]:
    """Split `batch` columns into at most `shards` parts whose sizes differ by one at most."""
    count = min(batch, shards)
    bounds = [batch * n // count for n in range(count + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]


def deal_by_length(lengths: Array, sizes: Sequence[int]) -> list[Columns]:
    """Deal samples to parts of these sizes, so that each has about as many steps; in a part the shortest come first.

    The longest sample that is left goes to the part with the fewest steps that has room (Graham 1969, "Bounds on
    multiprocessing timing anomalies").
    """
    order = np.argsort(lengths, kind="stable")
    if len(sizes) == 1:
        return [order]
    parts = [np.empty(size, np.intp) for size in sizes]  # filled from their ends; no lists, whose numbers are large
    left, steps = list(sizes), [0] * len(sizes)
    for sample in order[::-1]:
        n = min((n for n, room in enumerate(left) if room), key=steps.__getitem__)
        left[n] -= 1
        parts[n][left[n]] = sample
        steps[n] += int(lengths[sample])
    return [*parts]


def deal(batch: int, lengths: Array | None, shards: int) -> list[Columns]:
    """Return the samples of each of at most `shards` parts of a batch, as `split_batch` sizes them.

    Slices where all samples have the same length, else numbers, those that end first in front.
    """
    parts = split_batch(batch, shards)
    if lengths is None or lengths.min() == lengths.max():
        return [*parts]
    return deal_by_length(lengths, [count_of(part) for part in parts])


def numbers_of(parts: Sequence[Columns]) -> Array:
    """Return the numbers of the samples of some parts, one after the other."""
    numbers = [np.arange(c.start, c.stop) if isinstance(c, slice) else c for c in parts]
    return np.concatenate(numbers) if numbers else np.empty(0, np.intp)


def count_of(columns: Columns) -> int:
    """Return how many columns there are."""
    return columns.stop - columns.start if isinstance(columns, slice) else len(columns)
