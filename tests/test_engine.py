"""What a caller may rely on from one call of an engine to the next."""

import threading

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError, NonFiniteError

STORES = [
    "full-history",
    "circular-queue:k1=4,k2=7",
    "circular-queue:k1=4,k2=10,weights=stored",
    "checkpoint:policy=uniform,slots=2",
    "checkpoint:policy=revolve,slots=2",
]
EXACT_STORES = [store for store in STORES if "queue" not in store]
STEPS, BATCH, INPUTS, CLASSES = 18, 4, 3, 5


def make_network(seed=0, cell="lstm:hidden=6"):
    return rf.Network([cell, "gru:hidden=5"], f"softmax:classes={CLASSES}", INPUTS, seed=seed)


def make_data(seed=0, steps=STEPS):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(steps, BATCH, INPUTS)).astype("float32")
    return x, rng.integers(0, CLASSES, (steps, BATCH))


def bits(result):
    return [result.loss, *(getattr(result, name).flat.tobytes() for name in ("gradients", "state", "state_gradient"))]


@pytest.mark.parametrize("store", STORES)
def test_no_hook_is_called_while_an_engine_runs(store):
    registry = rf.Registry.installed()
    network = rf.Network(["lstm:hidden=4"], f"softmax:classes={CLASSES}", INPUTS, registry=registry)
    engine = rf.Engine(network, store, chunk=3, shards=2, registry=registry)
    trainer = rf.Trainer(engine, "adam", registry=registry)
    calls = []
    stop = registry.manager.add_hookcall_monitoring(
        lambda hook, implementations, arguments: calls.append(hook), lambda *outcome: None
    )
    engine.gradients(*make_data())
    trainer.step(*make_data())
    engine.evaluate(*make_data())
    assert calls == []
    registry.manager.hook.rnnframe_cells()
    stop()
    assert calls == ["rnnframe_cells"]  # the monitor was on


@pytest.mark.parametrize("store", STORES)
def test_a_result_is_not_overwritten_by_the_next_call(store):
    engine = rf.Engine(make_network(), store, chunk=3)
    first = engine.gradients(*make_data(0))
    before = bits(first)
    second = engine.gradients(*make_data(1), first.state)
    assert bits(first) == before
    assert bits(second) != before


@pytest.mark.parametrize("store", STORES)
def test_gradients_leave_the_parameters_bit_for_bit_as_they_were(store):
    network = make_network()
    before = network.parameters.flat.tobytes()
    rf.Engine(network, store, chunk=3).gradients(*make_data())
    assert network.parameters.flat.tobytes() == before


@pytest.mark.parametrize("store", STORES)
def test_equal_calls_have_equal_results(store):
    engine = rf.Engine(make_network(), store, chunk=3)
    state = engine.gradients(*make_data(5)).state
    first = engine.gradients(*make_data(0), state)
    engine.gradients(*make_data(1, steps=STEPS + 9))
    engine.gradients(*make_data(1, steps=2))
    assert bits(engine.gradients(*make_data(0), state)) == bits(first)


@pytest.mark.parametrize("cell", ["elman:hidden=6", "lstm:hidden=6", "gru:hidden=6", "gru:hidden=6,reset=before"])
@pytest.mark.parametrize("name", ["layer0.W", "layer0.U", "layer1.W", "head.V"])
def test_what_is_written_into_a_parameter_between_runs_takes_effect(cell, name):
    # given an engine that has run, whose cells have made transposed copies of W
    written, reset_samples = make_network(cell=cell), make_network(cell=cell)
    engine = rf.Engine(written, chunk=3)
    before = engine.gradients(*make_data())
    # when a parameter is written to in place
    written.parameters[name][...] *= 1.5
    reset_samples.parameters.copy_from(written.parameters)
    # then the next run is that of an engine which never saw the old value
    after = engine.gradients(*make_data())
    assert bits(after) == bits(rf.Engine(reset_samples, chunk=3).gradients(*make_data()))
    assert after.loss != before.loss
    assert engine.evaluate(*make_data()).loss == rf.Engine(reset_samples, chunk=3).evaluate(*make_data()).loss


def spoilt(kind):
    """Return data that turns out to be wrong only in the middle."""
    x, y = make_data()
    if kind == "x":
        x[11, 3, 1] = np.nan
    else:
        y[11, 3] = CLASSES
    return x, y


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("kind", ["x", "y"])
@pytest.mark.parametrize("store", STORES)
def test_an_engine_that_failed_in_the_middle_goes_on_as_if_nothing_had_been(store, kind, shards):
    engine = rf.Engine(make_network(), store, chunk=3, shards=shards)
    expected = bits(engine.gradients(*make_data()))
    parameters = engine.network.parameters.flat.tobytes()
    with pytest.raises(DataError, match="at step 11" if kind == "x" else "class 5"):
        engine.gradients(*spoilt(kind))
    assert engine.network.parameters.flat.tobytes() == parameters
    assert bits(engine.gradients(*make_data())) == expected


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("store", EXACT_STORES)
def test_a_training_step_that_failed_leaves_parameters_and_optimizer_as_they_were(store, shards):
    failed, spared = (
        rf.Trainer(rf.Engine(make_network(), store, chunk=3, shards=shards), "adam:lr=0.1") for _ in range(2)
    )
    with pytest.raises(DataError):
        failed.step(*spoilt("x"))
    assert failed.updates == 0
    for trainer in (failed, spared):
        trainer.step(*make_data())
    assert np.array_equal(failed.engine.network.parameters.flat, spared.engine.network.parameters.flat)


def in_time(work):
    """Run `work` and return the error that it raised; fail where it never comes back."""
    raised = []

    def guarded():
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert not thread.is_alive()
    (error,) = raised
    return error


@pytest.mark.parametrize("store", STORES)
def test_an_error_in_one_shard_ends_the_others_and_is_raised_as_itself(store):
    trainer = rf.Trainer(rf.Engine(make_network(), store, chunk=2, shards=2))
    error = in_time(lambda: trainer.step(*spoilt("x")))  # the wrong value is in the last column: the second shard's
    assert isinstance(error, DataError)
    assert "step 11" in str(error)


def test_an_error_of_the_callers_stream_is_raised_as_itself_in_every_shard():
    def broken():
        yield make_data()
        raise ValueError("the disk is gone")

    trainer = rf.Trainer(rf.Engine(make_network(), "circular-queue:k1=4,k2=8", chunk=2, shards=2))
    error = in_time(lambda: trainer.step(broken(), None))
    assert (type(error), str(error)) == (ValueError, "the disk is gone")


def test_an_error_at_the_meeting_of_the_shards_is_raised_as_itself():
    network = make_network()
    network.parameters["head.V"].fill(np.nan)
    trainer = rf.Trainer(rf.Engine(network, "circular-queue:k1=4,k2=8", chunk=2, shards=2))
    assert isinstance(in_time(lambda: trainer.step(*make_data())), NonFiniteError)


def test_more_shards_than_samples_are_as_many_as_samples():
    x, y = make_data()
    result = rf.Engine(make_network(), chunk=3, shards=99).gradients(x, y)
    assert result.report.shards == BATCH
    assert result.loss == pytest.approx(rf.Engine(make_network(), chunk=3).gradients(x, y).loss, rel=1e-5)


def test_a_callers_arrays_are_not_written_to():
    x, y = make_data()
    state = make_network().new_state(BATCH)
    state.flat[:] = 0.25
    staging = x.copy(), y.copy(), state.copy()
    for array in (x, y, state.flat):
        array.flags.writeable = False
    rf.Trainer(rf.Engine(make_network(), chunk=3), "adam").step(x, y, state)
    assert np.array_equal(x, staging[0])
    assert np.array_equal(y, staging[1])
    assert np.array_equal(state.flat, staging[2].flat)
