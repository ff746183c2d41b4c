"""Curves of any length: what they hold is what the points say, in a bounded number of columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnframe.runs.curves import Curve

VALUES = st.floats(-1e6, 1e6)


@given(
    blocks=st.lists(st.lists(VALUES, max_size=40), max_size=8),
    columns=st.integers(1, 8),
)
def test_columns_are_the_extremes_and_means_of_equal_groups_of_points(blocks, columns):
    curve, points, weights = Curve(columns), [], []
    for block in blocks:
        x = np.arange(len(points), len(points) + len(block), dtype=float)
        weight = 1.0 + x % 3
        curve.extend(x, np.array(block, float), weight)
        points += block
        weights += weight.tolist()
    held = curve.columns()
    assert len(held) <= 2 * columns
    groups = [slice(n, n + held.points) for n in range(0, len(points), held.points)]
    assert held.x.tolist() == [min(group.stop, len(points)) - 1 for group in groups]
    assert held.low.tolist() == [min(points[group]) for group in groups]
    assert held.high.tolist() == [max(points[group]) for group in groups]
    means = [np.average(points[group], weights=weights[group]) for group in groups]
    np.testing.assert_allclose(held.mean, means, rtol=1e-9, atol=1e-6)


@given(length=st.integers(0, 100), number=st.integers(1, 20))
def test_fewer_columns_hold_the_same_points(length, number):
    curve = Curve(64)
    y = np.sin(np.arange(length))
    curve.extend(np.arange(length, dtype=float), y)
    fewer = curve.columns().at_most(number)
    assert len(fewer) <= number
    assert fewer.weight.sum() == length
    if length:
        assert (fewer.low.min(), fewer.high.max(), fewer.x[-1]) == (y.min(), y.max(), length - 1)
        assert np.average(fewer.mean, weights=fewer.weight) == pytest.approx(y.mean())


def test_what_is_not_finite_is_left_out_and_counted():
    curve = Curve()
    curve.extend(np.arange(5.0), np.array([1, np.nan, 2, np.inf, 3]))
    assert curve.columns().x.tolist() == [0, 2, 4]
    assert curve.dropped == 2


def test_a_spike_of_one_point_in_a_million_is_still_there():
    curve = Curve()
    for start in range(0, 1_000_000, 4096):
        x = np.arange(start, min(start + 4096, 1_000_000), dtype=float)
        curve.extend(x, np.where(x == 654_321, 50.0, 1.0))
    held = curve.columns()
    assert held.high.max() == 50.0
    assert held.at_most(100).high.max() == 50.0
    assert len(held) <= 2048
