"""The conformance suite of layers, and what only the author knows."""

import numpy as np

import rnnframe as rf
from rnnframe import testing


class TestExample(testing.CellTests):
    """Every check of the suite; there is no U in which integers could be looked up."""

    cell = "example:slope=0.1"
    lookup = False


def test_a_slope_of_one_leaves_the_inputs_as_they_are() -> None:
    """With a = 1 the layer makes no difference to the network below it."""
    x = np.random.default_rng(0).normal(size=(20, 4, 3))
    (with_layer, _), (without, _) = (
        rf.Inference(rf.Network(cells, "mse:outputs=1", inputs=3, seed=1)).predict(x)
        for cells in (["gru:hidden=8", "example:slope=1"], ["gru:hidden=8"])
    )
    assert np.allclose(with_layer, without)
