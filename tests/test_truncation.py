"""Truncated gradients are exact too: those of losses that take the states before their window for constants."""

import math

import attrs
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from proofs import examples
from surrogate import arrays_of, slope, step, stepped, window_loss, windows

import rnnframe as rf

pytestmark = pytest.mark.usefixtures("each_kernels")

STACKS = [("elman",), ("lstm",), ("lstm", "elman")]


@attrs.frozen(kw_only=True)
class Case:
    """A float64 network, its data, and a window."""

    cells: tuple[str, ...] = ("elman",)
    steps: int
    k1: int
    longer: int
    chunk: int
    batch: int = 2
    seed: int = 0

    @property
    def k2(self):
        return self.k1 + self.longer

    def network(self):
        network = rf.Network([f"{cell}:hidden=3" for cell in self.cells], "softmax:classes=3", 2, dtype="float64")
        rng = np.random.default_rng(self.seed)
        network.parameters.flat[:] = rng.normal(scale=0.7, size=network.parameters.flat.shape)
        return network

    def data(self, network):
        rng = np.random.default_rng(self.seed + 1)
        x = rng.normal(size=(self.steps, self.batch, 2))
        y = rng.integers(0, 3, (self.steps, self.batch))
        state = network.new_state(self.batch)
        state.flat[:] = rng.normal(size=state.flat.shape)
        return x, y, state


def cases():
    return st.builds(
        Case,
        cells=st.sampled_from(STACKS),
        steps=st.integers(1, 14),
        k1=st.integers(1, 6),
        longer=st.integers(0, 12),
        chunk=st.integers(1, 8),
        batch=st.integers(1, 2),
        seed=st.integers(0, 2**20),
    )


def surrogate_gradient(case, network, x, y, state):
    """Return the mean over all steps and samples of the slopes of every window's loss, flat."""
    shapes = network.parameters.shapes
    p = arrays_of(network.parameters.flat, shapes)
    states = [dict(state)]
    for x_t in x:
        states.append(step(case.cells, p, x_t, states[-1]))
    moved = [arrays_of(stepped(network.parameters.flat), shapes)] * case.steps
    parts = windows(case.steps, case.k1, case.k2)
    return sum(slope(window_loss(case.cells, moved, x, y, states, part)) for part in parts) / y.size


def close(ours, theirs):
    """Assert equality to 1e-10 of the largest entry."""
    assert np.abs(ours - theirs).max() <= 1e-10 * np.abs(theirs).max()


@given(cases())
@example(Case(steps=3, k1=5, longer=2, chunk=2))  # a sequence shorter than k1
@example(Case(steps=11, k1=3, longer=2, chunk=2))  # T and k2 no multiples of k1, a chunk that does not divide
@example(Case(steps=5, k1=2, longer=12, chunk=3))  # a queue longer than the sequence
@example(Case(steps=9, k1=1, longer=0, chunk=8))  # no step back at all
@settings(max_examples=examples(200))
def test_the_gradient_of_a_circular_queue_is_that_of_its_surrogate(case):
    network = case.network()
    x, y, state = case.data(network)
    result = rf.Engine(network, f"circular-queue:k1={case.k1},k2={case.k2}", chunk=case.chunk).gradients(x, y, state)
    close(result.gradients.flat, surrogate_gradient(case, network, x, y, state))


@given(cases())
@settings(max_examples=examples(100))
def test_a_window_longer_than_the_sequence_is_full_history(case):
    network = case.network()
    x, y, state = case.data(network)
    k2 = math.ceil(case.steps / case.k1) * case.k1 + case.longer  # every window reaches the first step
    truncated = rf.Engine(network, f"circular-queue:k1={case.k1},k2={k2}", chunk=case.chunk).gradients(x, y, state)
    full = rf.Engine(network, chunk=case.chunk).gradients(x, y, state)
    close(truncated.gradients.flat, full.gradients.flat)
    close(truncated.loss, full.loss)
    close(truncated.state.flat, full.state.flat)


def test_truncation_takes_something_away():
    case = Case(steps=12, k1=2, longer=1, chunk=2)
    network = case.network()
    x, y, state = case.data(network)
    truncated = rf.Engine(network, f"circular-queue:k1={case.k1},k2={case.k2}").gradients(x, y, state)
    full = rf.Engine(network).gradients(x, y, state)
    assert truncated.loss == pytest.approx(full.loss, rel=1e-12)
    assert np.abs(truncated.gradients["layer0.W"] - full.gradients["layer0.W"]).max() > 1e-3
    # the readout needs no past: its gradient is the same
    close(truncated.gradients["head.V"], full.gradients["head.V"])


def scalar_chain(steps, store):
    """Return (x_T, dx_T/dw) of x_t = w x_(t-1), x_0 = 0.9, w = 0.2 as a network whose loss has the slope 1 in x_T."""
    network = rf.Network(["elman:hidden=1,activation=identity"], "mse:at=last", inputs=1, dtype="float64")
    network.parameters.flat[:] = 0
    network.parameters["layer0.W"][...] = 0.2
    network.parameters["head.V"][...] = 1
    last = 0.9 * 0.2**steps
    x, y, state = np.zeros((steps, 1, 1)), np.full((1, 1), last - 0.5), {"layer0.h": np.full((1, 1), 0.9)}
    result = rf.Engine(network, store, chunk=1).gradients(x, y, state)  # loss (x_T - y)², slope 2 (x_T - y) = 1
    assert result.state["layer0.h"].item() == pytest.approx(last, rel=1e-15)
    return result.gradients["layer0.W"].item()


@pytest.mark.parametrize(
    "store",
    ["full-history", "circular-queue:k1=3,k2=3", "circular-queue:k1=1,k2=3", "checkpoint:policy=revolve,slots=1"],
)
def test_the_scalar_chain_has_the_slopes_of_paper_and_pencil(store):
    # x_1 = w x_0, x_2 = w² x_0, x_3 = w³ x_0: slopes x_0, 2 w x_0, 3 w² x_0
    assert [scalar_chain(steps, store) for steps in (1, 2, 3)] == pytest.approx([0.9, 0.36, 0.108], rel=1e-14)


def test_the_scalar_chain_cut_after_one_and_two_steps_has_the_slopes_of_paper_and_pencil():
    # x_3 = w x_2 with x_2 = 0.036 held constant: slope x_2; x_3 = w² x_1 with x_1 = 0.18 held constant: 2 w x_1
    assert scalar_chain(3, "circular-queue:k1=1,k2=1") == pytest.approx(0.036, rel=1e-14)
    assert scalar_chain(3, "circular-queue:k1=1,k2=2") == pytest.approx(0.072, rel=1e-14)
