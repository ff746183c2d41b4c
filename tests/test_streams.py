"""Sequences that arrive block by block: what is read, when, how long it is held, and what goes wrong."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.data.source import Reader
from rnnframe.data.staging import Staging
from rnnframe.data.stream import Stream
from rnnframe.engine.loop import execute
from rnnframe.engine.memory import Memory
from rnnframe.engine.totals import ShardTotals
from rnnframe.errors import DataError, OptionError, ScheduleError
from rnnframe.schedules import Drop, Forget, Forward, Load, Reverse, Save

pytestmark = pytest.mark.usefixtures("each_kernels")

INPUTS, CLASSES, BATCH = 3, 5, 3
PAIRS = "a stream yields pairs (x, y) of blocks, (x, y, resets) or (x, y, resets, weights)"


def make_engine(store="circular-queue:k1=4,k2=8", head="softmax", **options):
    count = "classes" if head == "softmax" else "outputs"
    network = rf.Network(["lstm:hidden=4"], f"{head}:{count}={CLASSES}", INPUTS, dtype="float64")
    return rf.Engine(network, store, **options)


def make_data(steps, batch=BATCH):
    rng = np.random.default_rng(0)
    return rng.normal(size=(steps, batch, INPUTS)), rng.integers(0, CLASSES, (steps, batch))


def in_blocks(x, y, length):
    """Yield pairs of `length` steps."""
    for start in range(0, len(x), length):
        yield x[start : start + length], y[start : start + length]


@pytest.mark.parametrize("batch", [3, 5])
@pytest.mark.parametrize("store", ["full-history", "circular-queue:k1=300,k2=700"])
def test_shards_of_unequal_size_read_the_same_stream_in_the_same_chunks(store, batch):
    # given a default chunk, which depends on the batch, and shards that differ by a sample
    x, y = make_data(1500, batch)
    array = make_engine(store, shards=2).gradients(x, y)
    stream = make_engine(store, shards=2).gradients(in_blocks(x, y, 100), None)
    assert stream.loss == array.loss
    assert np.array_equal(stream.gradients.flat, array.gradients.flat)


def test_no_block_is_read_before_its_steps_are_due():
    # given blocks as long as the steps between two updates
    read = []

    def blocks():
        for n, pair in enumerate(in_blocks(*make_data(20), length=4)):
            read.append(n)
            yield pair

    read_at_update = []
    make_engine(chunk=2).run(blocks(), None, None, on_update=lambda gradients, loss: read_at_update.append(len(read)))
    assert read_at_update == [1, 2, 3, 4, 5]


def test_an_engine_stops_reading_at_the_error_of_a_block():
    x, y = make_data(4)
    read = []

    def blocks():
        for n in range(100):
            read.append(n)
            yield (x, y) if n < 3 else (np.full_like(x, np.nan), y)

    with pytest.raises(DataError, match="at step 12"):
        make_engine(chunk=4).gradients(blocks(), None)
    assert read == [0, 1, 2, 3]


def test_an_iterable_that_cannot_be_sliced_is_a_stream():
    class Loader:
        def __iter__(self):
            return iter([list(pair) for pair in in_blocks(*make_data(12), length=5)])

    result = make_engine(chunk=4).gradients(Loader(), None)
    assert result.report.steps == 12
    assert result.loss == make_engine(chunk=4).gradients(*make_data(12)).loss


def test_evaluation_and_prediction_of_a_stream_are_those_of_the_array():
    x, y = make_data(23)
    engine = make_engine(chunk=4)
    assert engine.evaluate(in_blocks(x, y, 5), None).loss == engine.evaluate(x, y).loss
    predicted, state = engine.predict(in_blocks(x, y, 5))
    expected, expected_state = engine.predict(x)
    assert np.array_equal(predicted, expected)
    assert np.array_equal(state.flat, expected_state.flat)


def test_a_store_that_needs_the_length_says_so_and_names_those_that_do_not():
    with pytest.raises(OptionError) as refusal:
        make_engine("checkpoint:slots=2").gradients(in_blocks(*make_data(8), length=4), None)
    assert str(refusal.value) == (
        "store 'checkpoint' needs the length in advance; give arrays, or use a store for unknown lengths, "
        "such as checkpoint:policy=online, circular-queue or full-history"
    )


X, Y = make_data(4)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([], None, "the stream is empty; expected at least one block (x, y)"),
        (
            [X, X],
            None,
            f"{PAIRS}, not ndarray",
        ),
        (
            [(X, Y, Y > 0, Y, Y)],
            None,
            "a stream yields pairs (x, y) of blocks, (x, y, resets) or (x, y, resets, weights)",
        ),
        ([(X, Y, Y)], None, "resets has shape [4, 3] and holds int64; expected booleans [4, 3], as x has"),
        ([7], None, f"{PAIRS}, not int"),
        (
            [None],
            None,
            f"{PAIRS}, not NoneType",
        ),
        ([(X, Y), (X[:, :2], Y[:, :2])], None, "a block of the stream has batch 2, the first one had 3"),
        ([(X, Y[:3])], None, "x and y differ in T or B: x begins with [4, 3], y [3, 3]"),
        ([(X[:0], Y[:0])], None, "x has shape [0, 3, 3]; expected at least one step, sample and input"),
        ([(X, Y), (X[..., :2], Y)], None, "x has 2 inputs a step; the network was made with inputs=3"),
        ([([[1, 2], [3]], Y)], None, "x is no rectangular array: "),
        ([X, X], [Y], "the stream y ends before the stream x; give as many blocks of both"),
        ([X], [Y, Y], "the stream x ends before the stream y; give as many blocks of both"),
    ],
)
def test_a_stream_of_the_wrong_kind_is_refused(x, y, message):
    with pytest.raises(DataError) as refusal:
        make_engine(chunk=4).gradients(iter(x), None if y is None else iter(y))
    assert str(refusal.value).startswith(message)


def test_a_stream_of_inputs_with_an_array_of_targets_is_refused():
    with pytest.raises(DataError, match="x is an iterator and y a ndarray; give both as iterators, or pairs"):
        make_engine().gradients(iter([X]), Y)


def test_a_stream_has_no_last_step_for_a_head_that_counts_only_that_one():
    network = rf.Network(["lstm:hidden=4"], f"softmax:classes={CLASSES},at=last", INPUTS)
    with pytest.raises(DataError, match="no known last step; use a head with at=every, or arrays"):
        rf.Engine(network, "circular-queue").gradients(iter([(X, Y[-1])]), None)


def test_a_generator_may_fill_the_same_buffer_again():
    network = rf.Network(cells=["gru:hidden=4"], head="mse:outputs=1", inputs=2, seed=1)
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((50, 3, 2)).astype(np.float32), rng.standard_normal((50, 3, 1)).astype(np.float32)

    def blocks():
        kept_x, kept_y = np.empty((10, 3, 2), np.float32), np.empty((10, 3, 1), np.float32)
        for start in range(0, 50, 10):
            kept_x[:], kept_y[:] = x[start : start + 10], y[start : start + 10]
            yield kept_x, kept_y

    engine = rf.Engine(network, chunk=16)
    assert np.array_equal(engine.gradients(blocks(), None).gradients.flat, engine.gradients(x, y).gradients.flat)


def watched(schedule, watch):
    """Yield the actions of a schedule and call `watch` with each one when it is done."""
    action = next(schedule)
    while True:
        answer = yield action
        watch(action)
        try:
            action = schedule.send(answer)
        except StopIteration:
            return


def test_a_block_is_held_until_its_chunk_is_reversed():
    # given five blocks of four steps, each a chunk
    x, y = make_data(20)
    engine = make_engine("checkpoint:policy=online,slots=2", chunk=4)
    plan, source = engine.plan(None, BATCH), Stream(in_blocks(x, y, 4), None, engine.network.data_format)
    held = []

    def watch(action):
        held.append((type(action).__name__, source.held_bytes * 5 // (x.nbytes + y.nbytes)))

    reader = Reader(source, plan.grid, slice(0, BATCH), Staging(), lambda: None)
    execute(
        watched(plan.schedule(), watch), reader, engine.network, Memory(engine.network, plan, str), ShardTotals(), list
    )

    assert [blocks for name, blocks in held if name == "Reverse"] == [4, 3, 2, 1, 0]
    assert max(blocks for _, blocks in held) == 5


@pytest.mark.parametrize(
    ("store", "blocks"),
    [("full-history", 5), ("checkpoint:policy=online,slots=2", 5), ("circular-queue:k1=4,k2=8", 2)],
)
@pytest.mark.parametrize("shards", [1, 2])
def test_a_report_counts_the_data_that_had_to_be_held(store, blocks, shards, each_kernels):
    x, y = make_data(20)
    report = make_engine(store, chunk=4, shards=shards).gradients(in_blocks(x, y, 5), None).report
    held = blocks * (x.nbytes + y.nbytes) // 5
    # Of one and two columns of 4 steps of 3 inputs and a target, in lines of 64 bytes; compiled kernels take columns.
    staging = {1: 0, 2: 128 + 64 + 192 + 64 if each_kernels == "numpy" else 64 + 64}[shards]
    data = report.data_bytes - staging
    assert data == held if shards == 1 or blocks == 5 else held <= data <= held * 2
    assert make_engine(store, chunk=4, shards=shards).gradients(x, y).report.data_bytes == staging


@pytest.mark.parametrize("given", ["uint8", "float64"])
def test_data_are_held_as_they_came_or_in_the_dtype_of_the_network_where_that_is_smaller(given):
    network = rf.Network(["gru:hidden=4"], "mse:outputs=1", INPUTS, dtype="float32")
    x, y = np.ones((20, BATCH, INPUTS), given), np.ones((20, BATCH, 1), given)
    result = rf.Engine(network, "checkpoint:policy=online", chunk=4).gradients(in_blocks(x, y, 7), None)
    staging = {"uint8": 192, "float64": 0}[given]  # a chunk of it in float32, in lines of 64 bytes
    assert result.report.data_bytes == (x.size + y.size) * {"uint8": 1, "float64": 4}[given] + staging
    assert result.loss == rf.Engine(network, chunk=4).gradients(x, y).loss


def test_a_schedule_that_comes_back_to_a_chunk_whose_tape_it_has_released_is_refused():
    class Forgetful(type(rf.store("full-history"))):
        def schedule(self, grid, costs):
            yield Save(0)
            yield Forward(0, 2, keep=True)
            yield Forget(2)
            yield Load(0)
            yield Drop(0)
            yield Forward(0, 2, keep=True)
            yield Reverse(2, 0)

    x, y = make_data(8)
    assert make_engine(Forgetful(), chunk=4).gradients(x, y).report.forward_steps == 16
    with pytest.raises(ScheduleError, match="runs step 0 of a stream again after its tape was released"):
        make_engine(Forgetful(), chunk=4).gradients(in_blocks(x, y, 4), None)


def test_the_end_is_the_same_for_every_shard_of_an_iterator_that_goes_on_after_it():
    class Resuming:
        """Ends after each block, as a queue that is empty for a moment."""

        def __init__(self):
            self.calls = 0

        def __iter__(self):
            return self

        def __next__(self):
            self.calls += 1
            if self.calls % 2 == 0:
                raise StopIteration
            return make_data(8)

    for store in ("full-history", "checkpoint:policy=online,slots=2"):
        assert make_engine(store, chunk=4, shards=3).gradients(Resuming(), None).report.steps == 8
