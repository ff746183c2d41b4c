"""Lengths and resets: a batch gives what its samples give one by one, with every store, cell and head."""

import numpy as np
import pytest
from cut_cases import Case, cases, one_by_one
from hypothesis import given, settings
from hypothesis import strategies as st

import rnnframe as rf

pytestmark = pytest.mark.usefixtures("each_kernels")

BIT_IDENTICAL = (
    "full-history",
    "full-history:keep=lean",
    "circular-queue:k1=40,k2=44",
    "checkpoint:policy=uniform,slots=2",
    "checkpoint:policy=uniform,slots=2,keep=lean",
    "checkpoint:policy=revolve,slots=2",
    "checkpoint:policy=online,slots=2",
    "checkpoint:policy=mixed,slots=3",
    "checkpoint:policy=mixed,slots=40,keep=lean",
)
PLAIN = Case(
    cells=("lstm:hidden=4", "gru:hidden=3"),
    head="softmax:classes=5",
    lengths=(9, 3, 17, 1, 17, 6),
    cut="lengths and resets",
    often=0.1,
    chunk=4,
    shards=1,
    lookup=False,
    seed=2,
)


def near(one, other):
    """Assert equality to the rounding of double precision."""
    assert np.abs(one - other).max(initial=0) <= 1e-10 * max(1, np.abs(other).max(initial=0))


@given(cases(), st.sampled_from([*BIT_IDENTICAL, "states"]))
@settings(max_examples=150)
def test_a_batch_gives_what_its_samples_give_one_by_one(case, store):
    network = case.network()
    batch = case.batch(network)
    alone = one_by_one(network, batch)
    result = case.engine(network, store).gradients(*batch.all)
    assert result.count == alone.count
    near(result.loss, alone.loss / alone.count)
    near(result.gradients.flat, alone.gradient / alone.count)
    for name in batch.state:
        near(result.state[name], alone.state[name])
        near(result.state_gradient[name], alone.state_gradient[name] / alone.count)


@given(cases(dtypes=("float32", "float64")))
@settings(max_examples=60)
def test_all_exact_stores_give_equal_bits_with_lengths_and_resets(case):
    network = case.network()
    batch = case.batch(network)
    expected, *others = (case.engine(network, store).gradients(*batch.all) for store in BIT_IDENTICAL)
    for other in others:
        assert other.loss == expected.loss
        for name in ("gradients", "state", "state_gradient"):
            assert np.array_equal(getattr(other, name).flat, getattr(expected, name).flat), name


@pytest.mark.parametrize("store", [*BIT_IDENTICAL, "states", "circular-queue:k1=3,k2=7,weights=stored"])
def test_it_holds_what_was_predicted_for_the_longest_sample(store):
    network = PLAIN.network()
    trainer = rf.Trainer(PLAIN.engine(network, store), "sgd:lr=1e-3")
    report = trainer.step(*PLAIN.batch(network).all).report
    assert report.peak_bytes == report.predicted_bytes == trainer.engine.plan(17, 6).predicted_bytes
