"""The starting values of cells: uniform by default, orthogonal or by Glorot's rule where the option says so."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import OptionError

H, INPUTS = 24, 5
GATES = {"elman": 1, "gru": 3, "gru:reset=before": 3, "lstm": 4, "peephole-lstm": 4, "slstm": 4}


def network(cell: str, options: str = "", seed: int = 3) -> rf.Network:
    spec = f"{cell}{',' if ':' in cell else ':'}hidden={H}{options}"
    return rf.Network([spec], "mse:outputs=2", INPUTS, seed=seed, dtype="float64")


def blocks(array: np.ndarray) -> list[np.ndarray]:
    return np.split(array, array.shape[1] // H, axis=1)


@pytest.mark.parametrize("cell", GATES)
def test_without_the_option_the_draws_are_those_that_they_always_were(cell):
    rng = np.random.default_rng(3)
    U = rng.uniform(-1 / np.sqrt(H), 1 / np.sqrt(H), (INPUTS, GATES[cell] * H))
    W = rng.uniform(-1 / np.sqrt(H), 1 / np.sqrt(H), (H, GATES[cell] * H))
    found = network(cell).parameters
    np.testing.assert_array_equal(found["layer0.U"], U)
    np.testing.assert_array_equal(found["layer0.W"], W)


@pytest.mark.parametrize("cell", GATES)
def test_an_orthogonal_w_keeps_lengths_gate_by_gate(cell):
    parameters = network(cell, ",init=orthogonal").parameters
    parts = blocks(parameters["layer0.W"])
    assert len(parts) == GATES[cell]
    for W in parts:
        np.testing.assert_allclose(W @ W.T, np.eye(H), atol=1e-12)
    assert all(not np.allclose(parts[0], other) for other in parts[1:])


def test_orthogonal_matrices_are_drawn_alike_probable():
    """Their traces have mean 0 and variance 1, as those of Haar's measure; without a fixed sign of R they have not."""
    traces = [np.trace(network("elman", ",init=orthogonal", seed).parameters["layer0.W"]) for seed in range(400)]
    assert abs(np.mean(traces)) < 0.2
    assert 0.7 < np.var(traces) < 1.4


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("init", ["orthogonal", "glorot"])
def test_glorots_rule_bounds_each_gate(cell, init):
    parameters = network(cell, f",init={init}").parameters
    for name in ("U", "W")[: 1 + (init == "glorot")]:
        for part in blocks(parameters[f"layer0.{name}"]):
            bound = np.sqrt(6 / sum(part.shape))
            assert 0.9 * bound < np.abs(part).max() <= bound


def test_what_is_no_start_is_refused():
    with pytest.raises(OptionError, match="init=eye is invalid; expected one of orthogonal, glorot or none"):
        network("lstm", ",init=eye")


def test_a_spec_without_the_option_is_written_as_before():
    assert network("gru").specs()["cells"] == [f"gru:hidden={H},reset=after"]
    assert network("gru", ",init=glorot").specs()["cells"] == [f"gru:hidden={H},init=glorot,reset=after"]


@pytest.mark.parametrize("cell", ["lstm", "peephole-lstm", "slstm"])
def test_the_bias_of_the_forget_gate_starts_where_its_option_says(cell):
    f = slice(2 * H, 3 * H) if cell == "slstm" else slice(H, 2 * H)
    b = network(cell, ",forget_bias=2.5,init=orthogonal").parameters["layer0.b"]
    np.testing.assert_array_equal(b[f], 2.5)
    assert np.count_nonzero(b) == H
