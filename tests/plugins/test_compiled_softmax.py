"""Softmax and cross entropy in machine code beside numpy with more digits, and within a network."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnnframe as rf
from rnnframe_heads import Softmax

place = pytest.importorskip("rnnframe_compiled.place", reason="numba is not installed")

with place.kept():
    from rnnframe_compiled.softmax import cross_entropy

EXACT = {"float32": 4e-7, "float64": 1e-15}


def both(o, classes):
    """Return loss and gradient in machine code, and those of numpy in long double."""
    gradient, wanted = o.copy(), o.astype(np.longdouble)
    loss = cross_entropy(o.dtype.type(1), gradient, classes)
    return loss, gradient, Softmax(classes=o.shape[1]).loss_and_gradient(wanted, classes, None), wanted


@given(
    dtype=st.sampled_from(list(EXACT)),
    rows=st.integers(1, 40),
    width=st.integers(2, 70),
    scale=st.sampled_from([0.01, 1, 30, 1e4]),
    seed=st.integers(0, 99),
)
def test_loss_and_gradient_are_those_of_numpy(dtype, rows, width, scale, seed):
    rng = np.random.default_rng(seed)
    room = np.full(rows * width + 64, 77, dtype)
    o = room[32 : 32 + rows * width].reshape(rows, width)
    o[...] = rng.normal(scale=scale, size=o.shape)
    loss, gradient, wanted_loss, wanted = both(o, rng.integers(0, width, rows))
    assert loss == pytest.approx(float(wanted_loss), rel=EXACT[dtype], abs=rows * EXACT[dtype])
    assert np.abs(gradient - wanted).max() <= EXACT[dtype]
    cross_entropy(o.dtype.type(1), o, rng.integers(0, width, rows))
    assert (room[:32] == 77).all()
    assert (room[-32:] == 77).all()


@pytest.mark.parametrize("rows", [1, 500])
def test_the_sums_of_many_rows_do_not_overflow(rows):
    o = np.zeros((rows, 5000), np.float32)
    loss, *_ = both(o, np.zeros(rows, np.int64))
    assert loss == pytest.approx(rows * np.log(5000), rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_gives_a_loss_that_is_none(bad):
    for place in range(40):
        o = np.zeros((1, 40), np.float32)
        o[0, place] = bad
        loss = cross_entropy(np.float32(1), o, np.array([7]))
        assert not np.isfinite(loss)


def test_a_network_learns_with_the_gradient_of_numpy():
    network = rf.Network(["lstm:hidden=9"], "softmax:classes=21", inputs=21, dtype="float64")
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 21, (2, 30, 5))
    numpy, compiled = (rf.Engine(network, kernels=kernels) for kernels in ("numpy", "compiled"))
    one, other = numpy.gradients(x, y), compiled.gradients(x, y)
    assert other.loss == pytest.approx(one.loss, rel=1e-13)
    assert np.abs(one.gradients.flat - other.gradients.flat).max() < 1e-14
    assert compiled.evaluate(x, y).loss == pytest.approx(one.loss, rel=1e-13)
