"""Batches of the adding problem (Hochreiter & Schmidhuber 1997): the sum of the two numbers that are marked."""

import numpy as np


def adding_batch(rng: np.random.Generator, steps: int = 20, batch: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """Return x [steps, batch, 2], numbers and marks (one in each half), and the sums [batch, 1]."""
    x, half = np.zeros((steps, batch, 2), np.float32), steps // 2
    x[..., 0] = rng.random((steps, batch))
    for part in (x[:half], x[half:]):
        part[rng.integers(0, half, batch), np.arange(batch), 1] = 1
    return x, (x[..., 0] * x[..., 1]).sum(0)[:, None]
