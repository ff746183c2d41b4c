"""Sweeps with a pause: the bits of `Engine.sweep`, several under way at once, and one line for what cannot be."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import UsageError

EXACT = ["full-history", "checkpoint:slots=3", "checkpoint:policy=mixed,slots=3", "checkpoint:budget=1MiB,keep=lean"]
T, B, INPUTS, H = 19, 5, 3, 4


def network():
    made = rf.Network(["lstm:hidden=6", f"gru:hidden={H}"], None, INPUTS, dtype="float64")
    made.parameters.flat[:] = np.random.default_rng(3).normal(scale=0.5, size=made.parameters.flat.shape)
    return made


def put(into):
    def function(part, values):
        into[part.index] = values

    return function


class Sums:
    """What one sweep takes and gives."""

    def __init__(self, seed, lengths=None):
        rng = np.random.default_rng(seed)
        self.x, self.slopes, self.lengths = rng.normal(size=(T, B, INPUTS)), rng.normal(size=(T, B, H)), lengths
        self.outputs, self.dx = np.zeros((T, B, H)), np.zeros((T, B, INPUTS))

    def pull(self, part, outputs):
        return self.slopes[part.index]

    def once(self, engine):
        found = engine.sweep(
            self.x, self.pull, outputs=put(self.outputs), input_gradient=put(self.dx), lengths=self.lengths
        )
        return [*self.arrays(found)]

    def forward(self, engine):
        return engine.sweep(self.x, put(self.outputs), lengths=self.lengths, input_gradient=True)

    def back(self, sweep):
        return [*self.arrays(sweep.back(self.pull, input_gradient=put(self.dx)))]

    def arrays(self, found):
        return self.outputs, self.dx, found.state.flat, found.gradients.flat, found.state_gradient.flat


@pytest.mark.parametrize("lengths", [None, [3, 19, 1, 12, 19]])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("store", EXACT)
def test_two_passes_give_the_bits_of_one_call_however_many_are_under_way(store, shards, lengths):
    made = network()
    one = rf.Engine(made, store, chunk=4, shards=shards, kernels="numpy")
    two = rf.TwoPassEngine(made, store, chunk=4, shards=shards, kernels="numpy")
    lengths = None if lengths is None else np.array(lengths)
    expected = [Sums(seed, lengths).once(one) for seed in range(3)]
    for order in ((0, 1, 2), (1, 2, 0)):  # buffers are used again in the second round
        jobs = [Sums(seed, lengths) for seed in range(3)]
        sweeps = [job.forward(two) for job in jobs]
        for n in order:
            for ours, theirs in zip(jobs[n].back(sweeps[n]), expected[n], strict=True):
                assert np.array_equal(ours, theirs)


def test_a_sweep_that_is_not_the_latest_makes_its_parameters_ready_again():
    made, job, other = network(), Sums(0), Sums(1)
    expected = Sums(0).once(rf.Engine(made, kernels="numpy"))
    engine = rf.TwoPassEngine(made, kernels="numpy")
    before, changed = made.parameters.flat.copy(), made.parameters.flat * 2
    sweep = job.forward(engine)
    assert sweep.is_latest
    made.parameters.flat[:] = changed
    other.forward(engine)
    assert not sweep.is_latest
    made.parameters.flat[:] = before
    for ours, theirs in zip(job.back(sweep), expected, strict=True):
        assert np.array_equal(ours, theirs)


def test_the_way_forward_alone_hands_out_the_same_outputs_and_keeps_nothing():
    made, job = network(), Sums(0)
    expected = Sums(0).once(rf.Engine(made, kernels="numpy"))
    sweep = rf.TwoPassEngine(made, kernels="numpy").sweep(job.x, put(job.outputs), goes_back=False)
    assert np.array_equal(job.outputs, expected[0])
    assert np.array_equal(sweep.state.flat, expected[2])
    with pytest.raises(UsageError, match="make another one"):
        sweep.back(job.pull)


def test_what_cannot_be_swept_in_two_passes_is_told_in_one_line():
    made, job = network(), Sums(0)
    with pytest.raises(UsageError, match="truncates") as told:
        rf.TwoPassEngine(made, "circular-queue:k1=4,k2=8")
    assert "\n" not in str(told.value)
    sweep = job.forward(rf.TwoPassEngine(made, kernels="numpy"))
    job.back(sweep)
    with pytest.raises(UsageError, match="has gone back"):
        job.back(sweep)
