"""The machine's best matrix product: float32, the best of a few plain shapes with numpy's BLAS."""

import time

import numpy as np

SHAPES = ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (512, 512, 2048), (4096, 512, 512))


def best_gflops(seconds: float) -> float:
    """Return the best rate seen in GFLOP/s, in some `seconds` for each shape."""
    best = 0.0
    for m, k, n in SHAPES:
        a, b, c = np.ones((m, k), np.float32), np.ones((k, n), np.float32), np.empty((m, n), np.float32)
        np.matmul(a, b, out=c)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            begun = time.perf_counter()
            np.matmul(a, b, out=c)
            best = max(best, 2 * m * k * n / (time.perf_counter() - begun) / 1e9)
    return best
