"""lstm with norm=layer, with a projection and with both on compiled kernels: beside the same on numpy."""

import numpy as np
import pytest
from test_compiled_cells import compiled, data_of, expect_same_as_numpy, moved

import rnnframe as rf
from rnnframe.testing import check_gradients

KINDS = "norm=layer", "projection=3", "norm=layer,projection=3"
STORES = "full-history", "full-history:keep=lean", "states", "checkpoint:slots=2"


def network_of(kind, hidden, inputs, dtype="float64", seed=0):
    return moved(rf.Network([f"lstm:hidden={hidden},{kind}"], "mse:outputs=3", inputs, seed=seed, dtype=dtype), seed)


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_units_up_to_forty_under_every_store(kind):
    for n in range(4, 41):
        network = network_of(kind, n, 1 + n % 7)
        data = data_of(network, 5, 41 - n, lookup=n % 3 == 0)
        expect_same_as_numpy(network, *data, store=STORES[n % 4], shards=1 + n % 2)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_as_far_as_a_norm_lets_it(kind):
    for n in (20, 64, 130):
        network = network_of(kind, n, 7, "float32")
        expect_same_as_numpy(network, *data_of(network, 5, 9))


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_that_end_and_begin_anew_give_the_same_bits_in_the_bytes_that_were_planned(kind, shards):
    network = network_of(kind, 9, 5)
    x, y, state = data_of(network, 9, 6)
    more = np.array([9, 2, 7, 9, 1, 4]), np.random.default_rng(0).random((9, 6)) < 0.2
    expect_same_as_numpy(network, x, y, state, *more)
    found = [compiled(network, store, 2, shards).gradients(x, y, state, *more) for store in STORES]
    for other in found:
        assert np.array_equal(other.gradients.flat, found[0].gradients.flat)
        assert other.report.peak_bytes == pytest.approx(other.report.predicted_bytes, rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_finite_differences(kind):
    network = network_of(kind, 9, 3)  # of fewer values, a norm bends too sharply for differences
    check_gradients(compiled(network, "states", chunk=3, shards=2), *data_of(network, 7, 3))


def test_inputs_that_are_too_wide_to_be_packed():
    from rnnframe_compiled.twins import PACKED

    for kind in KINDS:
        network = network_of(kind, 5, PACKED + 1)
        for lookup in (False, True):
            expect_same_as_numpy(network, *data_of(network, 3, 2, lookup=lookup))


@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_rows_that_are_all_alike_or_of_any_size_are_normalized_as_numpy_does(scale):
    network = network_of("norm=layer", 9, 3)
    network.parameters["layer0.U"][...] *= scale
    network.parameters["layer0.U"][...] += scale
    expect_same_as_numpy(network, *data_of(network, 5, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@np.errstate(all="ignore")
def test_what_is_not_finite_spreads_as_it_does_with_numpy(value):
    for where in ("U", "W", "b", "g_c"):
        network = network_of("norm=layer", 9, 3)
        network.parameters[f"layer0.{where}"][..., 1] = value
        x, _, state = data_of(network, 5, 3)
        ours, theirs = (rf.Engine(network, chunk=4, kernels=k).predict(x, state)[0] for k in ("compiled", "numpy"))
        assert np.allclose(ours, theirs, equal_nan=True), where


def test_masks_of_h_and_products_of_bfloat16_are_not_compiled_with_it():
    made = rf.default_registry().kernels("compiled")
    assert made.twin(rf.cell("lstm:norm=layer,zoneout=0.1"), np.dtype("float32")) is None
    assert made.twin_in(rf.cell("lstm:norm=layer"), np.dtype("float32"), "bfloat16") is None
    assert made.twin(rf.cell("lstm:norm=layer,weight_drop=0.1"), np.dtype("float32")) is not None
