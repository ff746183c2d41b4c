"""Networks on compiled kernels beside the same ones on numpy: same losses, gradients and states but for rounding."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import examples

import rnnframe as rf
from rnnframe.testing import check_gradients

pytest.importorskip("numba", reason="numba is not installed")

CELLS = ["lstm", "gru", "gru:reset=before", "elman", "elman:activation=sigmoid", "elman:activation=identity"]
CELLS += ["mingru", "minlstm", "lru", "indrnn", "indrnn:activation=tanh", "peephole-lstm", "slstm"]
NOT_RECURRENT = "layer0.U", "layer0.b", "head.V"
HEADS = ["softmax:classes=5", "mse:outputs=3", "bernoulli:outputs=2", "softmax:classes=70,at=last"]
DTYPES = ["float32", "float64"]
NEAR = {"float32": 2e-5, "float64": 1e-12}  # relative to the largest value of an array


def spec(cell, hidden):
    if cell == "lru":
        return f"lru:units={hidden},states={hidden + 1}"
    return f"{cell}{',' if ':' in cell else ':'}hidden={hidden}"


def network_of(cells, hidden, inputs, dtype, head="mse:outputs=3", seed=0, spread=0.4):
    network = rf.Network([spec(cell, hidden) for cell in cells], head, inputs, dtype=dtype)
    rng = np.random.default_rng(seed)
    inside = {n: v.copy() for n, v in network.parameters.items() if n.endswith((".nu", ".theta", ".gamma"))}
    network.parameters.flat[:] = rng.normal(scale=spread, size=network.parameters.flat.shape)
    for name, value in inside.items():  # an lru's λ stays inside the circle
        network.parameters[name][...] = value
    return network


def data_of(network, steps, batch, *, lookup=False, seed=1):
    """Return x, y and a state."""
    rng, head = np.random.default_rng(seed), network.head
    lead = (steps, batch)
    x = rng.integers(0, network.inputs, lead) if lookup else rng.normal(size=(*lead, network.inputs))
    y = rng.integers(0, head.width, lead) if head.loss.target_width is None else rng.uniform(size=(*lead, head.width))
    state = network.new_state(batch)
    state.flat[:] = rng.normal(scale=0.5, size=state.flat.shape)
    for name, value in state.items():
        if name.endswith(".n"):  # an slstm divides by it
            value[...] = np.abs(value) + 0.5
    return x if lookup else x.astype(network.dtype), y if head.loss.at == "every" else y[-1], state


def compiled(network, store="full-history", chunk=4, shards=1):
    engine = rf.Engine(network, store, chunk=chunk, shards=shards, kernels="compiled")
    assert set(engine.running.kernels) == {"compiled"}
    return engine


def expect_near(found, wanted, dtype):
    assert abs(found.loss - wanted.loss) <= NEAR[dtype] * abs(wanted.loss)
    assert found.count == wanted.count
    for what in ("gradients", "state", "state_gradient"):
        for name, array in getattr(wanted, what).items():
            error = np.abs(getattr(found, what)[name] - array).max(initial=0)
            # A value near zero is a sum of terms near 1 and carries their rounding error, so the bound has a floor.
            assert error <= NEAR[dtype] * np.abs(array).max(initial=1e-2), f"{what} {name}"


def moved(network, seed=0):
    """Return a network whose parameters are all away from their starts, which are zeros and ones in part."""
    rng = np.random.default_rng(seed)
    for value in network.parameters.values():
        value += rng.normal(scale=0.2, size=value.shape).astype(network.dtype)
    return network


def expect_same_as_numpy(network, *data, **how):
    found = compiled(network, **how).gradients(*data)
    engine = rf.Engine(network, how.get("store", "full-history"), chunk=4, shards=1, kernels="numpy")
    expect_near(found, engine.gradients(*data), network.dtype.name)


def expect_alone_as_among_others(network, x):
    """Expect of some samples of x the bits that they have among all."""
    inference = rf.Inference(network, kernels="compiled", chunk=len(x))
    together = inference.predict(x)[0]
    for some in ([0], [8, 3], [1, 2, 4, 5, 7]):
        assert np.array_equal(inference.predict(np.ascontiguousarray(x[:, some]))[0], together[:, some])


def expect_nothing_compiled(module, network):
    """Expect of runs of any kind that they compile nothing of a module beyond what an engine has made ready."""
    functions = [function for function in vars(module).values() if hasattr(function, "signatures")]
    engine = compiled(network, "states", shards=2)
    before = [len(function.signatures) for function in functions]
    x, y, state = data_of(network, 9, 5)
    x.flags.writeable = False
    engine.gradients(x, y, state)
    engine.gradients(x, y, state, np.array([9, 5, 5, 1, 2]), np.random.default_rng(0).random((9, 5)) < 0.3)
    engine.gradients(x[:, :1], y[:, :1])
    engine.predict(x)
    assert [len(function.signatures) for function in functions] == before
    assert sum(before) > 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
def test_every_number_of_units_and_samples_up_to_forty(cell, dtype):
    for n in range(1, 41):
        network = network_of([cell], n, 1 + n % 7, dtype)
        expect_same_as_numpy(network, *data_of(network, 3, 41 - n))


@pytest.mark.parametrize("store", ["full-history", "full-history:keep=lean", "states", "checkpoint:slots=2"])
def test_an_rglru_of_every_number_of_inputs_up_to_forty(store):
    for n in range(1, 41):
        network = rf.Network(["rglru"], "mse:outputs=3", n, dtype=DTYPES[n % 2])
        expect_same_as_numpy(network, *data_of(network, 7, 1 + n % 9), store=store, shards=1 + n % 2)


def test_gradients_of_an_rglru_are_those_of_finite_differences():
    network = rf.Network(["rglru", "rglru"], "mse:outputs=2", 3, dtype="float64")
    check_gradients(compiled(network, chunk=3), *data_of(network, 7, 2))


def test_an_rglru_of_inputs_that_are_too_many_to_be_packed():
    network = rf.Network(["dense:units=1030", "rglru"], "mse:outputs=3", 4, dtype="float64")
    data = data_of(network, 3, 2)
    engine = rf.Engine(network, chunk=4, kernels="compiled")
    assert engine.running.kernels[1] == "compiled"
    expect_near(engine.gradients(*data), rf.Engine(network, chunk=4, kernels="numpy").gradients(*data), "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("hidden", [45, 46, 64, 65, 130])
def test_few_samples_and_matrices_that_are_larger_than_the_nearest_cache(hidden, dtype):
    for batch in range(1, 5):
        network = network_of(["lstm"], hidden, 3, dtype, spread=0.1)
        expect_same_as_numpy(network, *data_of(network, 9, batch))


@pytest.mark.parametrize("cell", CELLS)
def test_a_single_step_of_some_samples_of_a_wider_batch(cell):
    network = network_of([cell], 5, 28, "float32")
    expect_same_as_numpy(network, *data_of(network, 1, 40), chunk=1, shards=3)


@given(
    cells=st.lists(st.sampled_from(CELLS), min_size=1, max_size=3),
    head=st.sampled_from(HEADS),
    dtype=st.sampled_from(DTYPES),
    hidden=st.integers(1, 70),
    inputs=st.integers(1, 40),
    steps=st.integers(1, 9),
    batch=st.integers(1, 40),
    chunk=st.integers(1, 9),
    shards=st.integers(1, 3),
    lookup=st.booleans(),
    store=st.sampled_from(["full-history", "full-history:keep=lean", "states", "checkpoint:slots=2"]),
    seed=st.integers(0, 999),
)
@settings(max_examples=examples(60))
def test_any_network_and_batch(cells, head, dtype, hidden, inputs, steps, batch, chunk, shards, lookup, store, seed):
    network = network_of(cells, hidden, inputs, dtype, head, seed, spread=1 / np.sqrt(hidden + inputs))
    data = data_of(network, steps, batch, lookup=lookup, seed=seed)
    expect_same_as_numpy(network, *data, store=store, chunk=chunk, shards=shards)


@given(
    cells=st.lists(st.sampled_from(CELLS), min_size=1, max_size=2),
    dtype=st.sampled_from(DTYPES),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=8),
    often=st.sampled_from([0, 0.1, 0.5]),
    lookup=st.booleans(),
    shards=st.integers(1, 2),
    store=st.sampled_from(["full-history", "full-history:keep=lean", "states", "checkpoint:slots=2"]),
    seed=st.integers(0, 999),
)
@settings(max_examples=examples(60))
def test_samples_that_end_and_begin_anew(cells, dtype, lengths, often, lookup, shards, store, seed):
    network = network_of(cells, 9, 5, dtype, seed=seed, spread=1 / np.sqrt(9 + 5))  # states of a linear cell stay small
    x, y, state = data_of(network, max(lengths), len(lengths), lookup=lookup, seed=seed)
    resets = np.random.default_rng(seed).random(x.shape[:2]) < often
    expect_same_as_numpy(network, x, y, state, np.array(lengths), resets, store=store, shards=shards)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
def test_inputs_that_are_too_wide_to_be_packed(cell, dtype):
    from rnnframe_compiled.twins import PACKED

    for inputs in (PACKED, PACKED + 1):
        network = network_of([cell], 10, inputs, dtype, spread=0.05)
        for lookup in (False, True):
            expect_same_as_numpy(network, *data_of(network, 6, 3, lookup=lookup))


@pytest.mark.parametrize("at", ["every", "last"])
@pytest.mark.parametrize("head", ["softmax:classes=4", "mse:outputs=2", "bernoulli:outputs=2"])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_finite_differences(cell, head, at):
    network = network_of([cell, cell], 3, 2, "float64", f"{head},at={at}")
    check_gradients(compiled(network, chunk=3), *data_of(network, 7, 2))


def contrary(x):
    """Return the same numbers in every form in which a caller may have them."""
    read_only = x.copy()
    read_only.flags.writeable = False
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return {
        "read-only": read_only,
        "strided": wide[..., ::2],
        "batch first": np.ascontiguousarray(x.swapaxes(0, 1)).swapaxes(0, 1),
        "Fortran order": np.asfortranarray(x),
        "backwards": np.ascontiguousarray(x[::-1])[::-1],
        "unaligned": np.frombuffer(b"_" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
        "other byte order": x.astype(x.dtype.newbyteorder()),
        "list": x.tolist(),
    }


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("lookup", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "mingru", "lru"])
def test_inputs_may_lie_in_memory_as_they_like(cell, lookup, shards, tmp_path):
    network = network_of([cell], 7, 6, "float32")
    x, y, state = data_of(network, 9, 5, lookup=lookup)
    engine = compiled(network, shards=shards)
    expected = engine.gradients(x, y, state)
    np.save(tmp_path / "x.npy", x)
    forms = contrary(x) | {"mapped": np.load(tmp_path / "x.npy", mmap_mode="r")}
    for form, other in forms.items():
        found = engine.gradients(other, y, state)
        assert found.loss == expected.loss, form
        assert np.array_equal(found.gradients.flat, expected.gradients.flat), form


def test_parameters_written_between_runs_are_seen_by_the_packed_weights():
    network = network_of(["lstm", "gru"], 9, 4, "float64")
    data = data_of(network, 6, 3)
    engine = compiled(network)
    engine.gradients(*data)
    network.parameters.flat[:] *= 0.5
    expect_near(engine.gradients(*data), rf.Engine(network, chunk=4, kernels="numpy").gradients(*data), "float64")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(
    ("cell", "where"),
    [
        (cell, w)
        for cell in ("lstm", "gru", "elman", "elman:activation=relu", "peephole-lstm")
        for w in ("layer0.W", *NOT_RECURRENT)
    ]
    + [(cell, w) for cell in ("mingru", "minlstm", "indrnn") for w in NOT_RECURRENT],
)
@np.errstate(all="ignore")
def test_what_is_not_finite_spreads_as_it_does_with_numpy(cell, where, value):
    network = network_of([cell], 9, 3, "float64")
    x, _, state = data_of(network, 5, 3)
    network.parameters[where][..., 1] = value
    outputs, ends = zip(
        *(rf.Engine(network, chunk=4, kernels=kernels).predict(x, state) for kernels in ("numpy", "compiled")),
        strict=True,
    )
    assert np.allclose(*outputs, equal_nan=True)
    assert np.allclose(ends[0].flat, ends[1].flat, equal_nan=True)


@pytest.mark.parametrize(
    "cell",
    [
        "lstm",
        "lstm:norm=layer",
        "gru",
        "gru:norm=layer",
        "gru:reset=before",
        "elman",
        "mingru",
        "lru",
        "indrnn",
        "peephole-lstm",
        "slstm",
    ],
)
def test_no_run_compiles_anything(cell):
    from numba.core.caching import NullCache

    from rnnframe_compiled import (
        elman,
        gru_after,
        gru_before,
        gru_normed,
        heads,
        independent,
        linear,
        lru,
        lstm,
        lstm_general,
        packing,
        peephole,
        products,
        recurrent,
        slstm,
    )
    from rnnframe_compiled.rare import Rare

    of_cells = (
        elman,
        gru_after,
        gru_before,
        gru_normed,
        independent,
        linear,
        lru,
        lstm,
        lstm_general,
        peephole,
        slstm,
    )
    functions = [
        function
        for module in (*of_cells, heads, packing, products, recurrent)
        for function in vars(module).values()
        if hasattr(function, "signatures") and not isinstance(getattr(function, "_cache", None), NullCache)
    ]
    network = network_of([cell, cell], 9, 4, "float32")
    engine = compiled(network, "states", shards=2)
    before = {function: len(function.signatures) for function in functions if not isinstance(function, Rare)}
    (kernels,) = engine.running.kernels_used
    for retention in ("lean", "states"):
        twin = engine.running.layers[0].layer
        kernels.prepare_run(twin, np.dtype("f4"), samples=1, retention=retention, input_gradient=True)
    before |= {function: len(function.signatures) for function in functions if isinstance(function, Rare)}
    for lookup in (False, True):
        x, y, state = data_of(network, 9, 5, lookup=lookup)
        x.flags.writeable = False
        engine.gradients(x, y, state)
        engine.gradients(x, y, state, np.array([9, 5, 5, 1, 2]), np.random.default_rng(0).random((9, 5)) < 0.3)
        engine.gradients(x[:, :1], y[:, :1])
        engine.predict(x)
    assert {function: len(function.signatures) for function in functions} == before


@pytest.mark.parametrize("kernels", ["numpy", "compiled"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman", "indrnn", "slstm"])
def test_gradients_that_are_nearly_too_small_are_computed_as_others_are(cell, kernels):
    """dL/dstate of old steps vanishes: it becomes small without a jump, and nothing is cut off before it must be."""
    network = rf.Network([spec(cell, 6)], None, 3, dtype="float32")
    rng = np.random.default_rng(0)
    x, slope = rng.normal(size=(9, 4, 3)), rng.uniform(0.5, 1, size=(9, 4, 6)).astype("float32")

    def dstate(power):
        engine = rf.Engine(network, kernels=kernels, shards=1)
        found = engine.sweep(x, lambda part, outputs: slope[part.index] * np.float32(2.0**power))
        return found.state_gradient.flat.astype("float64")

    usual = dstate(0)
    assert np.array_equal(dstate(-100), usual * 2.0**-100)  # to the bit, where all numbers have all their digits
    assert np.abs(dstate(-130) - usual * 2.0**-130).max() <= 500 * 2.0**-149  # the smallest number there is
