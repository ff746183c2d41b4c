import os
import signal

# Before numpy is imported: on small arrays, and on a machine that is busy, BLAS threads cost far more than they bring.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import settings
from proofs import examples

# A job in the background ignores Ctrl-C, and what it starts does too: tests send that signal.
signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite("interpreter", "layout")

# Machines are shared: how long an example takes says nothing about the code.
settings.register_profile("local", deadline=None, print_blob=True, max_examples=examples(100))
settings.register_profile("ci", settings.get_profile("local"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


COMPILED = pytest.param(
    "compiled", marks=pytest.mark.skipif(find_spec("numba") is None, reason="numba is not installed")
)


@pytest.fixture(scope="module", params=["numpy", COMPILED])
def each_kernels(request):
    """All kernels in turn, for whoever leaves the choice to `auto`; elsewhere it is compiled ones, if installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RNNFRAME_KERNELS", request.param)
        yield request.param


@pytest.fixture
def numpy_where_numba_is_missing(monkeypatch):
    """No training remarks on stderr that compiled kernels would be faster."""
    if find_spec("numba") is None:
        monkeypatch.setenv("RNNFRAME_KERNELS", "numpy")


@pytest.fixture(scope="session")
def everything_compiled():
    """Kernels are compiled on first use, which is told on stderr: before tests that read it."""
    from rnnframe import default_registry
    from rnnframe.registry.kernels import choose

    registry = default_registry()
    kernels = next((each for each in choose("auto", registry) if each.name == "compiled"), None)
    for dtype in map(np.dtype, ["float32", "float64"] if kernels else []):
        head = kernels.head(registry.head("mse:outputs=1"), dtype)
        for twin in [head, *(kernels.twin(registry.cell(cell), dtype) for cell in kernels.cells())]:
            if not kernels.is_ready(twin, dtype):
                kernels.prepare(twin, dtype)
            for retention in ("whole", "lean", "states"):
                kernels.prepare_run(twin, dtype, samples=1, retention=retention, input_gradient=True)
            kernels.prepare_step(twin, dtype)
