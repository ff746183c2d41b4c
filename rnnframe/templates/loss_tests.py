"""The conformance suite of losses, and what only the author knows."""

import numpy as np

import rnnframe as rf
from rnnframe import testing


class TestExample(testing.LossTests):
    """Every check of the suite."""

    loss = "example:outputs=3,delta=0.5"


def test_an_outlier_pulls_with_delta_at_most() -> None:
    """The gradient is the error where that is small, and δ where it is large."""
    o, y = np.array([[1e-4], [1e4], [-1e4]]), np.zeros((3, 1))
    rf.default_registry().loss("example:delta=0.5").losses_and_gradients(o, y)
    assert np.allclose(o, [[1e-4], [0.5], [-0.5]])


def test_a_network_learns_with_it() -> None:
    """The loss goes down when the same batch is trained on."""
    trainer = rf.Trainer(rf.Engine(rf.Network(["gru:hidden=8"], "example:outputs=2", inputs=3)), "adam:lr=1e-2")
    x, y = np.random.default_rng(0).normal(size=(2, 20, 4, 3))
    losses = [trainer.step(x, y[..., :2]).loss for _ in range(20)]
    assert losses[-1] < losses[0]
