"""Machine code that kernels share: it is there before them, whichever comes first, and made once."""

import os
import traceback

import numpy as np
import pytest

import rnnframe as rf

numba = pytest.importorskip("numba")

from rnnframe_compiled import Compiled  # noqa: E402
from rnnframe_compiled import _compiled as modules_of  # noqa: E402

MODULES = modules_of()

from rnnframe_compiled import elman, gradients, lstm, packing, products, steps, warm  # noqa: E402
from rnnframe_compiled.shared import needed_by  # noqa: E402

PRODUCT, BOTH, GRADIENTS = (
    each.shared for each in (products.product, products.both_products, gradients.gradient_products)
)
METHODS = "derive", "derive_reverse", "forward", "backward"


@pytest.mark.parametrize(
    ("function", "needed"),
    [
        (lstm.backward.py_func, {PRODUCT, GRADIENTS}),
        (lstm.forward.py_func, set()),
        (elman.forward.py_func, {BOTH}),
        (packing.pack.py_func, set()),
        (steps.elman_step, {BOTH}),  # by the name of a module
        (steps.readout_step, {PRODUCT}),
    ],
)
def test_a_function_knows_what_it_shares_with_others(function, needed) -> None:
    assert set(needed_by(function)) == needed


@pytest.mark.skipif(not hasattr(os, "fork"), reason="begins processes with what this one has imported")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("spec", Compiled().cells())
def test_every_kernel_can_be_the_first_of_a_process(spec: str, method: str) -> None:
    """LLVM ends a process whose code calls what is not there."""
    twin = Compiled().twin(rf.default_registry().cell(spec), np.dtype(np.float32))
    assert twin is not None
    child = os.fork()
    if not child:
        try:
            for other in METHODS:
                if other != method:
                    setattr(type(twin), other, lambda *_, **__: None)
            warm._run(twin, np.dtype(np.float32))
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
