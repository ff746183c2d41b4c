"""Arrays of other libraries as inputs: the same predictions, and one line where they cannot be read."""

import numpy as np
import pytest

import rnnframe as rf
from rnnframe.errors import DataError

ROWS = np.random.default_rng(0).integers(0, 5, (8, 2))


def predicted(x):
    return rf.Inference(rf.Network(["gru:hidden=4"], "mse:outputs=1", 5), kernels="numpy").predict(x)[0].tobytes()


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_table_of_integers_is_its_array(library: str) -> None:
    module = pytest.importorskip(library, reason="the library whose tables are read")
    columns = {"a": ROWS[:, 0], "b": ROWS[:, 1]}
    table = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    assert predicted(table) == predicted(ROWS)


def test_a_tensor_of_torch_is_its_array_and_one_with_a_gradient_is_refused() -> None:
    torch = pytest.importorskip("torch", reason="the library whose tensors are read")
    x = np.random.default_rng(1).normal(size=(6, 2, 5)).astype("float32")
    assert predicted(torch.tensor(x)) == predicted(x)
    with pytest.raises(DataError, match=r"x is a Tensor that is no array in main memory: .*detach"):
        predicted(torch.tensor(x, requires_grad=True))
