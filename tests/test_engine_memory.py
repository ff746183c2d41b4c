"""Memory as measured, beside memory as promised: tracemalloc sees every buffer of numpy."""

import gc
import tracemalloc
from math import ceil, comb

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.data.columns import deal

BATCH, INPUTS, HIDDEN, CLASSES = 16, 24, 64, 10
CHUNK = 32
STORES = [
    "full-history",
    "circular-queue:k1=32,k2=100",
    "circular-queue:k1=32,k2=100,weights=stored",
    "checkpoint:policy=uniform",
    "checkpoint:policy=uniform,slots=3",
    "checkpoint:policy=revolve,slots=4",
    "checkpoint:policy=online,slots=4",
    "checkpoint:policy=mixed,slots=200",
    "checkpoint:budget=2MiB,keep=lean",
    "full-history:keep=lean",
    "states",
]
SMALL = 64 * 1024  # bytes: objects, views and working arrays of one chunk


@pytest.fixture(scope="module", autouse=True)
def everything_imported():
    """What numpy imports on first use is not the engine's."""
    make_trainer("checkpoint:budget=18MiB").step(*make_data(40))


def make_trainer(store, cell="lstm", shards=1):
    network = rf.Network([f"{cell}:hidden={HIDDEN}"], f"softmax:classes={CLASSES}", INPUTS)
    return rf.Trainer(rf.Engine(network, store, chunk=CHUNK, shards=shards), "sgd:lr=0.01")


def make_data(steps, batch=BATCH):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(steps, batch, INPUTS)).astype("float32")
    return x, rng.integers(0, CLASSES, (steps, batch))


def traced_peak(work):
    """Return what `work` gives back, and the most bytes that were held during it beyond those held before."""
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        result = work()
        return result, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cell", ["elman", "lstm", "gru"])
@pytest.mark.parametrize("store", STORES)
@pytest.mark.usefixtures("each_kernels")
def test_predicted_bytes_are_the_bytes_held_and_the_bytes_measured(store, cell):
    trainer, data = make_trainer(store, cell), make_data(400)
    result, measured = traced_peak(lambda: trainer.step(*data))
    report = result.report
    assert report.predicted_bytes == report.peak_bytes
    gradients = trainer.engine.network.parameters.nbytes
    assert abs(measured - gradients - report.peak_bytes) <= 0.02 * report.peak_bytes + 2 * SMALL


@pytest.mark.parametrize("optimizer", ["sgd:momentum=0.9", "rmsprop", "adam", "adamw", "adagrad", "lamb"])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("targets", [1.0, 0.0])
def test_a_second_step_allocates_nothing_of_the_size_of_the_parameters(optimizer, shards, targets):
    network = rf.Network(["lstm:hidden=512"], "mse:outputs=2", 8)
    if not targets:  # given a gradient that is zero, whose norm is computed in another way
        network.parameters.flat[:] = 0
    trainer = rf.Trainer(rf.Engine(network, shards=shards), optimizer, clip=1e-3)
    x, y = np.ones((3, 2, 8), "float32"), np.full((3, 2, 2), targets, "float32")
    trainer.step(x, y)
    _, peak = traced_peak(lambda: trainer.step(x, y))
    assert peak < network.parameters.nbytes / 10


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("store", STORES)
@pytest.mark.usefixtures("each_kernels")
def test_a_second_step_allocates_nothing_that_grows_with_the_sequence(store, shards):
    peaks = []
    for steps in (200, 1600):
        trainer, data = make_trainer(store, "gru", shards), make_data(steps)
        trainer.step(*data)
        _, peak = traced_peak(lambda trainer=trainer, data=data: trainer.step(*data))
        peaks.append(peak)
    short, long = peaks
    chance = (shards - 1) * 4 * SMALL  # whether threads hold their most at one time
    assert long - short <= SMALL + chance  # 1400 more steps leave 27 MiB of tape
    assert long <= 4 * SMALL + chance


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("weights", ["current", "stored"])
def test_a_circular_queue_over_a_stream_holds_no_more_however_long_the_stream_is(weights, shards):
    peaks = []
    x, y = make_data(100, batch=2)  # given fewer samples than shards, too
    for blocks in (20, 320):
        trainer = make_trainer(f"circular-queue:k1=32,k2=64,weights={weights}", "elman", shards)
        stream = ((x.copy(), y.copy()) for _ in range(blocks))
        result, peak = traced_peak(lambda trainer=trainer, stream=stream: trainer.step(stream, None))
        assert result.report.steps == 100 * blocks
        assert result.report.predicted_bytes == result.report.peak_bytes
        peaks.append(peak)
    short, long = peaks
    assert long <= short + SMALL  # 30,000 more steps, whose data alone is ninety times that


@pytest.mark.parametrize("shards", [1, 3])
def test_online_checkpoints_over_a_stream_hold_its_blocks_and_otherwise_no_more_however_long_it_is(shards):
    peaks = []
    x, y = make_data(100)
    for blocks in (20, 90):
        trainer = make_trainer("checkpoint:policy=online,slots=4", "elman", shards)
        stream = ((x.copy(), y.copy()) for _ in range(blocks))
        result, peak = traced_peak(lambda trainer=trainer, stream=stream: trainer.step(stream, None))
        assert result.report.steps == 100 * blocks
        assert result.report.predicted_bytes == result.report.peak_bytes
        inputs = 0 if "compiled" in result.report.kernels else INPUTS  # compiled kernels take columns as they are
        staging = 0 if shards == 1 else CHUNK * BATCH * (inputs * 4 + 8)  # of the columns that each shard reads
        beside = result.report.data_bytes - blocks * (x.nbytes + y.nbytes)
        assert staging <= beside <= 1.5 * staging  # pieces are cut in many ways
        peaks.append(peak - result.report.data_bytes)
    short, long = peaks
    assert long <= short + 1024 * (7000 // CHUNK)  # some small objects a chunk; a state has 4096 bytes


def test_full_history_of_a_stream_has_no_bound_to_predict_and_reports_what_it_held():
    x, y = make_data(400)
    report = rf.Engine(make_trainer("full-history").engine.network, chunk=CHUNK).gradients(iter([(x, y)]), None).report
    assert report.predicted_bytes is None
    assert report.peak_bytes == make_trainer("full-history").step(x, y).report.peak_bytes


def test_the_stores_hold_what_their_formulas_say():
    steps, chunks = 1600, 50
    network = make_trainer("full-history", "elman").engine.running
    needed = network.chunk_bytes(CHUNK, BATCH)
    tape, state = needed.tape, needed.state
    fixed = needed.scratch + 5 * state
    held = {
        store: rf.Engine(network, store, chunk=CHUNK).gradients(*make_data(steps)).report.peak_bytes - fixed
        for store in ("full-history", "checkpoint:policy=uniform,slots=9", "checkpoint:policy=revolve,slots=4")
    }
    assert held["full-history"] == chunks * tape
    assert held["checkpoint:policy=uniform,slots=9"] == 9 * state + chunks // 10 * tape
    assert held["checkpoint:policy=revolve,slots=4"] == 4 * state + tape


def report_of(store, chunks):
    """Return the report of a run over whole chunks of 3 steps."""
    network = rf.Network(["elman:hidden=3"], f"softmax:classes={CLASSES}", INPUTS)
    return rf.Engine(network, store, chunk=3).gradients(*make_data(3 * chunks, batch=2)).report


@pytest.mark.parametrize("chunks", [1, 2, 7, 30])
@pytest.mark.parametrize("store", ["full-history", "circular-queue:k1=6,k2=30"])
def test_stores_that_keep_tapes_run_every_step_forward_once(store, chunks):
    assert report_of(store, chunks).forward_steps == 3 * chunks


@pytest.mark.parametrize("slots", [1, 2, 5, 40])
@pytest.mark.parametrize("chunks", [1, 2, 7, 30])
def test_uniform_checkpoints_run_all_segments_but_the_last_twice(chunks, slots):
    last = ceil(chunks / (slots + 1))
    assert report_of(f"checkpoint:policy=uniform,slots={slots}", chunks).forward_steps == 3 * (2 * chunks - last)


@pytest.mark.parametrize("slots", [1, 2, 5, 40])
@pytest.mark.parametrize("chunks", [1, 2, 7, 30])
def test_revolve_recomputes_as_often_as_its_closed_form_says(chunks, slots):
    # Griewank & Walther (2000): t n - C(s + t, t - 1) beyond one run with a tape
    t = next(t for t in range(chunks) if comb(slots + t, t) >= chunks)
    beyond = t * chunks - (comb(slots + t, t - 1) if t else 0)
    assert report_of(f"checkpoint:policy=revolve,slots={slots}", chunks).forward_steps == 3 * (chunks + beyond)


@pytest.mark.parametrize("store", STORES)
def test_a_report_says_what_was_run(store):
    x, y = make_data(75, batch=5)
    report = make_trainer(store, "elman", shards=2).step(x, y).report
    assert (report.steps, report.batch, report.shards, report.chunk) == (75, 5, 2, CHUNK)
    assert report.chunks == 3
    assert report.store.startswith(store)
    assert report.exact == ("queue" not in store)
    assert report.updates == (3 if "queue" in store else 1)
    assert report.reverse_steps >= 75


GRID = [
    # cells, batch, steps, chunk
    (["lstm:hidden=128"], 32, 700, None),
    (["lstm:hidden=96", "gru:hidden=64"], 16, 1500, 40),
    (["gru:hidden=128,reset=before"], 64, 800, 8),
    (["elman:hidden=200", "elman:hidden=100", "lstm:hidden=50"], 8, 6000, None),
]


@pytest.mark.parametrize(("cells", "batch", "steps", "chunk"), GRID)
@pytest.mark.parametrize(
    "store",
    [
        "full-history",
        "full-history:keep=lean",
        "states",
        "circular-queue:k1=64,k2=640",
        "checkpoint:policy=uniform,slots=4",
        "checkpoint:policy=mixed,slots=800",
        "checkpoint:budget=18MiB",
        "checkpoint:budget=18MiB,keep=lean",
        "auto:budget=18MiB",
        "checkpoint:medium=float16,budget=18MiB",
    ],
)
def test_predictions_are_within_two_percent_of_what_is_measured_and_never_above_a_budget(
    store, cells, batch, steps, chunk
):
    network = rf.Network(cells, "mse:outputs=4", 12)
    engine = rf.Engine(network, store, chunk=chunk, shards=1)
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(steps, batch, width)).astype("float32") for width in (12, 4))
    rf.Engine(network, store, chunk=chunk, shards=1).gradients(x[:100], y[:100])  # loads what is needed first here
    engine.plan(steps, batch)  # makes tables of costs that all plans share
    result, measured = traced_peak(lambda: engine.gradients(x, y))
    held = measured - 2 * network.parameters.nbytes  # gradients, and the copy for the caller
    predicted = result.report.predicted_bytes
    assert abs(held - predicted) <= 0.02 * predicted + SMALL / 4
    assert result.report.peak_bytes <= predicted
    if "budget" in store:
        assert predicted <= 18 * 2**20


def small_engine(batch, **options):
    network = rf.Network(["elman:hidden=4"], "mse:outputs=2", 3)
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(3000, batch, width)).astype("float32") for width in (3, 2))
    return rf.Engine(network, shards=1, **options), x, y


def growth(engine, x, y, **more):
    """Return the bytes beside those predicted that a step more takes, of a sequence half as long and a whole one."""

    def beside(steps):
        again = rf.Engine(engine.network, engine.store, engine.chunk, engine.shards)
        part = {name: values[:steps] for name, values in more.items()}
        result, measured = traced_peak(lambda: again.gradients(x[:steps], y[:steps], **part))
        return measured - result.report.predicted_bytes

    return (beside(3000) - beside(1500)) / 1500


def test_resets_at_half_of_all_steps_leave_hardly_more_than_the_tapes():
    engine, x, y = small_engine(4)
    resets = np.random.default_rng(1).random((3000, 4)) < 0.5
    assert growth(engine, x, y, resets=resets) < 100  # views of every piece were 1000


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.usefixtures("each_kernels")
def test_a_piece_of_the_chunk_at_work_takes_no_more_than_a_report_says(layers):
    """What the reference tells of objects that no plan counts: 2 KiB a piece, half a KiB for each further layer."""
    _, x, y = small_engine(2)
    network = rf.Network(["lstm:hidden=4"] * layers, "mse:outputs=2", 3)
    peaks, steps = [], np.arange(len(x))
    for apart in (50, 1):  # steps between resets
        resets = np.broadcast_to((steps % apart == 0)[:, None], x.shape[:2])
        again = rf.Engine(network, "checkpoint", chunk=1000, shards=1)
        again.gradients(x[:1000], y[:1000], resets=resets[:1000])
        result, measured = traced_peak(lambda resets=resets, again=again: again.gradients(x, y, resets=resets))
        assert result.report.chunk == 1000
        peaks.append(measured)
    assert 0 < (peaks[1] - peaks[0]) / (1000 - 20) <= 2048 + 512 * (layers - 1)


def test_a_tape_for_every_step_comes_with_few_objects():
    assert growth(*small_engine(4, chunk=1)) < 600  # they were 3000


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.usefixtures("each_kernels")
def test_states_of_many_samples_are_counted_also_as_the_caller_gets_them(shards):
    network = rf.Network(["lstm:hidden=64"] * 3, "mse:outputs=2", 8)
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(2, 2000, width)).astype("float32") for width in (8, 2))
    engine = rf.Engine(network, "checkpoint:budget=40MiB", shards=shards)
    result, measured = traced_peak(lambda: engine.gradients(x, y))
    held = measured - (1 + shards) * network.parameters.nbytes
    assert held <= 1.02 * result.report.predicted_bytes + 2 * SMALL


@pytest.mark.parametrize("shards", [1, 3])
def test_samples_are_dealt_by_length_in_few_bytes_each(shards):
    lengths = np.random.default_rng(0).integers(1, 3, 100_000)
    parts, peak = traced_peak(lambda: deal(len(lengths), lengths, shards))
    assert sorted(np.concatenate(parts)) == list(range(len(lengths)))
    assert peak <= 24 * len(lengths)  # of lists of numbers it was 64


def test_an_engine_frees_its_buffers_before_it_makes_larger_ones_or_others():
    engine = make_trainer("checkpoint:budget=2MiB").engine
    data = {batch: make_data(200, batch) for batch in (4, 8, 12, 6)}
    for batch in data:
        engine.gradients(*data[batch])

    def alternate():
        for batch in (4, 8, 12, 6):
            engine.gradients(*data[batch])

    gc.disable()
    try:
        _, peak = traced_peak(alternate)
    finally:
        gc.enable()
    assert peak <= 2**21 + 8 * SMALL
