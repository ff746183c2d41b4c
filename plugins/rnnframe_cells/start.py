"""Starting values that the built-in cells share."""

import numpy as np

from rnnframe.plugin import Array


def fill_uniform(array: Array, hidden: int, rng: np.random.Generator) -> None:
    """Draw from U(-1/sqrt(H), 1/sqrt(H)), the range that keeps sums over H units at the size of one."""
    bound = 1 / np.sqrt(hidden)
    array[...] = rng.uniform(-bound, bound, array.shape)
