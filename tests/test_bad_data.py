"""Arrays that a network cannot take: one line that names the value, what was expected and the way out."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError, OptionError

INPUTS, CLASSES, STEPS, BATCH = 3, 5, 6, 2
SOFTMAX, MSE, BERNOULLI = f"softmax:classes={CLASSES}", "mse:outputs=2", "bernoulli:outputs=2"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(STEPS, BATCH, INPUTS))
ROWS = RNG.integers(0, INPUTS, (STEPS, BATCH))
Y = RNG.integers(0, CLASSES, (STEPS, BATCH))
VALUES = RNG.uniform(size=(STEPS, BATCH, 2))


def make_network(head=SOFTMAX):
    return rf.Network(["gru:hidden=4"], head, INPUTS)


def changed(array, place, value):
    """Return a copy with another value at one place."""
    copy = array.copy()
    copy[place] = value
    return copy


def refused(network, x, y, state=None):
    """Return the message with which data is refused, and assert that every way in refuses it alike."""
    engine = rf.Engine(network)
    before = network.parameters.flat.tobytes()
    messages = set()
    for work in (engine.gradients, engine.evaluate, rf.Trainer(engine).step):
        with pytest.raises(DataError) as refusal:
            work(x, y, state)
        messages.add(str(refusal.value))
    assert network.parameters.flat.tobytes() == before
    (message,) = messages
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (X.astype(object), "x holds object; expected row numbers (integers [T, B]) or numbers [T, B, 3]"),
        (X.astype(complex), "x holds complex128; expected row numbers"),
        (np.full((STEPS, BATCH), "a"), "x holds <U1; expected row numbers"),
        (None, "x holds object; expected row numbers"),
        ([[[1.0], [2.0, 3.0]]], "x is no rectangular array: "),
        (X[..., 0], "x has shape [6, 2] and holds float64; floats need the shape [T, B, 3]"),
        (X[0, 0], "x has shape [3]; expected [T, B] of integers or [T, B, 3]"),
        (X[None], "x has shape [1, 6, 2, 3]; expected [T, B] of integers or [T, B, 3]"),
        (X[..., :2], "x has 2 inputs a step; the network was made with inputs=3"),
        (X[:0], "x has shape [0, 2, 3]; expected at least one step, sample and input"),
        (X[:, :0], "x has shape [6, 0, 3]; expected at least one step, sample and input"),
        (changed(X, (4, 1, 2), np.nan), "x holds NaN or infinite values, the first at step 4; remove or replace them"),
        (changed(X, (2, 0, 0), -np.inf), "x holds NaN or infinite values, the first at step 2; remove or replace them"),
        (changed(X, (3, 0, 0), 1e300), "x holds NaN or infinite values, the first at step 3; remove or replace them"),
        (changed(ROWS, (5, 1), 3), "x holds 3 in steps 0 to 5; a network with inputs=3 takes 0 to 2"),
        (changed(ROWS, (1, 0), -1), "x holds -1 in steps 0 to 5; a network with inputs=3 takes 0 to 2"),
    ],
)
def test_inputs_that_are_none_are_refused(x, message):
    assert refused(make_network(), x, Y).startswith(message)


@pytest.mark.parametrize(
    ("head", "y", "message"),
    [
        (SOFTMAX, None, "y is missing; give the targets as an array, or pairs (x, y) in an iterator as x"),
        (SOFTMAX, Y[:5], "x and y differ in T or B: x begins with [6, 2], y [5, 2]"),
        (SOFTMAX, Y[:, :1], "x and y differ in T or B: x begins with [6, 2], y [6, 1]"),
        (SOFTMAX, Y > 2, "y holds bool; head softmax takes class numbers (integers)"),
        (SOFTMAX, Y * 1.0, "y holds float64; head softmax takes class numbers (integers)"),
        (SOFTMAX, Y.astype(object), "y holds object; head softmax takes class numbers (integers)"),
        (SOFTMAX, Y[..., None], "y has shape [6, 2, 1]; head softmax at=every takes [T, B]"),
        (SOFTMAX, changed(Y, (3, 1), 5), "y holds class 5; head softmax:classes=5 takes 0 to 4"),
        (SOFTMAX, changed(Y, (3, 1), -2), "y holds class -2; head softmax:classes=5 takes 0 to 4"),
        ("softmax:classes=5,at=last", Y, "y has shape [6, 2]; head softmax at=last takes [B]"),
        ("softmax:classes=5,at=last", Y[-1, :1], "x and y differ in B: x begins with [6, 2], y [1]"),
        (MSE, VALUES[..., :1], "y has 1 values a step; head mse takes 2"),
        (MSE, VALUES[..., 0], "y has shape [6, 2]; head mse at=every takes [T, B, 2]"),
        (MSE, VALUES.astype(complex), "y holds complex128; head mse takes numbers"),
        (MSE, changed(VALUES, (1, 1, 1), np.nan), "y holds NaN or infinite values; remove or replace them"),
        (MSE, changed(VALUES, (1, 1, 1), np.inf), "y holds NaN or infinite values; remove or replace them"),
        (MSE, changed(VALUES, (1, 1, 1), 1e300), "y holds NaN or infinite values; remove or replace them"),
        (BERNOULLI, changed(VALUES, (1, 1, 1), 1.5), "y holds 1.5; head bernoulli takes values from 0 to 1"),
        (BERNOULLI, changed(VALUES, (1, 1, 1), -1), "y holds -1.0; head bernoulli takes values from 0 to 1"),
    ],
)
def test_targets_that_are_none_are_refused(head, y, message):
    assert refused(make_network(head), X, y) == message


H = np.zeros((BATCH, 4))


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"h": H}, "state has the arrays ['h']; this network's state has ['layer0.h']"),
        ({}, "state has the arrays []; this network's state has ['layer0.h']"),
        ({"layer0.h": H, "layer0.c": H}, "state has the arrays ['layer0.c', 'layer0.h']; this network's state has"),
        ({"layer0.h": H[:1]}, "state 'layer0.h' has shape [1, 4]; expected [2, 4]"),
        ({"layer0.h": H.T}, "state 'layer0.h' has shape [4, 2]; expected [2, 4]"),
        ({"layer0.h": changed(H, (0, 0), np.nan)}, "state 'layer0.h' holds float64 with values that are no finite"),
        ({"layer0.h": H.astype(complex)}, "state 'layer0.h' holds complex128"),
        (H, "state is a ndarray; give arrays by name: ['layer0.h']"),
    ],
)
def test_a_state_that_is_none_is_refused(state, message):
    assert refused(make_network(), X, Y, state).startswith(message)


@pytest.mark.parametrize(
    ("x", "y", "head"),
    [
        (X.tolist(), Y.tolist(), SOFTMAX),
        (X.astype("float16"), Y.astype("uint8"), SOFTMAX),
        (np.rint(X).astype("int8"), Y, SOFTMAX),
        (X > 0, Y, SOFTMAX),
        (np.asfortranarray(X), np.asfortranarray(Y), SOFTMAX),
        (X[::-1, ::-1], Y[::-1, ::-1], SOFTMAX),
        (ROWS.astype("uint16"), Y, SOFTMAX),
        (X, VALUES > 0.5, BERNOULLI),
        (X, VALUES[..., 0], "mse:outputs=1"),
    ],
)
def test_what_can_be_read_as_numbers_of_the_right_shape_is_taken(x, y, head):
    numbers = np.ascontiguousarray(x), np.ascontiguousarray(y, "int64" if "softmax" in head else "float32")
    taken = rf.Engine(make_network(head)).gradients(x, y)
    assert taken.loss == rf.Engine(make_network(head)).gradients(*numbers).loss


@pytest.mark.parametrize("option", [{"chunk": 0}, {"chunk": -3}, {"chunk": 2.5}, {"shards": 0}, {"shards": "two"}])
def test_chunk_and_shards_are_whole_numbers_above_zero(option):
    ((name, value),) = option.items()
    with pytest.raises(OptionError) as refusal:
        rf.Engine(make_network(), **option)
    assert str(refusal.value) == f"{name}={value!r} is out of range; expected an integer of at least 1"


def test_a_masked_array_is_refused_since_its_mask_would_be_lost():
    network = rf.Network(cells=["elman:hidden=2"], head="mse:outputs=1", inputs=2)
    y = np.ma.masked_greater(np.ones((3, 1, 1)), 0)
    with pytest.raises(DataError, match="y is a masked array, and masks are not heeded; fill it or cut out"):
        rf.Engine(network).gradients(np.zeros((3, 1, 2)), y)


@pytest.mark.usefixtures("each_kernels")
@pytest.mark.parametrize("kind", ["int8", "int16", ">i2", "int64"])
@pytest.mark.parametrize("wrong", ["x", "y"])
def test_a_negative_number_is_refused_also_where_it_would_be_a_large_one_without_its_sign(kind, wrong):
    count = 70_000 if kind != "int8" else 300
    network = rf.Network(["elman:hidden=2"], f"softmax:classes={count}", count)
    x, y = (np.array([[1], [-1 if name == wrong else 2], [3]], kind) for name in "xy")
    told = f"{wrong} holds -1 in steps 0 to 2; " if wrong == "x" else "y holds class -1; "
    for act in (rf.Engine(network).gradients, rf.Inference(network).evaluate):
        with pytest.raises(DataError, match=f"^{told}"):
            act(x, y)


def test_a_wrong_target_is_told_before_the_chunks_behind_it_are_run():
    x, y = np.zeros((1000, 2, 3)), np.zeros((1000, 2), int)
    y[3, 1] = 9
    reads = []

    class Watched:
        shape, dtype = x.shape, x.dtype

        def __getitem__(self, steps):
            reads.append(steps)
            return x[steps]

    network = rf.Network(["elman:hidden=2"], "softmax:classes=5", 3)
    with pytest.raises(DataError, match=r"^y holds class 9; "):
        rf.Engine(network, chunk=5).gradients(Watched(), y)
    assert len(reads) <= 2


class Announced:
    """Something that can be sliced, and whose parts may be another shape or type than it announced."""

    def __init__(self, array: np.ndarray, change) -> None:
        self.shape, self.dtype, self._array, self._change = array.shape, array.dtype, array, change

    def __getitem__(self, steps) -> np.ndarray:
        return self._change(self._array[steps])


LIES = {
    "fewer steps": lambda part: part[:-1],
    "more steps": lambda part: np.concatenate([part, part]),
    "fewer samples": lambda part: part[:, :-1],
    "another width": lambda part: part[..., :-1],
    "another rank": lambda part: part.reshape(-1),
    "another type": lambda part: part.astype(complex),
    "nothing": lambda part: part[:0],
}


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("kernels", ["numpy", "auto"])
@pytest.mark.parametrize("which", ["x", "y", "last y", "resets", "weights"])
@pytest.mark.parametrize("lie", LIES)
def test_a_source_that_yields_another_shape_than_it_announced_is_refused(
    lie: str, which: str, kernels: str, shards: int
) -> None:
    given = {
        "x": np.ones((30, 4, 3)),
        "y": np.ones((4, 2)) if which == "last y" else np.ones((30, 4, 2)),
        "resets": np.zeros((30, 4), bool),
        "weights": np.ones(4) if which == "last y" else np.ones((30, 4)),
    }
    at = "last" if which == "last y" else "every"
    network = rf.Network(cells=["lstm:hidden=5"], head=f"mse:outputs=2,at={at}", inputs=3)
    name = which.removeprefix("last ")
    if given[name].ndim < 3 and lie in ("another width", "fewer samples"):
        lie = "fewer steps"
    given[name] = Announced(given[name], LIES[lie])
    with pytest.raises(DataError, match=f"^{name} was announced as .* expected"):
        rf.Engine(network, chunk=8, shards=shards, kernels=kernels).gradients(**given)


def test_objects_are_refused_in_any_order_of_memory():
    y = np.asfortranarray(np.ones((6, 2, 2), object))
    assert refused(make_network("mse:outputs=2"), X, y) == "y holds object; head mse takes numbers"
