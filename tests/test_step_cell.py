"""Cells written as the formula of one step: the same numbers as the built-in ones, and the rules of every cell."""

import gc
import subprocess
import sys
import tracemalloc

import attrs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import examples
from step_cells import BUILT_IN, EVERY_CELL, AutoElman, AutoGRU, AutoLSTM, StepElman, StepGRU, StepLSTM

import rnnframe as rf
from rnnframe.contracts.autograd import step_gradients
from rnnframe.contracts.step_cell import StepCell, sigmoid
from rnnframe.data.pieces import Block
from rnnframe.errors import PluginError, UsageError
from rnnframe.inspection.needs import dependencies_of
from rnnframe.network.tape_shapes import tape_shapes
from rnnframe.plugin import BlockPass
from rnnframe.testing import check_gradients

INPUTS = 5
PAIRS = [pytest.param(name, cls, id=cls.name) for name, pair in BUILT_IN.items() for cls in pair]
each_cell = pytest.mark.parametrize("cls", EVERY_CELL, ids=lambda cls: cls.name)
dense_or_lookup = pytest.mark.parametrize("lookup", [False, True], ids=["dense", "lookup"])


def network_of(*cells, dtype="float64", seed=0, head="softmax:classes=4"):
    network = rf.Network(cells, head, INPUTS, dtype=dtype)
    network.parameters.flat[:] = np.random.default_rng(seed).normal(scale=0.5, size=network.parameters.flat.shape)
    return network


def data_of(network, steps, batch, *, lookup, seed=1):
    rng = np.random.default_rng(seed)
    lead = (steps, batch)
    x = rng.integers(0, INPUTS, lead) if lookup else rng.normal(size=(*lead, INPUTS)).astype(network.dtype)
    state = network.new_state(batch)
    state.flat[:] = rng.normal(scale=0.5, size=state.flat.shape)
    return x, rng.integers(0, 4, lead), state


def assert_near(one, other, places=1e-10):
    assert one.loss == pytest.approx(other.loss, rel=places)
    for name in ("gradients", "state", "state_gradient"):
        a, b = getattr(one, name).flat, getattr(other, name).flat
        assert np.abs(a - b).max() <= places * np.abs(b).max(), name


@dense_or_lookup
@pytest.mark.parametrize(("name", "cls"), PAIRS)
def test_a_built_in_cell_written_as_a_step_gives_its_loss_and_gradients(name, cls, lookup):
    expected, written = network_of(f"{name}:hidden=6"), network_of(cls(hidden=6))
    assert written.parameters.shapes == expected.parameters.shapes
    x, y, state = data_of(expected, steps=20, batch=3, lookup=lookup)
    assert_near(rf.Engine(written, chunk=7).gradients(x, y, state), rf.Engine(expected, chunk=7).gradients(x, y, state))


@dense_or_lookup
@each_cell
def test_the_gradients_of_every_step_cell_are_those_of_finite_differences(cls, lookup):
    network = network_of(cls(hidden=3))
    check_gradients(rf.Engine(network, chunk=3), *data_of(network, steps=7, batch=2, lookup=lookup))


@dense_or_lookup
def test_step_cells_are_stacked_with_each_other_and_with_built_in_ones(lookup):
    network = network_of(AutoGRU(hidden=3), "lstm:hidden=2", StepLSTM(hidden=3), AutoLSTM(hidden=2))
    store = "checkpoint:policy=revolve,slots=2"
    check_gradients(rf.Engine(network, store, chunk=2), *data_of(network, steps=6, batch=2, lookup=lookup))


@given(
    cells=st.lists(st.sampled_from([cls(hidden=3) for cls in EVERY_CELL]), min_size=1, max_size=2),
    dtype=st.sampled_from(["float32", "float64"]),
    steps=st.integers(1, 20),
    batch=st.integers(1, 4),
    chunk=st.integers(1, 22),
    shards=st.integers(1, 2),
    slots=st.integers(1, 5),
    lookup=st.booleans(),
)
@settings(max_examples=examples(60))
def test_all_exact_stores_give_equal_bits(cells, dtype, steps, batch, chunk, shards, slots, lookup):
    network = network_of(*cells, dtype=dtype)
    x, y, state = data_of(network, steps, batch, lookup=lookup)
    expected = rf.Engine(network, chunk=chunk, shards=shards).gradients(x, y, state)
    assert expected.gradients.flat.dtype == expected.state.flat.dtype == dtype
    for store in (
        f"circular-queue:k1={steps},k2={steps}",
        f"checkpoint:policy=uniform,slots={slots}",
        f"checkpoint:policy=revolve,slots={slots}",
        f"checkpoint:policy=mixed,slots={slots}",
        "states",  # of a step cell, whose tape is its state, everything is kept
    ):
        found = rf.Engine(network, store, chunk=chunk, shards=shards).gradients(x, y, state)
        assert found.loss == expected.loss
        assert np.array_equal(found.gradients.flat, expected.gradients.flat)
        assert np.array_equal(found.state.flat, expected.state.flat)


@each_cell
def test_in_single_precision_every_array_stays_single(cls):
    network = network_of(cls(hidden=3), dtype="float32")
    p = network.weights.layers[0]
    state = {name: np.ones((2, width), np.float32) for name, width in cls(hidden=3).state(INPUTS).items()}
    x = np.ones((2, INPUTS if cls.step is StepGRU.step else p["U"].shape[1]), np.float32)
    after = cls(hidden=3).step(p, x, state)
    assert {array.dtype for array in after.values()} == {np.dtype("float32")}
    result = rf.Engine(network).gradients(*data_of(network, 4, 2, lookup=False))
    assert result.gradients.flat.dtype == np.float32


@pytest.mark.parametrize("name", BUILT_IN)
def test_an_automatic_reverse_of_single_precision_works_in_single_precision(name):
    cell = BUILT_IN[name][1](hidden=3)
    network = network_of(cell, dtype="float32")
    state = {key: np.ones((2, width), np.float32) for key, width in cell.state(INPUTS).items()}
    p = network.weights.layers[0]
    x = np.ones((2, INPUTS if name == "gru" else p["U"].shape[1]), np.float32)
    dp, dx, dstate = step_gradients(cell.step, p, x, state, state)
    assert {array.dtype for array in (*dp.values(), dx, *dstate.values())} == {np.dtype("float32")}


@each_cell
def test_backward_adds_to_the_gradients_and_leaves_its_inputs_alone(cls):
    cell, network = cls(hidden=3), network_of(cls(hidden=3))
    x, _, state = data_of(network, 4, 2, lookup=False)
    tape, scratch = network.new_tapes(4, 2).make(), network.new_scratch(4, 2)
    network.forward(network.weights, Block.whole(x, None), state, tape, scratch)
    arrays, working, weights = tape.layers(4)[0], scratch.part(0, (4, 2)), network.weights.layers[0]
    before = {name: array.copy() for name, array in arrays.items()}
    sums = []
    for start in (0.0, 5.0):
        gradients, dx = network.new_gradients().group("layer0"), np.empty_like(x)
        for array in gradients.values():
            array.fill(start)
        dstate = {name: np.full((2, width), 0.5) for name, width in cell.state(INPUTS).items()}
        block = BlockPass(weights, x, arrays, working, INPUTS)
        cell.backward(block, np.ones((4, 2, 3)), dstate, gradients, dx)
        sums.append({name: array - start for name, array in gradients.items()})
        assert all(np.array_equal(before[name], arrays[name]) for name in before)
    assert all(np.allclose(sums[0][name], sums[1][name], atol=1e-12) for name in sums[0])


@pytest.mark.parametrize("cls", [StepLSTM, AutoLSTM], ids=lambda cls: cls.name)
def test_nothing_that_is_allocated_grows_with_the_sequence(cls):
    network = network_of(cls(hidden=16), dtype="float32")
    engine = rf.Engine(network, chunk=8)
    peaks, lengths, batch = [], (160, 640), 16  # by then the interpreter keeps all small objects that it ever keeps
    for steps in lengths:
        x, y, state = data_of(network, steps, batch, lookup=False)
        engine.gradients(x, y, state)  # makes the buffers
        gc.collect()
        tracemalloc.start()
        engine.gradients(x, y, state)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    one_state_a_step = (lengths[1] - lengths[0]) * batch * 16 * 4
    assert peaks[1] - peaks[0] < one_state_a_step / 3


def test_the_state_alone_is_left_unless_the_cell_says_more():
    network, leaving = network_of(StepElman(hidden=3)), network_of(StepLSTM(hidden=3))
    assert tape_shapes(network.layers, 4, 2, "whole").kept == {"layer0.h": (5, 2, 3)}
    assert tape_shapes(leaving.layers, 4, 2, "whole").kept == {
        "layer0.gates": (4, 2, 12),
        "layer0.c": (5, 2, 3),
        "layer0.h": (5, 2, 3),
    }


def test_explain_finds_out_what_a_step_that_is_run_again_needs():
    needs = {need.array: set(need.gradients) for need in dependencies_of(AutoElman(hidden=4), inputs=3)}
    everything = {"dU", "dW", "db", "dx_t", "dh_(t-1)"}
    assert needs["x_t"] == needs["h_(t-1)"] == needs["b"] == everything  # of each, the slope is computed again
    assert needs["h_t"] == set()


def test_sigmoid_is_the_sigmoid_and_does_not_overflow():
    z = np.linspace(-9, 9, 50)
    assert np.allclose(sigmoid(z), 1 / (1 + np.exp(-z)), rtol=1e-13)
    assert [*sigmoid(np.array([-1e30, 1e30]))] == [0, 1]


def variant(**members):
    """Return the instance of an Elman step whose members are others."""
    return attrs.frozen(kw_only=True)(type("Variant", (StepElman,), {"name": "variant", **members}))(hidden=3)


def fails(cell, error=PluginError, lookup=False):
    """Return what is said of a cell that does not keep the rules."""
    network = network_of(cell)
    with pytest.raises(error) as refusal:
        rf.Engine(network).gradients(*data_of(network, 3, 2, lookup=lookup))
    return str(refusal.value)


def test_a_step_that_returns_something_else_is_told_what_was_expected():
    wrong = {
        "step returned a ndarray; expected arrays by name: ['h']": lambda s, p, xU, state: xU,
        "step returned ['c', 'h']; expected arrays by name: ['h']": lambda s, p, xU, state: {"h": xU, "c": xU},
        "step returned 'h' of shape [3]; expected [2, 3], batch first": lambda s, p, xU, state: {"h": xU[0]},
    }
    for message, step in wrong.items():
        assert fails(variant(step=step)) == f"cell 'variant': {message}"


def test_a_reverse_that_returns_something_else_is_told_what_was_expected():
    back = StepElman.step_backward

    def replaces(self, p, xU, state, after, dafter, dp):
        dp["W"] = dp["W"] + 1
        return back(self, p, xU, state, after, dafter, dp)

    assert fails(variant(step_backward=replaces)) == (
        "cell 'variant': step_backward replaced dp['W']; add into it with +="
    )
    assert fails(variant(step_backward=lambda s, p, xU, *rest: (xU, {"c": xU}))) == (
        "cell 'variant': step_backward returned ['c']; expected arrays by name: ['h']"
    )
    assert fails(variant(step_backward=lambda s, p, xU, *rest: (xU[0], {"h": xU}))) == (
        "cell 'variant': step_backward returned 'dx' of shape [3]; expected [2, 3], batch first"
    )


@pytest.mark.parametrize("lookup", [False, True])
def test_what_a_step_was_handed_cannot_be_overwritten(lookup):
    def overwrites(which):
        def step(self, p, xU, state):
            array = {"p": p["W"], "xU": xU, "state": state["h"]}[which]
            array *= 2
            return {"h": xU}

        return step

    for which in ("p", "xU", "state"):
        assert "read-only" in fails(variant(step=overwrites(which)), ValueError, lookup)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"step_backward": StepCell.step_backward}, "Variant has no reverse; write step_backward, or reverse"),
        ({"reverse": "automatic"}, 'reverse=\'automatic\' of Variant is neither "own" nor "auto"'),
        (
            {"step": lambda self, p, u, state: {"h": u}},
            "Variant.step takes 'u'; write step(self, p, xU, state)",
        ),
        (
            {"step": lambda self, p, state: {"h": state}},
            "Variant.step takes 'p, state'; write step(self, p, xU, state)",
        ),
        ({"step": StepCell.step}, "Variant has no step; write step(self, p, xU, state)"),
    ],
)
def test_a_cell_that_lacks_something_is_refused_when_it_is_made(members, message):
    with pytest.raises(ValueError, match="Variant") as refusal:
        variant(**members)
    assert message in str(refusal.value)


def test_a_step_that_takes_the_product_needs_a_parameter_u():
    cell = variant(parameters=lambda self, inputs: {"W": (3, 3), "b": (3,)})
    assert fails(cell) == "cell 'variant': its step takes xU, but parameters() has no U [inputs, columns]"


@pytest.mark.parametrize(
    ("step", "what"),
    [
        (lambda s, p, xU, state: {"h": np.multiply(xU, 2, out=xU)}, "an assignment into an array (such as z *= 2"),
        (lambda s, p, xU, state: {"h": np.add.accumulate(xU)}, "np.add.accumulate"),
        (lambda s, p, xU, state: {"h": np.linalg.svd(xU)[0] + xU}, "numpy.linalg.svd"),
        (lambda s, p, xU, state: {"h": np.asarray(xU)}, "a conversion to a plain array"),
        (lambda s, p, xU, state: {"h": np.logaddexp2(xU, np.fmod(xU, 2))}, "np.fmod"),
    ],
)
def test_what_the_automatic_reverse_cannot_follow_is_named(step, what):
    def strange(self, p, xU, state):
        return {"h": xU * 1.0} if isinstance(xU, np.ndarray) else step(self, p, xU, state)

    message = fails(variant(step=strange, reverse="auto"), UsageError)
    assert message.startswith(f"an automatic reverse cannot follow {what}")
    assert message.endswith("; write the step otherwise, or give the cell a step_backward")


def test_a_state_that_a_step_ignores_or_hands_through_has_the_right_gradient():
    @attrs.frozen(kw_only=True)
    class Delay(StepCell):
        """h_t = tanh(x_t U + h_(t-2) W), and a counter that nothing depends on."""

        name = "delay"
        reverse = "auto"

        def parameters(self, inputs):
            return {"U": (inputs, self.hidden), "W": (self.hidden, self.hidden), "unused": (2,)}

        def state(self, inputs):
            return {"h": self.hidden, "last": self.hidden, "clock": 1}

        def step(self, p, xU, state):
            h = np.tanh(xU + state["last"] @ p["W"])
            return {"h": h, "last": state["h"], "clock": np.ones_like(xU[:, :1])}

    network = network_of(Delay(hidden=3))
    check_gradients(rf.Engine(network, chunk=2), *data_of(network, 7, 2, lookup=True))


def test_without_autograd_one_line_says_what_to_install():
    program = (
        "import sys; sys.modules['autograd'] = None; sys.path.insert(0, 'tests')\n"
        "import numpy as np, rnnframe as rf, step_cells; from rnnframe.errors import UsageError\n"
        "made = [cls(hidden=2) for cls in step_cells.EVERY_CELL]\n"
        "network = rf.Network([step_cells.AutoElman(hidden=2)], 'mse:outputs=1', 2)\n"
        "try: rf.Engine(network).gradients(np.zeros((2, 1, 2)), np.zeros((2, 1, 1)))\n"
        "except UsageError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith('install it with: pip install "rnnframe[auto]"\n')
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "way",
    [
        lambda z: np.tanh(z) * np.where(z > 0, z, 2 * z),
        lambda z: np.concatenate([z[:, :1], -z[:, 1:]], axis=1) / (1 + np.exp(-z)),
        lambda z: np.maximum(z, 0) - np.clip(z, -0.3, 0.4),
        lambda z: z.reshape(-1, 3) * z.sum(axis=1, keepdims=True) + z.mean(),
        lambda z: (z.T @ z)[:1] + np.einsum("bi,bi->b", z, z)[:, None] + np.sqrt(z**2 + 1),
        lambda z: np.stack(np.split(z, 3, axis=1), axis=1)[:, :, 0] @ np.ones((3, 3)) + np.dot(z, np.eye(3)),
        lambda z: z / np.sqrt(np.var(z, axis=1, keepdims=True) + 0.1),
        lambda z: np.log1p(np.abs(z)) + abs(z) + z.astype(z.dtype) + len(z) + np.sin(z),
    ],
)
def test_the_automatic_reverse_follows_the_usual_ways_to_write_a_step(way):
    cell = variant(
        reverse="auto",
        step=lambda self, p, xU, state: {"h": np.tanh(way(xU + state["h"] @ p["W"] + p["b"]))},
    )
    network = network_of(cell, seed=4)
    check_gradients(rf.Engine(network), *data_of(network, 3, 2, lookup=False))
