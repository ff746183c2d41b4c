"""Arrays of other libraries at every door: numpy's own results, and one line where they cannot be read."""

import subprocess
import sys

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError
from rnnframe.plugin import as_array

RANDOM = np.random.default_rng(0)
STEPS, BATCH, INPUTS = 6, 3, 5
ROWS = RANDOM.integers(0, INPUTS, (STEPS, BATCH))
X = RANDOM.normal(size=(STEPS, BATCH, INPUTS)).astype("float32")
Y = RANDOM.normal(size=(STEPS, BATCH)).astype("float32")
LENGTHS = np.array([6, 2, 4])
WEIGHTS = RANDOM.integers(0, 3, (STEPS, BATCH)).astype("float32")
RESETS = np.arange(STEPS * BATCH).reshape(STEPS, BATCH) % 7 == 4
STATE = RANDOM.normal(size=(BATCH, 4)).astype("float32")


class OnlyStream:
    """A table or a column that speaks the Arrow stream protocol and nothing else."""

    def __init__(self, held):
        self.held = held

    def __arrow_c_stream__(self, requested_schema=None):
        return self.held.__arrow_c_stream__(requested_schema)


def of_pandas(array):
    pandas = pytest.importorskip("pandas", reason="the library whose tables are read")
    return pandas.Series(array) if array.ndim == 1 else pandas.DataFrame(array, index=np.arange(len(array)) * 2 + 1)


def of_nullable_pandas(array):
    return of_pandas(array).convert_dtypes()


def of_polars(array):
    polars = pytest.importorskip("polars", reason="the library whose tables are read")
    return polars.Series(array) if array.ndim == 1 else polars.DataFrame(array)


def of_pyarrow(array):
    pa = pytest.importorskip("pyarrow", reason="the library whose tables are read")
    return pa.chunked_array([array]) if array.ndim == 1 else pa.table({str(n): c for n, c in enumerate(array.T)})


def of_a_stream(array):
    return OnlyStream(of_pyarrow(array))


def of_a_reader(array):
    return of_pyarrow(array) if array.ndim == 1 else of_pyarrow(array).to_reader()


def of_torch(array):
    return pytest.importorskip("torch", reason="the library whose tensors are read").tensor(array)


def of_jax(array):
    return pytest.importorskip("jax", reason="the library whose arrays are read").numpy.asarray(array)


TABLES = [of_pandas, of_nullable_pandas, of_polars, of_pyarrow, of_a_stream, of_a_reader]
TENSORS = [of_torch, of_jax]


def made(head="mse:outputs=1"):
    return rf.Network(["gru:hidden=4"], head, INPUTS)


def engine_gradients(of, x):
    engine = rf.Engine(made(), kernels="numpy")
    state = {"layer0.h": of(STATE)}
    found = engine.gradients(of(x), of(Y), state, lengths=of(LENGTHS), resets=of(RESETS), weights=of(WEIGHTS))
    return found.loss, found.gradients.flat.tobytes()


def gradients_of_last_steps(of, x):
    engine = rf.Engine(made("mse:outputs=1,at=last"), kernels="numpy")
    found = engine.gradients(of(x), of(Y[-1]), lengths=of(LENGTHS), weights=of(WEIGHTS[-1] + 1))
    return found.loss, found.gradients.flat.tobytes()


def trainer_step(of, x):
    trainer = rf.Trainer(rf.Engine(made(), kernels="numpy"), "sgd:lr=0.1")
    trainer.step(of(x), of(Y), lengths=of(LENGTHS), resets=of(RESETS), weights=of(WEIGHTS))
    return trainer.engine.network.parameters.flat.tobytes()


def engine_evaluate(of, x):
    return rf.Engine(made(), kernels="numpy").evaluate(of(x), of(Y), lengths=of(LENGTHS), weights=of(WEIGHTS)).loss


def predict(of, x):
    outputs, state = rf.Inference(made(), kernels="numpy").predict(of(x), lengths=of(LENGTHS), resets=of(RESETS))
    return outputs.tobytes(), state.flat.tobytes()


def stream_of_blocks(of, x):
    blocks = [(of(x[at]), of(Y[at]), of(RESETS[at]), of(WEIGHTS[at])) for at in (slice(0, 2), slice(2, 6))]
    return rf.Engine(made(), kernels="numpy").gradients(iter(blocks), None).gradients.flat.tobytes()


DOORS = [engine_gradients, gradients_of_last_steps, trainer_step, engine_evaluate, predict, stream_of_blocks]


@pytest.mark.parametrize("of", TABLES + TENSORS)
@pytest.mark.parametrize("door", DOORS)
def test_row_numbers_targets_and_all_else_are_read_as_from_numpy(door, of):
    assert door(of, ROWS) == door(np.asarray, ROWS)


@pytest.mark.parametrize("of", TENSORS)
@pytest.mark.parametrize("door", DOORS)
def test_numbers_of_three_dimensions_are_read_as_from_numpy(door, of):
    assert door(of, X) == door(np.asarray, X)


@pytest.mark.parametrize("of", [np.asarray, *TABLES, *TENSORS])
@pytest.mark.parametrize("array", [ROWS.astype("int32"), Y, RESETS, LENGTHS], ids=["int", "float", "bool", "column"])
def test_values_and_shape_are_those_of_numpy(array, of):
    found = as_array(of(array), "x")
    assert isinstance(found, np.ndarray)
    assert found.shape == array.shape
    assert found.dtype.kind == array.dtype.kind
    assert np.array_equal(found, array)


def test_a_tensor_in_main_memory_is_not_copied():
    tensor = of_torch(X)
    assert as_array(tensor, "x").ctypes.data == tensor.data_ptr()


def test_what_pull_returns_may_be_a_tensor():
    found = [
        rf.Engine(made(None), kernels="numpy").sweep(X, lambda part, outputs, of=of: of(0.5 * outputs)).gradients.flat
        for of in (np.asarray, of_torch)
    ]
    assert np.array_equal(*found)


@pytest.mark.parametrize(
    ("tensor", "line"),
    [
        (
            lambda torch: torch.ones(6, 3, 5, requires_grad=True),
            r"x is a Tensor that is no array in main memory: .*deta",
        ),
        (lambda torch: torch.ones(6, 3, 5, device="meta"), "x is a Tensor that is no array in main memory: .*meta"),
        (lambda torch: torch.ones(6, 3, 5).to_sparse(), "x is a Tensor that is no array in main memory: .*layout"),
        (lambda torch: torch.ones(6, 3, 5, dtype=torch.bfloat16), "no array in main memory: .*dtype"),
    ],
)
@pytest.mark.parametrize("door", [engine_evaluate, predict])
def test_a_tensor_that_cannot_be_read_is_refused_in_one_line(door, tensor, line):
    torch = pytest.importorskip("torch", reason="the library whose tensors are read")
    with pytest.raises(DataError, match=line) as refused:
        door(lambda given: tensor(torch) if given is X else given, X)
    assert "\n" not in str(refused.value)


def test_a_tensor_on_another_device_is_refused_in_one_line():
    class OnAnother:
        device = "cuda:0"

        def __dlpack__(self, **_):
            raise AssertionError("nothing is copied from the device")

        def __dlpack_device__(self):
            return 2, 0

    with pytest.raises(DataError, match="x is a OnAnother on the device cuda:0; expected one in main memory: copy"):
        as_array(OnAnother(), "x")


PARTS = {"x": X, "y": Y, "lengths": LENGTHS, "resets": RESETS, "weights": WEIGHTS}


@pytest.mark.parametrize("part", PARTS)
def test_a_masked_array_is_refused_at_every_door(part):
    masked = PARTS | {part: np.ma.masked_array(PARTS[part], np.arange(PARTS[part].size) == 1)}
    line = f"{part} is a masked array, and masks are not heeded; fill it or cut out .* weights of 0"
    engine = rf.Engine(made(), kernels="numpy")
    for call in (engine.gradients, engine.evaluate, rf.Trainer(engine, "sgd").step):
        with pytest.raises(DataError, match=line):
            call(**masked)
    if part in ("x", "lengths", "resets"):
        known = {name: masked[name] for name in ("x", "lengths", "resets")}
        with pytest.raises(DataError, match=line):
            rf.Inference(made(), kernels="numpy").predict(**known)


def test_masked_states_state_dicts_and_lists_are_refused():
    engine = rf.Engine(made(), kernels="numpy")
    with pytest.raises(DataError, match=r"state 'layer0.h' is a masked array"):
        engine.evaluate(X, Y, {"layer0.h": np.ma.masked_less(STATE, 0)})
    with pytest.raises(DataError, match="x is a list of masked arrays"):
        engine.evaluate(list(np.ma.masked_less(X, 0)), Y)
    given = dict(made().to_state_dict())
    name = next(iter(given))
    with pytest.raises(DataError, match=rf"the state dict's '{name}' is a masked array"):
        rf.Network.from_state_dict(given | {name: np.ma.masked_less(given[name], 0)}, "mse:outputs=1")


def missing(library):
    module = pytest.importorskip(library, reason="the library whose tables are read")
    if library == "pyarrow":
        return module.table({"a": [1, 2], "b": [3, None]})
    frame = module.DataFrame({"a": [1, 2], "b": [3, None]})
    return frame.astype({"b": "Int64"}) if library == "pandas" else frame


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_table_with_missing_values_is_refused_by_the_name_of_the_column(library):
    with pytest.raises(DataError, match="x's column 'b' has 1 missing value; fill or cut out what is missing, or give"):
        rf.Inference(made(), kernels="numpy").predict(missing(library))


def test_a_column_of_text_is_refused_by_name():
    pandas = pytest.importorskip("pandas", reason="the library whose tables are read")
    with pytest.raises(DataError, match=r"x's column 'b' holds \w*string; expected numbers or booleans"):
        as_array(pandas.DataFrame({"a": [1, 2], "b": ["one", "two"]}), "x")
    twice = pandas.DataFrame(np.ones((2, 2)), columns=["a", "a"])
    with pytest.raises(DataError, match=r"x is a DataFrame that is no array in main memory: Duplicate column names"):
        as_array(twice, "x")


BLOCKED = """
import sys
sys.modules["pyarrow"] = None
import numpy as np
from rnnframe.plugin import as_array
from rnnframe.errors import DataError
class OnlyStream:
    def __arrow_c_stream__(self, requested_schema=None): pass
try:
    as_array(OnlyStream(), "x")
except DataError as error:
    print(error)
"""


def test_without_pyarrow_a_table_is_one_line_with_the_installation():
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "x is a OnlyStream, which is read with pyarrow, and that is not installed; run: pip install pyarrow\n"
    )


@pytest.mark.parametrize("of", [of_pandas, of_polars, of_pyarrow, of_torch, of_jax])
def test_estimators_read_sequences_targets_and_weights_as_from_numpy(of):
    pytest.importorskip("sklearn", reason="the estimators are for it")
    from rnnframe_sklearn import RNNClassifier, RNNRegressor

    X, weights = RANDOM.normal(size=(12, 4)).astype("float32"), np.arange(1.0, 13).astype("float32")
    for estimator, y in ((RNNClassifier, np.arange(12) % 2), (RNNRegressor, X.sum(axis=1))):
        found = []
        for make in (of, np.asarray):
            fitted = estimator(hidden_size=3, epochs=2, random_state=0, kernels="numpy")
            found.append(fitted.fit(make(X), make(y), make(weights)).predict(make(X)))
        assert np.array_equal(*found)


def test_estimators_refuse_masked_arrays_and_missing_values():
    pytest.importorskip("sklearn", reason="the estimators are for it")
    from rnnframe_sklearn import RNNClassifier, RNNRegressor

    X, y = RANDOM.normal(size=(12, 4)), np.arange(12) % 2
    for estimator in (RNNClassifier(epochs=1), RNNRegressor(epochs=1)):
        for given in ((np.ma.masked_less(X, 0), y), (X, np.ma.masked_less(y, 1)), (list(np.ma.masked_less(X, 0)), y)):
            with pytest.raises(ValueError, match="masked array, and masks are not heeded"):
                estimator.fit(*given)
        with pytest.raises(ValueError, match="sample_weight is a masked array"):
            estimator.fit(X, y, np.ma.masked_less(y + 1.0, 2))
        estimator.fit(X, y)
        with pytest.raises(ValueError, match="X is a masked array"):
            estimator.predict(np.ma.masked_less(X, 0))
        pandas = pytest.importorskip("pandas", reason="the library whose tables are read")
        with pytest.raises(ValueError, match="NaN"):
            estimator.fit(pandas.DataFrame(X).mask(X < 0), y)
