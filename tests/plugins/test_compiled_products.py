"""Packed matrices and the products of tiles beside numpy, for sizes that fill vectors and tiles and that do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proofs import examples

place = pytest.importorskip("rnnframe_compiled.place", reason="numba is not installed")

with place.kept():
    from rnnframe_compiled import gradients, packing, products
    from rnnframe_compiled.groups import Matrix, Product, Steps, Targets
    from rnnframe_compiled.tiles import WIDE, rows_of

DTYPES = ["float32", "float64"]
NEAR = {"float32": 2e-6, "float64": 4e-15}  # relative to the sum of the absolute values of the terms
SIZES = st.integers(1, 40)
GUARD = 77.0
ZEROS = np.zeros(64, np.uint8)
NOTHING = (ZEROS.ctypes.data, 0, 0)  # a start for sums


class Arrays:
    """Random arrays of one type, and results that stand between guards."""

    def __init__(self, dtype, seed):
        self.dtype, self.rng = np.dtype(dtype), np.random.default_rng(seed)
        self.unit = self.dtype.type(1)
        self.guarded = []

    def random(self, *shape):
        return self.rng.normal(size=shape).astype(self.dtype)

    def result(self, start):
        """Return a copy of an array with guards before and behind it."""
        room = np.full(start.size + 64, GUARD, self.dtype)
        self.guarded.append((room, start.size))
        inside = room[32 : 32 + start.size].reshape(start.shape)
        inside[...] = start
        return inside

    def packed(self, terms, width):
        vectors = packing.vectors_for(width, self.dtype)
        return self.result(np.full(terms * vectors * packing.lanes(self.dtype), np.nan, self.dtype))

    def verify(self):
        for room, size in self.guarded:
            assert (room[:32] == GUARD).all()
            assert (room[32 + size :] == GUARD).all()

    def near(self, found, wanted, size):
        """Assert that products differ by rounding alone; `size` is the product of the absolute values."""
        assert np.all(np.abs(found - wanted) <= NEAR[self.dtype.name] * (size + np.abs(wanted)))
        self.verify()


def address(array):
    return array.ctypes.data


def matrix(array):
    """Return a matrix whose rows are dense."""
    rows, width = array.shape
    return Matrix(address(array), rows, width, width)


def doubled(*arrays):
    return [array.astype(np.float64) for array in arrays]


def absolute(a, b):
    return np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))


cases = given(
    dtype=st.sampled_from(DTYPES), rows=SIZES, terms=SIZES, width=st.integers(1, 150), seed=st.integers(0, 99)
)


@cases
@settings(max_examples=examples(150))
def test_a_packed_matrix_is_multiplied_and_added(dtype, rows, terms, width, seed):
    arrays = Arrays(dtype, seed)
    a, B, start = arrays.random(rows, terms), arrays.random(terms, width), arrays.random(rows, width)
    packed, out = arrays.packed(terms, width), arrays.result(np.zeros((rows, width)))
    packing.pack_columns(arrays.unit, B, 0, width, packed)
    given = (arrays.unit, matrix(a), address(packed), width)
    begin = (address(start), width, packing.lanes(arrays.dtype))
    wanted, size = start + np.matmul(*doubled(a, B)), absolute(a, B) + np.abs(start)
    products.multiply(*given, begin, address(out))
    arrays.near(out, wanted, size)
    for backwards in (0, 1):
        out.fill(0)
        products.multiply_few(*given, begin, address(out), backwards)
        arrays.near(out, wanted, size)


@cases
@settings(max_examples=examples(150))
def test_some_columns_are_packed_transposed(dtype, rows, terms, width, seed):
    arrays = Arrays(dtype, seed)
    first, beyond = arrays.rng.integers(0, 9, 2)
    W = arrays.random(width, first + terms + beyond)
    part = W[:, first : first + terms]
    a, packed, out = arrays.random(rows, terms), arrays.packed(terms, width), arrays.result(np.zeros((rows, width)))
    packing.pack_transposed(arrays.unit, W, first, terms, packed)
    products.multiply(arrays.unit, matrix(a), address(packed), width, NOTHING, address(out))
    arrays.near(out, np.matmul(*doubled(a, part.T)), absolute(a, part.T))


@given(
    dtype=st.sampled_from(DTYPES),
    rows=st.integers(1, 450),  # more than BAND twice
    columns=st.integers(1, 600),  # more than DEPTH twice
    width=st.integers(1, 80),
    seed=st.integers(0, 99),
)
@settings(max_examples=examples(60))
def test_a_gradient_is_taken_to_the_inputs_in_parts(dtype, rows, columns, width, seed):
    arrays = Arrays(dtype, seed)
    d, U = arrays.random(1, rows, columns + seed % 3), arrays.random(width, columns)
    lanes = packing.lanes(arrays.dtype)
    room = lanes * (1 + packing.vectors_for(width, arrays.dtype) * min(gradients.DEPTH, columns))
    work, dx = arrays.result(np.full(room, np.nan, dtype)), arrays.result(np.full((1, rows, width), np.nan, dtype))
    gradients.input_gradient(arrays.unit, d, columns, U, dx, work)
    of_columns = d[0, :, :columns]
    arrays.near(dx[0], np.matmul(*doubled(of_columns, U.T)), absolute(of_columns, U.T))


@given(dtype=st.sampled_from(DTYPES), m=st.integers(0, 70), n=st.integers(0, 70), seed=st.integers(0, 99))
@settings(max_examples=examples(150))
def test_a_matrix_is_transposed(dtype, m, n, seed):
    arrays = Arrays(dtype, seed)
    source, target = arrays.random(m, n), arrays.result(np.full((n, m), np.nan, dtype))
    packing.transpose(arrays.unit, source, target)
    assert (target == source.T).all()
    arrays.verify()


@cases
@settings(max_examples=examples(100))
def test_two_products_and_a_bias_are_added_at_once(dtype, rows, terms, width, seed):
    arrays = Arrays(dtype, seed)
    H = int(arrays.rng.integers(0, 40))
    x, U, h, W, b = (
        arrays.random(*shape) for shape in ((rows, terms), (terms, width), (rows, H), (H, width), (width,))
    )
    PU, PW, out = arrays.packed(terms, width), arrays.packed(H, width), arrays.result(np.zeros((rows, width)))
    packing.pack_columns(arrays.unit, U, 0, width, PU)
    packing.pack_columns(arrays.unit, W, 0, width, PW)
    bias = np.zeros(packing.vectors_for(width, arrays.dtype) * packing.lanes(arrays.dtype), dtype)
    bias[:width] = b
    both = Product(address(x), terms, address(PU)), Product(address(h), H, address(PW))
    products.multiply_both(arrays.unit, *both, address(bias), matrix(out))
    wanted = np.matmul(*doubled(x, U)) + np.matmul(*doubled(h, W)) + b
    arrays.near(out, wanted, absolute(x, U) + absolute(h, W) + np.abs(b))


@cases
@settings(max_examples=examples(100))
def test_a_value_does_not_depend_on_the_rows_beside_it(dtype, rows, terms, width, seed):
    arrays = Arrays(dtype, seed)
    a, B = arrays.random(rows, terms), arrays.random(terms, width)
    packed, peaks, alone = arrays.packed(terms, width), np.zeros((rows, width), dtype), np.zeros((1, width), dtype)
    packing.pack_columns(arrays.unit, B, 0, width, packed)
    products.multiply(arrays.unit, matrix(a), address(packed), width, NOTHING, address(peaks))
    k = rows - 1
    products.multiply(arrays.unit, matrix(a[k:]), address(packed), width, NOTHING, address(alone))
    assert np.array_equal(peaks[k:], alone)


@given(dtype=st.sampled_from(DTYPES), rows=st.integers(1, 450), I=SIZES, H=SIZES, width=SIZES, seed=st.integers(0, 99))
@settings(max_examples=examples(100))
def test_products_of_a_whole_block_are_added_to_the_gradients(dtype, rows, I, H, width, seed):
    arrays = Arrays(dtype, seed)
    strided = width + int(arrays.rng.integers(0, 9))  # dz is part of wider rows
    B = int(arrays.rng.choice([n for n in range(1, rows + 1) if rows % n == 0]))
    wide = arrays.random(rows // B, B + int(arrays.rng.integers(0, 3)), I)  # x is some columns of it, or all
    x = wide[:, :B].reshape(rows, I)
    h, rest = arrays.random(rows, H), arrays.random(rows, strided)
    dz = rest[:, :width]
    starts = [arrays.random(*shape) for shape in ((I, width), (H, width), (width,))]
    dU, dW, db = (arrays.result(start) for start in starts)
    room = (1 + gradients.TERMS * WIDE) * packing.lanes(arrays.dtype) + gradients.TERMS * I
    work = arrays.result(np.zeros(room, dtype))
    steps, part = Steps(address(wide), wide.strides[0], B, I), Matrix(address(rest), rows, width, strided)
    targets = Targets(address(dU), address(dW), address(db), width)
    gradients.add_gradients(arrays.unit, steps, matrix(h), part, targets, work)
    ones = np.ones((rows, 1))
    for found, start, left in zip((dU, dW, db[None]), (*starts[:2], starts[2][None]), (x, h, ones), strict=True):
        arrays.near(found, start + np.matmul(*doubled(left.T, dz)), absolute(left.T, dz) + np.abs(start))


@given(dtype=st.sampled_from(DTYPES), rows=st.integers(1, 60), inputs=SIZES, width=SIZES, seed=st.integers(0, 99))
def test_rows_that_were_looked_up_are_added_to_in_the_order_of_the_steps(dtype, rows, inputs, width, seed):
    arrays = Arrays(dtype, seed)
    numbers, dz = arrays.rng.integers(0, inputs, rows), arrays.random(rows, width)
    dU = arrays.result(arrays.random(inputs, width))
    wanted = dU.copy()
    gradients.add_looked_up(arrays.unit, numbers, matrix(dz), address(dU), width)
    np.add.at(wanted, numbers, dz)
    assert np.array_equal(dU, wanted)
    arrays.verify()


@given(dtype=st.sampled_from(DTYPES), terms=SIZES, width=SIZES, count=st.integers(1, 4), seed=st.integers(0, 99))
def test_gates_are_packed_side_by_side_with_zeros_where_there_are_no_units(dtype, terms, width, count, seed):
    arrays = Arrays(dtype, seed)
    L, first = packing.lanes(arrays.dtype), int(arrays.rng.integers(0, 5))
    gap = width + int(arrays.rng.integers(0, 5))
    W = arrays.random(terms, first + count * gap)
    panels = packing.vectors_for(width, arrays.dtype)
    out = arrays.result(np.full((panels, terms, count * L), np.nan, dtype))
    packing.pack(arrays.unit, W, first, gap, count, width, out)
    gates = out.reshape(panels, terms, count, L).transpose(2, 1, 0, 3).reshape(count, terms, panels * L)
    for g in range(count):
        begin = first + g * gap
        assert np.array_equal(gates[g, :, :width], W[:, begin : begin + width])
        assert not gates[g, :, width:].any()
    arrays.verify()


def test_tiles_fit_into_the_registers():
    assert all(1 <= rows_of(vectors) <= 6 for vectors in (1, 2, 3, 4))
