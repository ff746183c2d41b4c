"""A sample's prediction does not depend on the samples beside it: with compiled kernels to the bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnframe as rf

CELLS = [
    "lstm:hidden=19",
    "lstm:hidden=19,norm=layer,projection=5",
    "gru:hidden=19",
    "gru:hidden=19,norm=layer",
    "gru:hidden=19,reset=before",
    "elman:hidden=19",
]
HEADS = ["softmax:classes=5", "mse:outputs=3"]


@pytest.fixture(scope="module", autouse=True)
def _numba():
    pytest.importorskip("numba", reason="numba is not installed; without it numpy's BLAS decides about the bits")


@pytest.mark.parametrize("cell", CELLS)
@settings(deadline=None, max_examples=12)
@given(
    batch=st.integers(2, 19),
    head=st.sampled_from(HEADS),
    dtype=st.sampled_from(["float32", "float64"]),
    looked_up=st.booleans(),
    seed=st.integers(0, 99),
    data=st.data(),
)
def test_some_samples_alone_are_predicted_as_among_others(cell, batch, head, dtype, looked_up, seed, data):
    rng = np.random.default_rng(seed)
    network = rf.Network([cell, cell], head, 7, seed=seed, dtype=dtype)
    for value in network.parameters.values():
        value += rng.normal(0, 0.2, value.shape)
    x = rng.integers(0, 7, (5, batch)) if looked_up else rng.normal(size=(5, batch, 7)).astype(dtype)
    some = data.draw(st.lists(st.integers(0, batch - 1), min_size=1, max_size=batch, unique=True))
    inference = rf.Inference(network, kernels="compiled")
    together, state = inference.predict(x)
    apart, state_apart = inference.predict(np.ascontiguousarray(x[:, some]))
    assert np.array_equal(apart, together[:, some])
    for name, value in state_apart.items():
        assert np.array_equal(value, state[name][some])
