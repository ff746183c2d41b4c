"""The conformance suite of cells, and the formula of the paper, unit by unit."""

import math

import numpy as np
import pytest

import rnnframe as rf
from rnnframe import testing


class TestUGRNN(testing.CellTests):
    cell = "ugrnn:hidden=5"


def test_a_cell_of_one_unit_computes_the_formula_of_the_paper():
    network = rf.Network(["ugrnn:hidden=1,gate_bias=0.3"], "mse:outputs=1", 2, dtype="float64", seed=4)
    p = network.parameters.group("layer0")
    assert p["b"].tolist() == [0, 0.3]
    x, h = np.random.default_rng(0).normal(size=(6, 1, 2)), 0.0
    for x_t in x[:, 0]:
        z_c, z_g = x_t @ p["U"] + h * p["W"][0] + p["b"]
        g = 1 / (1 + math.exp(-z_g))
        h = g * h + (1 - g) * math.tanh(z_c)
    _, state = rf.Inference(network).predict(x)
    assert state["layer0.h"].item() == pytest.approx(h, rel=1e-12)
