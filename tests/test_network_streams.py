"""Networks at work step by step: the bits of `predict`, in memory that does not grow."""

import copy
import itertools
import pickle
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np
import pytest
from step_cells import StepLSTM

import rnnframe as rf
from rnnframe.errors import BusyError, DataError, OptionError, UsageError
from rnnframe.network.weights import Weights
from rnnframe.plugin import Layer

INPUTS, STEPS = 5, 12
CELLS = ["elman", "gru", "indrnn", "lstm", "mingru", "minlstm", "peephole-lstm", "slstm"]
STACKS = [
    *([f"{cell}:hidden=7"] for cell in CELLS),
    ["gru:hidden=7,reset=before"],
    *([f"elman:hidden=7,activation={name}"] for name in ("sigmoid", "relu", "identity")),
    *([layer] for layer in ("convolution", "dropout:rate=0.5", "layer-norm", "max-pool", "mean-pool", "rglru")),
    *([f"{layer}:units=6"] for layer in ("attention-pool", "dense", "gated-units", "lru")),
    ["linear-attention:heads=2,keys=4,values=3"],
    ["selective-ssm:states=3,rank=2"],
    ["embedding:size=4"],
    ["highway(gru:hidden=5)"],
    ["residual(lstm:hidden=5)"],
    ["lstm:hidden=7,recurrent_dropout=0.3", "gru:hidden=6,zoneout=0.1", "lstm:hidden=5,weight_drop=0.2"],
    ["lstm:hidden=19", "layer-norm", "gru:hidden=6", "elman:hidden=9"],
]
HEADS = ["softmax:classes=6", "mse:outputs=3", "bernoulli:outputs=2", "pinball:outputs=2", None]


def network_of(cells: list[str | Layer], head: str | None = "softmax:classes=6", dtype: str = "float32") -> rf.Network:
    network = rf.Network(cells, head, INPUTS, seed=3, dtype=dtype)
    rng = np.random.default_rng(4)
    for value in network.parameters.values():
        value += rng.normal(0, 0.1, value.shape)
    return network


def inputs_for(network: rf.Network, batch: int, looked_up: bool = False) -> np.ndarray:
    rng = np.random.default_rng(5)
    if looked_up:
        return rng.integers(0, INPUTS, (STEPS, batch))
    return rng.normal(size=(STEPS, batch, INPUTS)).astype(network.dtype)


def step_by_step(network: rf.Network, x: np.ndarray, kernels: str = "auto") -> tuple[np.ndarray, rf.Vector]:
    inference, state, outputs = rf.Inference(network, chunk=1, kernels=kernels), None, []
    for values in x:
        predicted, state = inference.predict(values[None], state)
        outputs.append(predicted[0])
    return np.stack(outputs), state


def is_same(found: tuple[np.ndarray, rf.Vector], expected: tuple[np.ndarray, rf.Vector]) -> bool:
    return np.array_equal(found[0], expected[0]) and np.array_equal(found[1].flat, expected[1].flat)


def streamed(stream, x: np.ndarray) -> tuple[np.ndarray, rf.Vector]:
    return np.stack([stream.step(values) for values in x]), stream.state


def test_every_built_in_layer_is_among_those_that_are_tried() -> None:
    tried = {name.partition(":")[0].partition("(")[0] for stack in STACKS for name in stack}
    refused = {"bidirectional"}  # by name: test_two_directions.py
    assert tried == set(rf.default_registry().names("cell")) - refused


@pytest.mark.parametrize("batch", [1, 3, 6])
@pytest.mark.parametrize("cells", STACKS, ids=str)
def test_a_stream_gives_the_bits_of_predict_step_by_step(cells, batch, each_kernels) -> None:
    for dtype in ("float32", "float64") if batch == 3 else ("float32",):
        network = network_of(cells, dtype=dtype)
        for looked_up in {False, network.data_format.lookup}:
            x = inputs_for(network, batch, looked_up)
            if cells == ["embedding:size=4"] and not looked_up:
                continue
            assert is_same(streamed(network.stream(batch), x), step_by_step(network, x))


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_so_it_does_with_any_head(head, each_kernels) -> None:
    network = network_of(["gru:hidden=6", "lstm:hidden=9"], head)
    x = inputs_for(network, 3)
    assert is_same(streamed(network.stream(3), x), step_by_step(network, x))


@pytest.mark.parametrize(
    "cell",
    [
        "lstm",
        "lstm:norm=layer",
        "lstm:norm=layer,projection=21",
        "gru",
        "gru:norm=layer",
        "gru:reset=before",
        "elman",
        "mingru",
        "minlstm",
        "lru",
        "indrnn",
        "peephole-lstm",
        "slstm",
    ],
)
def test_compiled_steps_give_the_bits_of_predict_over_the_whole_sequence(cell) -> None:
    pytest.importorskip("numba")
    hidden = f"{cell}{',' if ':' in cell else ':'}{'units' if cell == 'lru' else 'hidden'}=37"
    for batch in (1, 5):
        network = network_of([hidden, hidden])
        for looked_up in (False, True):
            x = inputs_for(network, batch, looked_up)
            expected = rf.Inference(network, kernels="compiled").predict(x)
            assert is_same(streamed(network.stream(batch, kernels="compiled"), x), expected)


def test_a_compiled_stack_runs_in_one_call_and_packs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    network = network_of(["lstm:hidden=9", "gru:hidden=7", "gru:hidden=6,reset=before", "elman:hidden=5"])
    network.stream(kernels="compiled")
    from rnnframe_compiled import joined

    calls: list[int] = []
    code_of_run = joined.code_of_run

    def counted(*types):
        code = code_of_run(*types)
        return lambda unit, table: calls.append(len(table)) or code(unit, table)

    monkeypatch.setattr(joined, "code_of_run", counted)
    stream = network.stream(kernels="compiled")
    monkeypatch.setattr(Weights, "derive_forward", lambda *_: pytest.fail("it packs again"))
    for values in inputs_for(network, 1):
        stream.step(values)
    assert calls == [1 + 4 + 2 + 5] * STEPS  # inputs, layers, readout and probabilities, arrays of the state


def test_inputs_too_wide_to_be_packed_are_multiplied_outside_of_the_call() -> None:
    pytest.importorskip("numba")
    network = rf.Network(["lstm:hidden=6", "gru:hidden=5"], "mse", 1100)
    x = np.random.default_rng(0).normal(size=(4, 2, 1100)).astype("float32")
    assert is_same(streamed(network.stream(2, kernels="compiled"), x), step_by_step(network, x, "compiled"))


def test_a_layer_of_others_is_stepped_as_it_is_written(each_kernels) -> None:
    network = network_of(["gru:hidden=6", StepLSTM(hidden=4), "lstm:hidden=5"])
    x = inputs_for(network, 2)
    assert is_same(streamed(network.stream(2), x), step_by_step(network, x))


def test_a_stream_goes_on_from_a_state_of_predict_and_predict_from_that_of_a_stream(each_kernels) -> None:
    network = network_of(["lstm:hidden=9", "gru:hidden=6"])
    x = inputs_for(network, 3)
    expected, end = step_by_step(network, x)
    stream = network.stream(3)
    stream.state = step_by_step(network, x[:5])[1]
    assert is_same(streamed(stream, x[5:]), (expected[5:], end))
    stream.state = None
    for values in x[:5]:
        stream.step(values)
    inference, state = rf.Inference(network, chunk=1), stream.state
    for n, values in enumerate(x[5:], 5):
        outputs, state = inference.predict(values[None], state)
        assert np.array_equal(outputs[0], expected[n])


def test_the_state_that_is_handed_out_is_a_copy() -> None:
    network = network_of(["lstm:hidden=9"])
    stream, x = network.stream(), inputs_for(network, 1)
    stream.step(x[0])
    state = stream.state
    kept = state.copy()
    state.flat[:] = 7
    assert np.array_equal(stream.state.flat, kept.flat)
    stream.step(x[1])
    assert not np.array_equal(stream.state.flat, kept.flat)


def test_some_samples_begin_again_and_the_others_go_on(each_kernels) -> None:
    network = network_of(["lstm:hidden=9", "mean-pool"])
    x = inputs_for(network, 4)
    stream = network.stream(4)
    for values in x[:6]:
        stream.step(values)
    stream.reset([0, 2])
    resets = np.zeros((STEPS, 4), bool)
    resets[6, [0, 2]] = True
    outputs, state = None, None
    inference = rf.Inference(network, chunk=1)
    for t, values in enumerate(x):
        outputs, state = inference.predict(values[None], state, resets=resets[t : t + 1])
    found = [stream.step(values) for values in x[6:]][-1]
    assert np.allclose(found, outputs[0], rtol=1e-5, atol=1e-6)
    before = stream.state
    stream.reset([])
    assert np.array_equal(stream.state.flat, before.flat)
    stream.reset()
    assert not stream.state.flat.any()


@pytest.mark.parametrize("samples", [[4], [-1], [0.5], [[1]], ["a"]], ids=str)
def test_what_is_no_sample_cannot_begin_again(samples) -> None:
    stream = network_of(["lstm:hidden=4"]).stream(4)
    with pytest.raises(DataError, match=r"^samples=.* is invalid; expected a list of numbers from 0 to 3$"):
        stream.reset(samples)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            np.zeros((2, INPUTS)),
            r"x has shape \[2, 5\] and holds float64; a step of this stream takes numbers \[3, 5\]",
        ),
        (np.zeros((1, 3, INPUTS)), r"x has shape \[1, 3, 5\]"),
        (np.zeros(3), r"x has shape \[3\] and holds float64; .* or row numbers \(integers \[3\]\)$"),
        (np.zeros((3, INPUTS), complex), "holds complex128"),
        ([["a"] * INPUTS] * 3, "holds <U1"),
        (np.array([0, 5, 1]), "^x holds 5; a network with inputs=5 takes 0 to 4$"),
        (np.array([0, -1, 1]), "^x holds -1; a network with inputs=5 takes 0 to 4$"),
        (np.array([0, 1]), r"x has shape \[2\]"),
        (np.full((3, INPUTS), np.nan), "^x holds NaN or infinite values; remove or replace them$"),
        (np.array([[0.0] * INPUTS] * 2 + [[0, 0, 0, 0, np.inf]]), "^x holds NaN or infinite values"),
        (np.full((3, INPUTS), 1e300), "^x holds NaN or infinite values"),
        (np.ma.masked_array(np.zeros((3, INPUTS))), "masked"),
    ],
    ids=str,
)
def test_inputs_that_do_not_fit_are_refused_and_the_state_stays(x, message, each_kernels) -> None:
    stream = network_of(["lstm:hidden=4"]).stream(3)
    stream.step(np.ones((3, INPUTS), np.float32))
    before = stream.state
    with pytest.raises(DataError, match=message):
        stream.step(x)
    assert np.array_equal(stream.state.flat, before.flat)


def test_numbers_of_any_type_are_taken_and_row_numbers_only_where_they_are_looked_up(each_kernels) -> None:
    network = network_of(["lstm:hidden=4"])
    values = np.arange(2 * INPUTS).reshape(2, INPUTS) % 3
    expected = network.stream(2).step(values.astype(np.float32))
    for given in (values, values.astype(np.float64), values.astype(np.int8), values.tolist(), values[:, ::-1][:, ::-1]):
        assert np.array_equal(network.stream(2).step(given), expected)
    assert np.array_equal(network.stream(1).step([2]), network.stream(1).step(np.eye(INPUTS)[2:3]))
    with pytest.raises(
        DataError, match=r"x has shape \[2\] and holds int64; a step of this stream takes numbers \[2, 5\]$"
    ):
        network_of(["layer-norm"]).stream(2).step(np.array([1, 2]))


@pytest.mark.parametrize("batch", [0, -1, 1.5, True, "2"], ids=repr)
def test_a_batch_is_a_number_of_samples(batch) -> None:
    with pytest.raises(OptionError, match=r"^batch=.* is invalid; expected a number of samples of at least 1$"):
        network_of(["lstm:hidden=4"]).stream(batch)


def test_a_state_that_does_not_fit_is_refused_and_the_old_one_stays() -> None:
    network = network_of(["lstm:hidden=4"])
    stream = network.stream(2)
    stream.step(np.ones((2, INPUTS)))
    before = stream.state
    for wrong in (
        {"layer0.h": np.zeros((2, 4))},
        {**before, "layer0.c": np.zeros((3, 4))},
        {**before, "layer0.c": before["layer0.c"] * np.nan},
    ):
        with pytest.raises(DataError, match="state"):
            stream.state = wrong
    assert np.array_equal(stream.state.flat, before.flat)


def test_parameters_that_are_written_to_later_leave_a_stream_as_it_is(each_kernels) -> None:
    network = network_of(["lstm:hidden=9", "layer-norm"])
    x = inputs_for(network, 1)
    expected = step_by_step(network, x)
    stream = network.stream()
    network.parameters.flat[:] *= -2
    network.derive()
    assert is_same(streamed(stream, x), expected)
    assert is_same(streamed(network.stream(), x), step_by_step(network, x))


def test_streams_of_one_network_run_in_threads_of_their_own(each_kernels) -> None:
    network = network_of(["lstm:hidden=31", "gru:hidden=17"])
    x = inputs_for(network, 2)
    expected = [step_by_step(network, x * scale) for scale in range(4)]
    found: dict[int, tuple[np.ndarray, rf.Vector]] = {}

    def work(scale: int) -> None:
        stream = network.stream(2)
        for _ in range(20):
            stream.reset()
            found[scale] = streamed(stream, x * scale)

    threads = [threading.Thread(target=work, args=(scale,)) for scale in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(is_same(found[scale], expected[scale]) for scale in range(4))


@attrs.frozen(kw_only=True)
class Calling(StepLSTM):
    """It calls what is put into `calls` in the middle of a step."""

    name = "calling"
    calls: ClassVar[list[Callable[[], object]]] = []

    def step(self, p, xU, state):
        for each in self.calls:
            each()
        return StepLSTM.step(self, p, xU, state)


def test_a_second_call_while_one_is_at_work_is_refused_and_the_state_stays() -> None:
    network = network_of(["lstm:hidden=4", Calling(hidden=3)])
    stream, x = network.stream(1), inputs_for(network, 1)
    stream.step(x[0])
    before = stream.state
    try:
        for call in (lambda: stream.step(x[0]), stream.reset, lambda: stream.state):
            Calling.calls[:] = [call]
            with pytest.raises(BusyError, match=r"^this stream is at work in another call.* make one stream for each"):
                stream.step(x[1])
    finally:
        Calling.calls.clear()
    assert np.array_equal(stream.state.flat, before.flat)


def test_a_stream_is_not_copied_and_not_pickled() -> None:
    stream = network_of(["lstm:hidden=4"]).stream()
    for make in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(
            UsageError, match=r"^a stream cannot be copied or pickled; make another one: network\.stream\(\)$"
        ):
            make(stream)


def grown(steps: int, looked_up: bool) -> int:
    """Return by how many bytes the memory that Python and numpy hold grows over so many steps, each time of five.

    What grows with the steps does so each time; small objects that wait to be used again come and go.
    """
    network = network_of(["lstm:hidden=9", "layer-norm", "gru:hidden=6"])
    stream, x = network.stream(2), inputs_for(network, 2, looked_up)
    tracemalloc.start()
    try:
        for n in range(100):
            stream.step(x[n % STEPS])
        held = []
        for _ in range(6):
            held.append(tracemalloc.get_traced_memory()[0])
            for n in range(steps):
                stream.step(x[n % STEPS])
        return min(after - before for before, after in itertools.pairwise(held))
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("looked_up", [False, True], ids=["dense", "looked up"])
def test_memory_does_not_grow(looked_up, each_kernels) -> None:
    assert grown(2000, looked_up) < 1024


@pytest.mark.slow
def test_neither_memory_nor_the_process_grows_over_a_million_steps(each_kernels) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    network = network_of(["lstm:hidden=9", "gru:hidden=6"])
    stream, x = network.stream(), inputs_for(network, 1)
    for n in range(1000):
        stream.step(x[n % STEPS])
    before = resident()
    for n in range(1_000_000):
        stream.step(x[n % STEPS])
    assert resident() - before < 1 << 20
    assert grown(20_000, looked_up=False) < 1024
