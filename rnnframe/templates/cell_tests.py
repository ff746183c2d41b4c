"""The conformance suite of cells, and what only the author knows."""

import numpy as np

import rnnframe as rf
from rnnframe import testing


class TestExample(testing.CellTests):
    """Every check of the suite, with few units: differences are taken along every parameter."""

    cell = "example:hidden=5"


def test_a_unit_that_takes_all_of_the_new_is_a_plain_one() -> None:
    """With α = 1 nothing is left of h_(t-1) but h_(t-1) W."""
    cells = "example:hidden=3,alpha=1", "elman:hidden=3"  # which draw the same parameters
    x, y = np.random.default_rng(0).normal(size=(2, 20, 4, 3))
    all_new, plain = (rf.Engine(rf.Network([cell], "mse:outputs=3", 3, seed=1)).gradients(x, y).loss for cell in cells)
    assert np.isclose(all_new, plain)
