"""Chunks with cuts hold wide states once more for each piece: a plan counts them, and a budget keeps to them."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.data.cuts import Cuts
from rnnframe.data.pieces import cut
from rnnframe.errors import OptionError

CELLS = ["linear-attention:heads=2,keys=6,values=5", "selective-ssm:states=9,rank=2"]
STORES = [
    "full-history",
    "full-history:keep=lean",
    "states",
    "checkpoint:slots=2",
    "checkpoint:policy=mixed,slots=5",
    "circular-queue:k1=3,k2=7",
]
STEPS, BATCH, INPUTS = 23, 6, 4


def data_of(kind, seed=0, steps=STEPS, batch=BATCH):
    """Return x, y, and what cuts them."""
    rng = np.random.default_rng(seed)
    cuts = {}
    if kind != "resets":
        cuts["lengths"] = rng.integers(1, steps + 1, batch)
    if kind != "lengths":
        cuts["resets"] = rng.random((steps, batch)) < rng.choice([0.02, 0.1, 0.5])
    return rng.normal(size=(steps, batch, INPUTS)), rng.normal(size=(steps, batch, 2)), cuts


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("cell", CELLS)
def test_the_bytes_of_chunks_with_cuts_are_those_that_were_planned(cell, store, shards):
    network = rf.Network([cell, "elman:hidden=3", cell], "mse:outputs=2", INPUTS, dtype="float64")
    larger = 0
    for seed in range(6):
        engine = rf.Engine(network, store, chunk=4, shards=shards, kernels="numpy")
        x, y, cuts = data_of(["lengths", "resets", "both"][seed % 3], seed)
        report = engine.gradients(x, y, **cuts).report
        assert report.peak_bytes == report.predicted_bytes
        larger += report.peak_bytes > engine.plan(STEPS, BATCH).predicted_bytes
    assert larger


def test_an_engine_that_has_run_with_cuts_plans_batches_without_them_as_before():
    network = rf.Network([CELLS[0]], "mse:outputs=2", INPUTS, dtype="float64")
    engine = rf.Engine(network, "full-history", chunk=4, shards=1, kernels="numpy")
    x, y, cuts = data_of("resets", 2)
    before = engine.gradients(x, y).report
    engine.gradients(x, y, **cuts)
    after = engine.gradients(x, y).report
    assert (after.peak_bytes, after.predicted_bytes) == (before.peak_bytes, before.predicted_bytes)
    assert before.peak_bytes == before.predicted_bytes


@pytest.mark.parametrize("store", ["auto", "checkpoint"])
@pytest.mark.parametrize("kind", ["lengths", "resets", "both"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_budget_holds_where_samples_end_or_are_reset(cell, kind, store):
    network = rf.Network([cell], "mse:outputs=2", INPUTS, dtype="float64")
    x, y, cuts = data_of(kind, 3, steps=60)
    whole = rf.Engine(network, "full-history", shards=1, kernels="numpy").gradients(x, y, **cuts)
    kept = 0
    for part in (0.9, 0.6, 0.4, 0.3):
        budget = int(whole.report.peak_bytes * part)
        engine = rf.Engine(network, f"{store}:budget={budget}", shards=1, kernels="numpy")
        try:
            found = engine.gradients(x, y, **cuts)
        except OptionError:  # too small
            continue
        kept += 1
        assert found.report.peak_bytes <= budget
        assert found.report.predicted_bytes == found.report.peak_bytes
        assert np.allclose(found.gradients.flat, whole.gradients.flat, rtol=1e-9, atol=1e-12)
    assert kept


@pytest.mark.parametrize("seed", range(20))
def test_cuts_count_the_rows_that_pieces_need(seed):
    rng = np.random.default_rng(seed)
    steps, batch, chunk = int(rng.integers(1, 30)), int(rng.integers(1, 7)), int(rng.integers(1, 9))
    ends = np.sort(rng.integers(1, steps + 1, batch)) if seed % 3 else None
    if ends is not None:
        ends[-1] = steps
    resets = rng.random((steps, batch)) < 0.2 if seed % 2 else None
    blocks = [] if resets is None else [(0, resets[: steps // 2]), (steps // 2, resets[steps // 2 :])]
    cuts = Cuts.of(steps, batch, ends, iter(blocks))
    most = cuts.most_beside(chunk)
    for start in range(steps):
        for length in range(1, chunk + 1):
            stop = min(start + length, steps)
            of_chunk = None if resets is None else resets[start:stop]
            spans = cut(stop - start, batch, None if ends is None else ends - start, of_chunk)
            rows = batch + sum(batch - span.first for span in spans)
            assert cuts.beside(start, stop) == (rows if rows > 2 * batch else 0)
            assert cuts.beside(start, stop) <= most


def test_a_network_of_two_directions_holds_no_more_than_is_planned():
    network = rf.Network([f"bidirectional({CELLS[0]})"] * 2, "mse:outputs=2", INPUTS, dtype="float64")
    for seed, store in enumerate(["full-history", "states", "checkpoint:slots=2"] * 4):
        x, y, cuts = data_of("lengths", seed)
        report = rf.Engine(network, store, chunk=1 + seed, shards=1, kernels="numpy").gradients(x, y, **cuts).report
        assert 0.95 * report.predicted_bytes <= report.peak_bytes <= report.predicted_bytes


def test_a_sweep_holds_what_was_planned():
    network = rf.Network([CELLS[0]], "mse:outputs=2", INPUTS, dtype="float64")
    x, _, cuts = data_of("lengths", 2)
    engine = rf.Engine(network, "checkpoint:slots=2", chunk=4, shards=1, kernels="numpy")
    result = engine.sweep(x, lambda part, outputs: outputs, lengths=cuts["lengths"])
    assert result.report.peak_bytes == result.report.predicted_bytes
