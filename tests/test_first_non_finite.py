import re

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.data.batch import Batch
from rnnframe.training.non_finite import first_non_finite


def network(*cells: str) -> rf.Network:
    return rf.Network(cells, "mse:outputs=1", 3, seed=1)


def data(steps: int = 150) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(steps, 2, 3)).astype("float32")


@pytest.mark.parametrize("step", [0, 1, 63, 64, 149])
def test_the_step_the_layer_and_the_array_are_named(step: int) -> None:
    x = data()
    x[step, 1, 2] = 3e38
    stack = network("elman:hidden=4,activation=identity", "gru:hidden=3")
    stack.parameters["layer0.U"][2] = 10
    assert first_non_finite(stack, Batch(x, None), None) == f"step {step}, layer0 (h)"


def test_a_state_that_grows_is_found_where_it_leaves_the_numbers() -> None:
    growing = network("elman:hidden=4", "elman:hidden=1,activation=identity")
    growing.parameters["layer1.W"][:] = 10
    place = first_non_finite(growing, Batch(data(), None), None)
    h = np.array([np.float32(10)])
    with np.errstate(over="ignore"):
        steps = next(n for n in range(150) if not np.isfinite(h * np.float32(10) ** n))
    layer = place.split(", ")
    assert layer[1] == "layer1 (h)"
    assert abs(int(layer[0].removeprefix("step ")) - steps) <= 3


def test_parameters_that_are_broken_are_told_first() -> None:
    broken = network("elman:hidden=4", "gru:hidden=3")
    broken.parameters["layer1.W"][1, 1] = np.nan
    assert first_non_finite(broken, Batch(data(), None), None) == "the parameters layer1.W, before any step"


def test_outputs_that_overflow_are_the_heads() -> None:
    large = network("gru:hidden=3")
    large.parameters["head.V"][:] = 3e38
    large.parameters["head.c"][:] = 3e38
    assert first_non_finite(large, Batch(data(), None), None).endswith(", the head (outputs)")


def test_a_finite_forward_sweep_leaves_the_reverse() -> None:
    place = first_non_finite(network("gru:hidden=3"), Batch(data(), None), None)
    assert place == "the reverse sweep: every value of the forward sweep is finite"


def test_what_stands_behind_the_end_of_a_sample_is_not_looked_at() -> None:
    x = data()
    x[100:, 1] = np.nan
    place = first_non_finite(network("gru:hidden=3"), Batch(x, None, lengths=np.array([150, 100])), None)
    assert place.startswith("the reverse sweep")


def test_a_reset_hides_what_was_before_it() -> None:
    x, resets = data(), np.zeros((150, 2), bool)
    resets[70, 1] = True
    cell = network("elman:hidden=4,activation=identity")
    state = cell.new_state(2)
    state["layer0.h"][1] = 1e36
    cell.parameters["layer0.W"][:] = 1.1 * np.eye(4)
    grows = Batch(x, None)
    assert re.fullmatch(r"step (4\d|5\d|6\d), layer0 \(h\)", first_non_finite(cell, grows, state))
    resets[30, 1] = True
    assert first_non_finite(cell, Batch(x, None, resets=resets), state).startswith("the reverse sweep")


def test_the_state_that_came_before_is_taken_into_account() -> None:
    cell = network("elman:hidden=4,activation=identity")
    state = cell.new_state(2)
    for view in state.values():
        view[...] = 0
    state["layer0.h"][0, 0] = 3e38
    cell.parameters["layer0.W"][0] = 10
    assert first_non_finite(cell, Batch(data(), None), state) == "step 0, layer0 (h)"
