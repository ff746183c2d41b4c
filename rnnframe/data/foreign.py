"""Arrays and tables of other libraries as numpy arrays: by the protocols Arrow and DLPack, or as numpy reads them.

Anything that can be sliced along time and has a shape and a dtype of numpy stays as it is. Values that are missing or
masked are refused: nothing is read as a number that is none.
"""

from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np

from rnnframe.arrays import Array
from rnnframe.errors import DataError

_MASKS = "and masks are not heeded; fill it or cut out what is masked, or give weights of 0 there"
_CPU = 1  # kDLCPU of DLPack: DLDeviceType


def is_stream(x: Any) -> bool:
    """Whether x is an iterator of blocks, read once and in order; a table that can be read once is none."""
    if hasattr(x, "__arrow_c_stream__"):
        return False
    return isinstance(x, Iterator) or (isinstance(x, Iterable) and not hasattr(x, "__getitem__"))


def as_array(value: Any, what: str) -> Any:
    """Return an array of the values of `value`, without a copy where that is possible.

    Parameters
    ----------
    value : object
        An array of numpy, a nested list, a table or column (`__arrow_c_stream__`: pandas, polars, pyarrow and others),
        or a tensor in main memory (`__dlpack__`: torch, jax and others). What is none of them, and has a shape and a
        dtype of numpy, such as a data set in a file, is returned as it is.
    what : str
        What to call it in a message.

    Raises
    ------
    DataError
        For masked and missing values, tensors on another device or with a gradient, and columns that hold no numbers.
    """
    if isinstance(value, np.ma.MaskedArray):
        raise DataError(f"{what} is a masked array, {_MASKS}")
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__arrow_c_stream__") and (find_spec("pyarrow") or not hasattr(value, "__array__")):
        return _table(value, what)
    if hasattr(value, "__dlpack__") and hasattr(value, "__dlpack_device__"):
        return _tensor(value, what)
    if hasattr(value, "shape") and isinstance(getattr(value, "dtype", None), np.dtype):
        return value
    return _read(value, what)


def _read(value: Any, what: str) -> Array:
    """Return what numpy makes of anything else."""
    if _has_masks(value):
        raise DataError(f"{what} is a {type(value).__name__} of masked arrays, {_MASKS}")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise DataError(f"{what} is no rectangular array: {error}") from None
    except (TypeError, RuntimeError) as error:  # such as what has no values in main memory
        raise _unreadable(value, what, error) from None


def _tensor(value: Any, what: str) -> Array:
    """Return a view of a tensor in main memory."""
    try:
        device, _ = value.__dlpack_device__()
        if device == _CPU:
            return np.from_dlpack(value)
    except (BufferError, TypeError, ValueError, RuntimeError) as error:
        raise _unreadable(value, what, error) from None
    raise DataError(
        f"{what} is a {type(value).__name__} on the device {getattr(value, 'device', device)}; expected one in main "
        "memory: copy it to the CPU first"
    )


def _unreadable(value: Any, what: str, error: Exception) -> DataError:
    line = str(error).partition("\n")[0]
    return DataError(f"{what} is a {type(value).__name__} that is no array in main memory: {line}")


def _has_masks(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_masks, value))
    return isinstance(value, np.ma.MaskedArray)


def _table(value: Any, what: str) -> Array:
    """Return a table as [rows, columns] and a column as [rows]; the index of pandas is no column of its table."""
    try:
        import pyarrow as pa
    except ImportError:
        raise DataError(
            f"{what} is a {type(value).__name__}, which is read with pyarrow, and that is not installed; "
            "run: pip install pyarrow"
        ) from None
    try:
        try:
            table = pa.RecordBatchReader.from_stream(value).read_all()
        except pa.ArrowInvalid:  # no table, but a column
            return _column(pa.chunked_array(value), what)
    except DataError:
        raise
    except (pa.ArrowException, TypeError, ValueError) as error:  # such as two columns of one name
        raise _unreadable(value, what, error) from None
    index = (table.schema.pandas_metadata or {}).get("index_columns", ())
    named = [(table.column(n), name) for n, name in enumerate(table.column_names) if name not in index]
    if not named:
        raise DataError(f"{what} is a {type(value).__name__} without a column; expected columns of numbers")
    return np.stack([_column(column, f"{what}'s column {name!r}") for column, name in named], axis=1)


def _column(column: Any, what: str) -> Array:
    """Return the numbers of a column; none may be missing."""
    from pyarrow import types

    kind = column.type
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise DataError(f"{what} holds {kind}; expected numbers or booleans")
    if column.null_count:
        raise DataError(
            f"{what} has {column.null_count} missing value{'s' if column.null_count > 1 else ''}; fill or cut out what "
            "is missing, or give weights of 0 there"
        )
    values: Array = column.to_numpy()
    return values
