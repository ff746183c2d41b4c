"""The store that keeps the hidden states alone: exact to rounding, in a sixth of the bytes."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.testing import check_gradients

CELLS = ["lstm:hidden=24", "gru:hidden=24", "gru:hidden=24,reset=before", "elman:hidden=24"]


def engine(store, cells, dtype="float32", head="softmax:classes=7"):
    return rf.Engine(rf.Network(cells, head, 5, dtype=dtype, seed=2), store, chunk=16)


def batch(steps=203, lookup=False):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 5, (steps, 4)) if lookup else rng.normal(size=(steps, 4, 5))
    return x, rng.integers(0, 7, (steps, 4))


@pytest.mark.parametrize("lookup", [False, True])
@pytest.mark.parametrize("cells", [*([cell] for cell in CELLS), ["lstm:hidden=9", "gru:hidden=8", "lstm:hidden=7"]])
@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-6), ("float64", 1e-14)])
def test_rebuilt_gates_give_the_gradient_to_rounding(cells, lookup, dtype, error):
    expected = engine("full-history", cells, dtype).gradients(*batch(lookup=lookup))
    for store in ("states", "checkpoint:slots=3,keep=states", "checkpoint:policy=mixed,slots=40,keep=states"):
        found = engine(store, cells, dtype).gradients(*batch(lookup=lookup))
        assert found.loss == pytest.approx(expected.loss, rel=error)
        difference = np.linalg.norm(found.gradients.flat - expected.gradients.flat)
        assert difference <= error * np.linalg.norm(expected.gradients.flat)
        assert np.array_equal(found.state.flat, expected.state.flat)  # the forward run is the same


@pytest.mark.parametrize("cells", [[cell] for cell in CELLS])
def test_rebuilt_gates_give_the_gradient_of_finite_differences(cells):
    assert check_gradients(engine("states", cells, "float64"), *batch(20)) < 1e-7


@pytest.mark.parametrize(("cell", "share"), [("lstm", 1 / 6), ("gru", 1 / 5), ("elman", 1)])
def test_what_waits_is_a_sixth_of_an_lstms_tape_a_fifth_of_a_grus_and_all_of_elmans(cell, share):
    network = rf.Network([f"{cell}:hidden=64"], "mse:outputs=1", 3)
    steps = 1000  # so many that the rows before and after a chunk do not matter
    assert network.chunk_bytes(steps, 8, "states").tape == pytest.approx(
        share * network.chunk_bytes(steps, 8).tape, rel=0.01
    )


def test_a_stream_of_unknown_length_is_kept_as_far_as_it_goes():
    x, y = batch()
    expected = engine("states", CELLS[:1]).gradients(x, y)
    found = engine("states", CELLS[:1]).gradients(iter([(x[:50], y[:50]), (x[50:], y[50:])]), None)
    assert np.array_equal(found.gradients.flat, expected.gradients.flat)


def test_a_cell_that_cannot_rebuild_keeps_its_whole_tape():
    class Opaque(type(rf.cell("lstm"))):
        name = "opaque"

        def retained_arrays(self, inputs, retention):
            return tuple(self.tape(inputs))

    cells = [Opaque(hidden=6), "gru:hidden=5"]
    expected = engine("full-history", cells).gradients(*batch())
    found = engine("states", cells).gradients(*batch())
    assert np.allclose(found.gradients.flat, expected.gradients.flat, rtol=1e-5, atol=1e-7)
