"""States as the caller sees them: named arrays over the whole batch, whatever the shards."""

from collections.abc import Mapping, Sequence

import numpy as np

from rnnframe.arrays import Arrays, Vector
from rnnframe.data.columns import Columns, count_of
from rnnframe.data.foreign import as_array
from rnnframe.errors import DataError


def fill_state(target: Vector, given: Arrays | None, batch: int, columns: Columns) -> None:
    """Write some batch columns of a given state into `target`; zeros where none is given."""
    if given is None:
        target.zero()
        return
    if not isinstance(given, Mapping):
        raise DataError(f"state is a {type(given).__name__}; give arrays by name: {sorted(target)}")
    if set(given) != set(target):
        raise DataError(f"state has the arrays {sorted(given)}; this network's state has {sorted(target)}")
    for name, view in target.items():
        value = np.asarray(as_array(given[name], f"state {name!r}"))
        wanted = (batch, view.shape[1])
        if value.shape != wanted:
            raise DataError(f"state {name!r} has shape {list(value.shape)}; expected {list(wanted)}")
        if value.dtype.kind not in "fiu" or not np.isfinite(value).all():
            raise DataError(
                f"state {name!r} holds {value.dtype} with values that are no finite numbers; pass finite ones"
            )
        view[...] = value[columns]


def join_states(parts: Sequence[Vector], columns: Sequence[Columns], factor: float = 1.0) -> Vector:
    """Return a new state over the whole batch from those of the shards, scaled by `factor`."""
    if len(parts) == 1 and isinstance(columns[0], slice) and factor == 1.0:
        return parts[0].copy()
    batch = sum(count_of(where) for where in columns)
    shapes = {name: (batch, width) for name, (_, width) in parts[0].shapes.items()}
    whole = Vector(shapes, parts[0].flat.dtype)
    for part, where in zip(parts, columns, strict=True):
        for name, view in part.items():
            whole[name][where] = view
    if factor != 1.0:
        whole.flat *= whole.flat.dtype.type(factor)
    return whole
