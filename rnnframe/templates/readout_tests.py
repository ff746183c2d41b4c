"""The conformance suite of readouts, and what only the author knows."""

import numpy as np

import rnnframe as rf
from rnnframe import testing


class TestExample(testing.ReadoutTests):
    """Every check of the suite."""

    readout = "example:bound=2"


def test_no_output_is_larger_than_the_bound() -> None:
    """However large the parameters are."""
    network = rf.Network(["gru:hidden=8"], "mse:outputs=2,readout=example:bound=0.5", inputs=3)
    network.parameters.flat[...] *= 100
    x = np.random.default_rng(0).normal(size=(20, 4, 3))
    outputs, _ = rf.Inference(network).predict(x)
    assert 0.49 < np.abs(outputs).max() <= 0.5
