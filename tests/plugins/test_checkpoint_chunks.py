"""The default chunk length of a checkpointing store."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.runs.folder import RunFolder
from rnnframe.training.options import TrainingOptions
from rnnframe.training.session import Training

STEPS, BATCH = 200, 8


@pytest.fixture(scope="module")
def network() -> rf.Network:
    """Return a network of which 200 steps of 8 samples are two of the usual chunks."""
    return rf.Network(["gru:hidden=64"], "mse:outputs=1", inputs=8)


def plan(network, store, chunk=None, steps=STEPS):
    return rf.Engine(network, store, chunk, shards=1).plan(steps, BATCH)


@pytest.mark.parametrize(("store", "share"), [("checkpoint", 0.4), ("checkpoint:policy=revolve", 0.4)])
def test_checkpoints_of_a_short_sequence_hold_much_less_than_full_history(network, store, share):
    full, made = plan(network, "full-history"), plan(network, store)
    assert made.predicted_bytes < share * full.predicted_bytes
    # and than with the chunks of full history, by a quarter at least
    assert made.predicted_bytes <= 0.75 * plan(network, store, full.chunk).predicted_bytes


def test_forward_steps_rise_by_what_the_schedule_says(network):
    made = plan(network, "checkpoint")
    length, chunks = made.chunk, made.grid.chunks
    assert (length, chunks) == (52, 4)
    assert made.simulation.tapes == 1  # so equal segments of one chunk: all but the last are run twice
    assert made.simulation.forward_steps == STEPS + (chunks - 1) * length
    revolve = plan(network, "checkpoint:policy=revolve")
    s, n = 2, 4  # snapshots and chunks: C(4, 2) >= 4, so t = 2 runs, 2 * 4 - C(4, 1) of them extra (Algorithm 799)
    assert revolve.simulation.snapshots == s
    assert revolve.simulation.forward_chunks - n == 2 * 4 - 4


def test_bits_are_those_of_full_history_with_chunks_of_the_same_length(network):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((STEPS, BATCH, 8)).astype(np.float32)
    y = rng.standard_normal((STEPS, BATCH, 1)).astype(np.float32)
    made = rf.Engine(network, "checkpoint", shards=1).gradients(x, y)
    full = rf.Engine(network, "full-history", made.report.chunk, shards=1).gradients(x, y)
    assert made.report.chunk < network.usual_chunk(BATCH)
    assert (made.loss, made.gradients.flat.tobytes()) == (full.loss, full.gradients.flat.tobytes())


@pytest.mark.parametrize(
    ("cell", "batch", "store", "length"),
    [
        ("gru:hidden=64", 8, "checkpoint", 52),  # 416 rows, half of the usual ones; a quarter are fewer than 256
        ("lstm:hidden=256", 32, "checkpoint:policy=revolve", 8),  # 256 rows
        ("gru:hidden=16", 1, "checkpoint", 200),  # one chunk, whose tape is small: shorter ones take much longer
    ],
)
def test_chunks_stay_long_enough_to_be_fast(cell, batch, store, length):
    network = rf.Network([cell], "mse:outputs=1", inputs=8)
    assert rf.Engine(network, store, shards=1).plan(STEPS, batch).chunk == length


def test_a_long_sequence_keeps_its_chunks_since_equal_segments_hold_as_much(network):
    usual = network.usual_chunk(BATCH)
    longer = plan(network, "checkpoint", steps=400_000)
    assert longer.chunk == usual
    halved = plan(network, "checkpoint", -(-usual // 2), steps=400_000)
    assert halved.predicted_bytes > 0.75 * longer.predicted_bytes


def test_a_given_chunk_is_taken_as_it_is(network):
    assert plan(network, "checkpoint", 103).chunk == 103


def test_a_budget_is_kept_with_shorter_chunks_before_it_is_refused(network):
    usual = plan(network, "checkpoint", 103).predicted_bytes
    assert plan(network, f"checkpoint:budget={usual}").chunk == 103
    made = plan(network, "checkpoint:budget=1MiB")
    assert made.predicted_bytes <= 2**20
    with pytest.raises(rf.RnnframeError, match="at this chunk length"):
        plan(network, "checkpoint:budget=1MiB", 103)
    with pytest.raises(rf.RnnframeError, match=r"smallest budget that is enough is .* \(budget=") as refused:
        plan(network, "checkpoint:budget=3KiB")
    smallest = int(str(refused.value).rpartition("=")[2].rstrip(")"))
    assert plan(network, f"checkpoint:budget={smallest}").predicted_bytes <= smallest


def test_a_run_writes_its_chunk_down_so_that_it_goes_on_with_the_same_bits(tmp_path):
    options = TrainingOptions(
        task="adding:length=200,samples=64", cell="gru:hidden=64", batch=8, store="checkpoint", epochs=2, shards=1
    )
    weights = {}
    for name, stops in (("through", False), ("stopped", True)):
        with Training(options, run=tmp_path / name) as training:
            training.fit(lambda training=training, stops=stops: stops and training.number == 3)
        if stops:
            with RunFolder.resume(tmp_path / name) as run:
                assert 1 < run.config()["chunk"] < training.model.network.usual_chunk(8)
            with Training.resume(tmp_path / name) as training:
                training.fit()
        weights[name] = training.model.network.parameters.flat.tobytes()
    assert weights["through"] == weights["stopped"]
