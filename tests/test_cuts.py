"""Lengths and resets: a batch gives what its samples give one by one, with every store, cell and head."""

import itertools
import tracemalloc

import attrs
import numpy as np
import pytest
from cut_cases import PLAIN, cases, near, one_by_one
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import examples
from surrogate import arrays_of, cross_entropy, slope, step, stepped, windows

import rnnframe as rf
from rnnframe.errors import PluginError
from rnnframe.schedules.grid import stretched
from rnnframe.testing import check_gradients
from rnnframe.training.non_finite import first_non_finite

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


@given(cases(), st.sampled_from([*BIT_IDENTICAL, "states"]))
@settings(max_examples=examples(150))
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
@settings(max_examples=examples(60))
def test_all_exact_stores_give_equal_bits_with_lengths_and_resets(case):
    network = case.network()
    batch = case.batch(network)
    expected, *others = (case.engine(network, store).gradients(*batch.all) for store in BIT_IDENTICAL)
    for other in others:
        assert other.loss == expected.loss
        for name in ("gradients", "state", "state_gradient"):
            assert np.array_equal(getattr(other, name).flat, getattr(expected, name).flat), name


@pytest.mark.parametrize("store", [*BIT_IDENTICAL, "states", "circular-queue:k1=3,k2=7,weights=stored"])
def test_it_holds_no_more_than_was_predicted_for_the_longest_sample(store):
    network = PLAIN.network()
    trainer = rf.Trainer(PLAIN.engine(network, store), "sgd:lr=1e-3")
    report = trainer.step(*PLAIN.batch(network).all).report
    assert report.peak_bytes == report.predicted_bytes
    longest = trainer.engine.plan(17, 6)
    if report.chunks < longest.grid.chunks:
        assert report.peak_bytes <= longest.predicted_bytes
    else:
        assert store == "circular-queue:k1=3,k2=7,weights=stored"  # which acts at certain steps
        assert report.peak_bytes == longest.predicted_bytes


@pytest.mark.parametrize("shards", [1, 3])
def test_chunks_grow_longer_as_samples_end_and_keep_their_rows(shards):
    lengths = np.array([3, 10, 10, 25, 40, 100, 100, 400])
    x, y = np.random.default_rng(0).normal(size=(2, 400, len(lengths), 2))
    engine = rf.Engine(rf.Network(["lstm:hidden=4"], "mse:outputs=2", 2), chunk=8, shards=shards)
    report = engine.gradients(x, y, lengths=lengths).report
    grid = stretched(8, [[3, 10, 10, 25, 40, 100, 100, 400]])
    rows = [sum(np.clip(lengths - start, 0, stop - start)) for start, stop in map(grid.span, range(grid.chunks))]
    assert sum(rows) == lengths.sum()
    assert max(rows) <= 8 * len(lengths)
    assert min(rows[1:-1]) > 8 * len(lengths) / 2
    assert report.chunks == (grid.chunks if shards == 1 else 27)  # of 50; the last sample has two beside it at most
    assert report.peak_bytes == report.predicted_bytes < 0.7 * engine.run_plan(400, len(lengths)).predicted_bytes


def test_equal_lengths_are_the_bits_of_the_shorter_array():
    x, y = np.random.default_rng(0).normal(size=(2, 20, 3, 2))
    engine = rf.Engine(rf.Network(["lstm:hidden=4"], "mse:outputs=2", 2), chunk=6)
    cut_off, short = engine.gradients(x, y, lengths=[14, 14, 14]), engine.gradients(x[:14], y[:14])
    assert cut_off.loss == short.loss
    assert np.array_equal(cut_off.gradients.flat, short.gradients.flat)


def surrogate_gradient(case, network, batch, k1, k2):
    """Return the mean slope of the windows' losses of every sample, found by complex steps, sample by sample."""
    cells = [cell.name for cell in network.cells]
    shapes, flat = network.parameters.shapes, network.parameters.flat
    total, count = 0.0, 0
    for sample in range(batch.x.shape[1]):
        x, y, state, _, resets = batch.alone(sample)
        if case.lookup:
            x = np.eye(network.inputs)[x]
        zeros = {name: np.zeros_like(value) for name, value in state.items()}

        def state_at(t, before, resets=resets, zeros=zeros):
            return zeros if resets is not None and resets[t, 0] else before

        states = [dict(state)]
        for t in range(len(x)):
            states.append(step(cells, arrays_of(flat, shapes), x[t], state_at(t, states[-1])))
        moved = arrays_of(stepped(flat), shapes)
        for first, counted_from, end in windows(len(x), k1, k2):
            state, loss = states[first], 0.0
            for t in range(first, end):
                state = step(cells, moved, x[t], state_at(t, state))
                if t >= counted_from:
                    loss = loss + cross_entropy(cells, moved, state, y[t])
            total = total + slope(loss)
        count += len(x)
    return total / count


@given(
    cases(heads=["softmax:classes=3"], cells=["elman:hidden=3", "lstm:hidden=2"]), st.integers(1, 9), st.integers(0, 9)
)
@settings(max_examples=examples(60))
def test_a_truncated_gradient_is_that_of_each_samples_own_windows(case, k1, longer):
    network = case.network()
    batch = case.batch(network)
    engine = case.engine(network, f"circular-queue:k1={k1},k2={k1 + longer}")
    near(engine.gradients(*batch.all).gradients.flat, surrogate_gradient(case, network, batch, k1, k1 + longer))


TRAINED = cases(heads=["softmax:classes=5"], cells=["elman:hidden=4", "lstm:hidden=3", "gru:hidden=4"])


@given(TRAINED, st.integers(1, 9), st.integers(0, 9), st.sampled_from(["current", "stored"]))
@settings(max_examples=examples(60))
def test_updates_on_the_way_are_those_of_the_samples_one_by_one(case, k1, longer, weights):
    # given a run in which the parameters change after every window
    store = f"circular-queue:k1={k1},k2={k1 + longer},weights={weights}"
    network = case.network()
    batch, gradients, versions = case.batch(network), [], [network.parameters.flat.copy()]

    def take(gradient, loss):
        gradients.append(gradient.flat.copy())
        network.parameters.flat -= 0.1 * gradient.flat
        versions.append(network.parameters.flat.copy())

    case.engine(network, store).run(batch.x, batch.y, batch.state, take, batch.lengths, batch.resets)
    # when each sample is run alone, with the same parameters at the same steps
    sums, counts = np.zeros_like(gradients), np.zeros(len(gradients))
    for sample in range(batch.x.shape[1]):
        network.parameters.flat[:] = versions[0]
        x, y, state, _, resets = batch.alone(sample)
        window = iter(range(len(gradients)))

        def replay(gradient, loss, window=window, x=x):
            w = next(window)
            count = min(len(x), (w + 1) * k1) - w * k1
            sums[w] += gradient.flat * count
            counts[w] += count
            network.parameters.flat[:] = versions[w + 1]

        rf.Engine(network, store, chunk=case.chunk).run(x, y, state, replay, None, resets)
    # then their gradients add up to those of the batch
    assert counts.sum() == sum(batch.length(sample) for sample in range(batch.x.shape[1]))
    for gradient, total, count in zip(gradients, sums, counts, strict=True):
        near(gradient, total / count)


@pytest.mark.parametrize(
    ("head", "store"),
    [("softmax:classes=5", "full-history"), ("mse:outputs=2,at=last", "checkpoint:policy=mixed,slots=3")],
)
def test_with_lengths_and_resets_the_gradients_are_those_of_finite_differences(head, store):
    case = attrs.evolve(PLAIN, head=head, seed=4)
    network = case.network()
    batch = case.batch(network)
    assert batch.resets.any()
    check_gradients(case.engine(network, store), *batch.all[:3], lengths=batch.lengths, resets=batch.resets)


@given(cases())
@settings(max_examples=examples(40))
def test_evaluation_and_prediction_are_those_of_the_samples_one_by_one(case):
    network = case.network()
    batch, engine = case.batch(network), case.engine(network)
    alone = one_by_one(network, batch)
    evaluation = engine.evaluate(*batch.all)
    near(evaluation.loss, alone.loss / alone.count)
    assert evaluation.count == alone.count
    predicted, state = engine.predict(batch.x, *batch.all[2:])
    assert predicted.shape == (*batch.x.shape[:2], network.head.width)
    for name in batch.state:
        near(state[name], alone.state[name])
        near(evaluation.state[name], alone.state[name])
    for sample in range(batch.x.shape[1]):
        x, _, own, _, resets = batch.alone(sample)
        near(predicted[: len(x), sample], rf.Inference(network).predict(x, own, resets=resets)[0][:, 0])
        assert not predicted[len(x) :, sample].any()


@given(cases(heads=["softmax:classes=5", "mse:outputs=2"]), st.lists(st.integers(1, 9), min_size=1, max_size=5))
@settings(max_examples=examples(40))
def test_a_stream_with_resets_equals_the_array(case, blocks):
    case = attrs.evolve(case, cut="resets")
    network = case.network()
    batch = case.batch(network)
    for store in ("full-history", "circular-queue:k1=3,k2=8", "checkpoint:policy=online,slots=2"):
        array = case.engine(network, store).gradients(*batch.all)
        stream = case.engine(network, store).gradients(in_blocks(batch, blocks), None, batch.state)
        for name in ("gradients", "state", "state_gradient"):
            near(getattr(stream, name).flat, getattr(array, name).flat)
            if "queue" not in store:  # which cuts a sequence otherwise that it knows to be short
                assert np.array_equal(getattr(stream, name).flat, getattr(array, name).flat), name


def in_blocks(batch, lengths):
    """Yield (x, y, resets), and (x, y) where no state is reset."""
    start, lengths = 0, itertools.cycle(lengths)
    while start < len(batch.x):
        here = slice(start, start + next(lengths))
        resets = batch.resets[here]
        yield (batch.x[here], batch.y[here], resets) if resets.any() else (batch.x[here], batch.y[here])
        start = here.stop


def test_a_store_that_fails_where_chunks_grow_is_named():
    class Uniform(type(rf.store("full-history"))):
        name = "uniform-alone"

        def schedule(self, grid, costs):
            (_,) = grid.pattern
            return super().schedule(grid, costs)

    x, y = np.zeros((2, 20, 3, 2))
    engine = rf.Engine(rf.Network(["lstm:hidden=4"], "mse:outputs=2", 2), Uniform(), chunk=3)
    engine.gradients(x, y)
    with pytest.raises(PluginError, match=r"^store 'uniform-alone' .*: ValueError: too many values to unpack"):
        engine.gradients(x, y, lengths=[4, 9, 20])


def test_looking_for_what_is_not_finite_first_holds_one_chunk_however_long_the_sequence_is():
    network = rf.Network(["lstm:hidden=4"], "mse:outputs=2", 2)
    held = []
    for steps in (400, 1600):
        batch = rf.Batch(np.zeros((steps, 3, 2)), None, lengths=np.array([steps // 2, steps, steps]))
        tracemalloc.start()
        assert first_non_finite(network, batch, None).startswith("the reverse sweep")
        held.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert held[1] < held[0] + 8192
