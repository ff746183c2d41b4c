"""Machine code that kernels share: it is there before them, whichever comes first, and made once."""

import os
import threading
import traceback

import numpy as np
import pytest

import rnnframe as rf

place = pytest.importorskip("rnnframe_compiled.place", reason="numba is not installed")

with place.kept():
    from numba import types
    from numba.core import config
    from numba.core.compiler_lock import global_compiler_lock

    from rnnframe_compiled import Compiled, elman, gradients, lstm, packing, products, steps, warm
    from rnnframe_compiled.shared import Shared, needed_by

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


def one_more(unit: float, number: int) -> int:
    """Return the number after this one."""
    return number + 1


def test_who_compiles_and_makes_shared_code_ready_waits_for_nobody_who_does_so_too() -> None:
    code, seen = Shared(one_more), []

    def begin() -> threading.Thread:
        thread = threading.Thread(target=code.make_ready, args=(types.float32,), daemon=True)
        thread.start()
        return thread

    def compile_and_make_ready() -> None:
        with global_compiler_lock:  # as numba does where it compiles
            other = begin()
            other.join(0.2)
            seen.append(other.is_alive())
            code.make_ready(types.float32)
            third = begin()
            third.join(60)  # what is there asks for no lock
            seen.append(third.is_alive())
        other.join(60)
        seen.append(other.is_alive())

    first = threading.Thread(target=compile_and_make_ready, daemon=True)
    first.start()
    first.join(120)
    assert seen == [True, False, False]


def test_code_is_kept_for_one_thread_at_a_time_and_numbas_setting_comes_back() -> None:
    found, before, seen = place.place(), config.CACHE_DIR, []
    assert found is not None

    def keep() -> None:
        with place.kept():
            seen.append(config.CACHE_DIR)

    with place.kept():
        other = threading.Thread(target=keep, daemon=True)
        other.start()
        other.join(0.2)
        assert seen == []
    other.join(60)
    assert (seen, config.CACHE_DIR) == ([str(found.folder)], before)
