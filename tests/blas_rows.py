"""Whether BLAS computes a row of a product in the same way wherever it stands among others.

OpenBLAS does with its kernels for processors with AVX-512, and not with those for Haswell, which round the last rows of
a product in another way. There, what is predicted for a sample depends on its place in a batch, in the last bits of a
float32.
"""

import functools

import numpy as np


@functools.cache
def rows_alike() -> bool:
    """Try it with products of the sizes of small networks."""
    rng = np.random.default_rng(0)
    for rows, terms, columns in ((23, 8, 24), (40, 8, 32), (60, 16, 48), (207, 8, 32)):
        a = rng.standard_normal((rows, terms)).astype(np.float32)
        w = rng.standard_normal((terms, columns)).astype(np.float32)
        order = rng.permutation(rows)
        if not np.array_equal(a[order] @ w, (a @ w)[order]):
            return False
    return True
