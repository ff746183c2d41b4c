from collections.abc import Iterator

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.engine import blas
from rnnframe.engine.blas import one_thread, threads


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Let BLAS use two threads, as on a machine of two cores."""
    if blas._controls() is None:
        pytest.skip("this numpy does not bring its own OpenBLAS")
    get, put = blas._controls()
    before = get()
    put(2)
    yield
    put(before)


@pytest.mark.usefixtures("two_threads")
def test_blas_is_at_one_thread_inside_and_back_to_what_it_was_outside() -> None:
    with one_thread():
        assert threads() == 1
        with one_thread():
            assert threads() == 1
        assert threads() == 1
    assert threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_an_error_inside_brings_the_threads_back() -> None:
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_shards_run_with_blas_at_one_thread() -> None:
    network = rf.Network(cells=["elman:hidden=4"], head="mse:outputs=1", inputs=2)
    seen = []
    engine = rf.Engine(network, store="circular-queue:k1=5,k2=5", shards=2)
    x, y = np.zeros((10, 4, 2)), np.zeros((10, 4, 1))
    engine.run(x, y, None, lambda gradients, loss: seen.append(threads()))
    assert seen == [1, 1]
    assert threads() == 2
