"""The machine's plain matrix products: float32, a few shapes with numpy's BLAS."""

import time

import numpy as np

SHAPES = ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (512, 512, 2048), (4096, 512, 512))


def rates(seconds: float) -> dict[str, list[float]]:
    """Return the rates of some products of each shape in GFLOP/s, of some `seconds` a shape."""
    found: dict[str, list[float]] = {}
    for m, k, n in SHAPES:
        a, b, c = np.ones((m, k), np.float32), np.ones((k, n), np.float32), np.empty((m, n), np.float32)
        np.matmul(a, b, out=c)
        made = found[f"{m}x{k}x{n}"] = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until or not made:
            begun = time.perf_counter()
            np.matmul(a, b, out=c)
            made.append(2 * m * k * n / (time.perf_counter() - begun) / 1e9)
    return found
