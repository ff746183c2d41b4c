"""Data that is made when it is read and never stored: a sequence of any length costs the memory of a chunk."""

import itertools
from collections.abc import Callable
from typing import Any

import attrs
import numpy as np

from rnnframe.plugin import Array

BLOCK = 64
"""Steps that are drawn together, whatever part of them is asked for."""

TRAINING, VALIDATION = 0, 1
"""First part of the key of every draw."""


@attrs.frozen(eq=False)
class Made:
    """An array [T, B, ...] whose steps are made where it is sliced along time; the same ones each time.

    make: returns the block of steps [start, stop).
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    make: Callable[[int, int], Array]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, steps: slice) -> Array:
        start, stop, _ = steps.indices(self.shape[0])
        if stop <= start:
            return np.empty((0, *self.shape[1:]), self.dtype)
        cuts = [start, *range((start // BLOCK + 1) * BLOCK, stop, BLOCK), stop]
        return np.concatenate([self.make(*span) for span in itertools.pairwise(cuts)])


def drawn(key: tuple[int, ...], start: int, stop: int, batch: int) -> Array:
    """Return numbers [steps, B], uniform from 0 to 1, of the steps [start, stop), which lie in one block.

    The 1 keeps these draws apart from those of the key itself, to which zeros may be added without a change.
    """
    block = start // BLOCK
    first = block * BLOCK
    return np.random.default_rng([*key, 1, block]).random((BLOCK, batch), np.float32)[start - first : stop - first]
