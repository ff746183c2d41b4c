"""tanh, the logistic function, exp and relu on vectors, beside numpy with more digits."""

import numpy as np
import pytest

place = pytest.importorskip("rnnframe_compiled.place", reason="numba is not installed")

with place.kept():
    from numba import njit

    from rnnframe_compiled import functions
    from rnnframe_compiled.lanes import BYTES, bytes_of, lanewise

# What the docstring of rnnframe_compiled.functions promises.
BOUNDS = {
    ("tanh", "float32"): {"absolute": 1.5e-7, "relative": 2.2e-7},
    ("tanh", "float64"): {"absolute": 2.8e-16, "relative": 4.5e-16},
    ("sigmoid", "float32"): {"absolute": 1.1e-7},
    ("sigmoid", "float64"): {"absolute": 1.7e-16},
    ("exp", "float32"): {"absolute": 1.8e-7},
    ("exp", "float64"): {"absolute": 9.4e-17},
}


def on_arrays(formula):
    """Return a function that applies a formula on lanes to an array."""
    compiled = lanewise(formula)

    @njit
    def run(unit, n, source, target):
        z = bytes_of(unit)
        for j in range(0, n, BYTES // z):
            compiled(unit, n - j, (source + j * z,), (target + j * z,))

    def apply(x):
        x = np.ascontiguousarray(x)
        out = np.full_like(x, -7)
        run(x.dtype.type(1), len(x), x.ctypes.data, out.ctypes.data)
        return out

    return apply


APPLY = {name: on_arrays(getattr(functions, name)) for name in ("tanh", "sigmoid", "log_sigmoid", "exp", "relu")}


@np.errstate(over="ignore")
def points(dtype):
    """Return numbers of every size, dense where the functions bend, and the neighbours of special ones."""
    info = np.finfo(dtype)
    sizes = np.geomspace(float(info.tiny), float(info.max), 20_000)
    special = np.array([0, 1, 2, 9, 18.1, 19, 38.2, 87, 88, 104, 708, 710, np.log(2) / 2, np.log(2)])
    x = np.concatenate([np.linspace(-45, 45, 400_001), np.linspace(-1, 1, 200_001), sizes, -sizes, special, -special])
    x = x.astype(dtype)
    return np.unique(np.concatenate([x, np.nextafter(x, dtype(0)), np.nextafter(x, dtype(np.inf))]))


def exact(name, x):
    x = x.astype(np.longdouble)
    return {"tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "exp": np.exp}[name](x)


@pytest.mark.parametrize(("name", "dtype"), BOUNDS)
@np.errstate(all="ignore")
def test_the_largest_errors_are_those_that_are_stated(name, dtype):
    x = points(np.dtype(dtype).type)
    x = x[x <= 0] if name == "exp" else x
    found, wanted = APPLY[name](x).astype(np.longdouble), exact(name, x)
    error, bounds = np.abs(found - wanted), BOUNDS[name, dtype]
    assert float(error.max()) <= bounds["absolute"]
    if "relative" in bounds:
        normal = np.abs(wanted) >= np.finfo(dtype).tiny
        assert float((error[normal] / np.abs(wanted[normal])).max()) <= bounds["relative"]
    if np.finfo(np.longdouble).nmant > 60:  # else the reference itself is no better
        assert float(error.max()) >= 0.7 * bounds["absolute"]  # no looser than it need be


@pytest.mark.parametrize(("name", "dtype"), BOUNDS)
def test_the_bounds_stand_in_the_docstring(name, dtype):
    line = next(line for line in functions.__doc__.splitlines() if line.split()[:2] == [name, dtype])
    assert line.split()[2:] == [f"{value:g}" for value in BOUNDS[name, dtype].values()]


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 2.3e-7), ("float64", 3e-16)])
@np.errstate(all="ignore")
def test_the_logarithm_of_the_logistic_function_is_exact_to_its_size_or_to_one(dtype, bound):
    x = points(np.dtype(dtype).type)
    wanted = -np.logaddexp(0, -x.astype(np.longdouble))
    error = np.abs(APPLY["log_sigmoid"](x).astype(np.longdouble) - wanted) / np.maximum(np.abs(wanted), 1)
    assert float(error.max()) <= bound
    special = APPLY["log_sigmoid"](np.array([np.inf, -np.inf, np.nan], dtype))
    assert -1e-37 < special[0] <= 0
    assert special[1] == -np.inf
    assert np.isnan(special[2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_numbers(dtype):
    info = np.finfo(dtype)
    x = np.array([0.0, -0.0, np.inf, -np.inf, info.max, -info.max, np.nan], dtype)
    assert np.array_equal(APPLY["tanh"](x), np.array([0, 0, 1, -1, 1, -1, np.nan], dtype), equal_nan=True)
    sigmoid = APPLY["sigmoid"](x)
    assert np.array_equal(sigmoid[[0, 1, 2, 4, 6]], np.array([0.5, 0.5, 1, 1, np.nan], dtype), equal_nan=True)
    assert np.all((sigmoid[[3, 5]] >= 0) & (sigmoid[[3, 5]] < 1e-37))
    exp = APPLY["exp"](x[x <= 0])
    assert np.array_equal(exp[:2], [1, 1])
    assert np.all((exp[2:] >= 0) & (exp[2:] < 1e-37))
    assert np.isnan(APPLY["exp"](x[-1:])[0])
    relu = APPLY["relu"](x)
    assert np.array_equal(relu, np.array([0, 0, np.inf, 0, info.max, 0, np.nan], dtype), equal_nan=True)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_they_stay_within_their_range_and_the_smallest_numbers_stay(name, dtype):
    y = APPLY[name](points(np.dtype(dtype).type))
    assert -1 <= y.min() < y.max() <= 1
    tiny = np.array([np.finfo(dtype).tiny, -np.finfo(dtype).tiny], dtype)
    assert np.array_equal(APPLY["tanh"](tiny), tiny)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", range(1, 36))
def test_a_value_does_not_depend_on_where_it_stands(n, dtype):
    x = np.random.default_rng(n).normal(scale=3, size=n).astype(dtype)
    for apply in APPLY.values():
        peaks = apply(x)
        assert np.array_equal(peaks, np.concatenate([apply(x[k : k + 1]) for k in range(n)]))
