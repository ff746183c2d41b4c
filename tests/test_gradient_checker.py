"""The shipped gradient checker: it finds what is wrong, says where, and leaves the network as it was."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import UsageError
from rnnframe.testing import check_gradients, numeric_gradients, numeric_state_gradient


class Wrong(rf.Engine):
    """An engine whose gradients are off by `error` at one entry of one array."""

    def __init__(self, network, where, name, index, error):
        super().__init__(network)
        self.fault = where, name, index, error

    def gradients(self, *data):
        where, name, index, error = self.fault
        result = super().gradients(*data)
        getattr(result, where)[name][index] += error
        return result


@pytest.fixture
def network():
    network = rf.Network(["elman:hidden=3"], "mse:outputs=2", inputs=2, dtype="float64")
    network.parameters.flat[:] = np.random.default_rng(0).normal(scale=0.5, size=network.parameters.flat.shape)
    return network


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    return rng.normal(size=(4, 2, 2)), rng.normal(size=(4, 2, 2))


def test_right_gradients_pass_and_their_small_difference_is_returned(network, data):
    assert 0 < check_gradients(rf.Engine(network), *data) < 1e-9


@pytest.mark.parametrize(
    ("where", "name", "index", "title"),
    [
        ("gradients", "layer0.W", (1, 2), "layer0.W"),
        ("gradients", "head.c", (1,), "head.c"),
        ("state_gradient", "layer0.h", (0, 2), "state layer0.h"),
    ],
)
def test_a_wrong_entry_is_named_with_both_values(network, data, where, name, index, title):
    engine = Wrong(network, where, name, index, error=1e-4)
    right = getattr(rf.Engine(network).gradients(*data), where)[name][index]
    with pytest.raises(AssertionError) as failure:
        check_gradients(engine, *data)
    first, _, worst, *_ = str(failure.value).splitlines()
    assert f"dL/d({title})" in first
    place, analytic, numeric, relative = worst.rsplit(maxsplit=3)
    assert place.strip() == str(list(index))
    assert float(analytic) == pytest.approx(right + 1e-4, abs=1e-12)
    assert float(numeric) == pytest.approx(right, abs=1e-10)
    assert float(relative) > 1e-7


def test_nan_is_no_gradient(network, data):
    with pytest.raises(AssertionError, match=r"dL/d\(layer0.U\).*relative difference inf"):
        check_gradients(Wrong(network, "gradients", "layer0.U", (0, 0), error=np.nan), *data)


def test_the_tolerance_is_the_callers(network, data):
    engine = Wrong(network, "gradients", "layer0.b", (0,), error=1e-6)
    with pytest.raises(AssertionError, match="tolerance 1e-09"):
        check_gradients(engine, *data, tolerance=1e-9)
    assert check_gradients(engine, *data, tolerance=1e-2) > 1e-9


def test_a_truncated_gradient_fails_and_a_window_that_covers_the_sequence_passes(network, data):
    with pytest.raises(AssertionError, match="relative difference"):
        check_gradients(rf.Engine(network, "circular-queue:k1=2,k2=2", chunk=1), *data)
    check_gradients(rf.Engine(network, "circular-queue:k1=4,k2=8", chunk=1), *data)


def test_a_quadratic_loss_has_the_slopes_that_paper_and_pencil_give():
    # given o = v h with h = x (identity, U = 1, W = 0) and the loss (o - y)²
    network = rf.Network(["elman:hidden=1,activation=identity"], "mse", inputs=1, dtype="float64")
    network.parameters.flat[:] = 0
    network.parameters["layer0.U"][...], network.parameters["head.V"][...] = 1, 3
    x, y = np.full((1, 1, 1), 2.0), np.full((1, 1, 1), 5.0)
    # then dL/dv = 2 (o - y) x = 4, dL/dU = 2 (o - y) v x = 12, dL/dc = 2, dL/db = 6
    slopes = numeric_gradients(rf.Engine(network), x, y)
    wanted = {"head.V": 4, "layer0.U": 12, "head.c": 2, "layer0.b": 6, "layer0.W": 0}
    assert {name: array.item() for name, array in slopes.items()} == pytest.approx(wanted, abs=1e-9)


def test_the_network_is_left_bit_for_bit_as_it_was(network, data):
    engine = rf.Engine(network)
    before, result = network.parameters.flat.copy(), engine.gradients(*data)
    numeric_gradients(engine, *data)
    numeric_state_gradient(engine, *data)
    assert np.array_equal(network.parameters.flat, before)
    assert np.array_equal(engine.gradients(*data).gradients.flat, result.gradients.flat)


def test_the_given_state_is_not_moved(network, data):
    state = network.new_state(2)
    numeric_state_gradient(rf.Engine(network), *data, state)
    assert not state.flat.any()


def test_float32_is_refused_because_its_rounding_drowns_the_differences(data):
    network = rf.Network(["elman:hidden=3"], "mse:outputs=2", inputs=2)
    with pytest.raises(UsageError, match=r"float32.*dtype='float64'"):
        numeric_gradients(rf.Engine(network), *data)
    with pytest.raises(UsageError, match=r"float32.*dtype='float64'"):
        check_gradients(rf.Engine(network), *data)


def test_a_stream_is_refused_because_it_can_be_read_only_once(network, data):
    with pytest.raises(UsageError, match="give arrays, not a list_iterator"):
        numeric_gradients(rf.Engine(network), iter([data]), None)
