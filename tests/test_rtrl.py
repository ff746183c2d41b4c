"""Real-time recurrent learning as a witness: the same gradient, carried forward in time with nothing remembered.

Williams & Zipser (1989), "A learning algorithm for continually running fully recurrent neural networks", Neural
Computation 1. With J_t = ds_t/dp, the state s_t and its Jacobians D_t = ds_t/ds_(t-1) and P_t = ∂s_t/∂p of one step:

    J_t = D_t J_(t-1) + P_t,     dL/dp = Σ_t dL/dh_t J_t

It shares with the engine the reverse of a single step alone: no store, no chunk, no sum over time.
"""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.testing.blocks import Bench, Given

STEPS, INPUTS = 12, 3
CELLS = [
    "elman:hidden=4",
    "lstm:hidden=3",
    "gru:hidden=3",
    "gru:hidden=3,reset=before",
    "peephole-lstm:hidden=3",
    "slstm:hidden=3",
    "mingru:hidden=4",
    "minlstm:hidden=4",
    "indrnn:hidden=4,activation=tanh",
    "lstm:hidden=3,recurrent_dropout=0.4,zoneout=0.2,zoneout_cell=0.3",
    "gru:hidden=3,recurrent_dropout=0.4,zoneout=0.3",
]


def forward_gradient(cell, parameters, x, dh):
    """Return dL/dp by name, for one sample."""
    bench = Bench(cell, INPUTS)
    for name, value in parameters.items():
        bench.weights[name][...] = value
    bench.derive()
    state = {name: np.zeros((1, width)) for name, width in cell.state(INPUTS).items()}
    J = np.zeros((sum(map(np.size, state.values())), sum(map(np.size, parameters.values()))))
    total = np.zeros(J.shape[1])
    for t in range(len(x)):
        D, P, after = jacobians(bench, parameters, x[t : t + 1], state, t)
        J, state = D @ J + P, after
        at = dict(zip(state, np.split(J, np.cumsum([value.size for value in state.values()])[:-1]), strict=True))
        total += dh[t, 0] @ at["h"]
    return total


def jacobians(bench, parameters, x, state, t):
    """Return ds_t/ds_(t-1), ∂s_t/∂p and s_t, row by row: the gradient of one value of the state at a time."""
    rows_of_state, rows_of_parameters = [], []
    sizes = {name: value.shape[1] for name, value in state.items()}
    for chosen, width in sizes.items():
        for k in range(width):
            dstate = {name: np.zeros((1, size)) for name, size in sizes.items()}
            dstate[chosen][0, k] = 1
            block = bench.block(Given(x, state, np.zeros((1, 1, sizes["h"])), dstate, start=t)).run()
            slopes = block.slopes()
            rows_of_state.append(np.concatenate([slopes[f"state {name}"].ravel() for name in sizes]))
            rows_of_parameters.append(np.concatenate([slopes[name].ravel() for name in parameters]))
    after = {name: value.copy() for name, value in block.last_state.items()}
    return np.array(rows_of_state), np.array(rows_of_parameters), after


@pytest.mark.parametrize("spec", CELLS)
def test_full_history_has_the_gradient_of_real_time_recurrent_learning(spec):
    network = rf.Network([spec], None, INPUTS, dtype="float64")
    rng = np.random.default_rng(0)
    network.parameters.flat[:] = rng.normal(scale=0.7, size=network.parameters.flat.shape)
    x, dh = rng.normal(size=(STEPS, 1, INPUTS)), rng.normal(size=(STEPS, 1, network.outputs_width))
    engine = rf.Engine(network, chunk=5, kernels="numpy")
    result = engine.sweep(x, lambda part, _: dh[part.start : part.stop])
    parameters = {name.removeprefix("layer0."): value for name, value in network.parameters.items()}
    wanted = forward_gradient(network.layers[0].layer, parameters, x, dh)
    assert np.abs(result.gradients.flat - wanted).max() <= 1e-10 * np.abs(wanted).max()
