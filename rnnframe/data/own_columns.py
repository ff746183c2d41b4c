"""`OwnColumns`: some columns of a batch in place of the array of the whole batch, for a rank that reads those alone."""

from collections.abc import Sequence
from typing import Any, NoReturn

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.columns import Columns, count_of


def places_of(parts: Sequence[Columns], batch: int) -> Array:
    """Return for each sample of a batch its place among those of some parts, one after the other; -1 for others."""
    places = np.full(batch, -1, np.intp)
    first = 0
    for part in parts:
        places[part] = np.arange(first, first + count_of(part))
        first += count_of(part)
    return places


def placed(columns: Columns, places: Array) -> Columns:
    """Return at which places some columns of a batch are.

    Raises
    ------
    IndexError
        Where one of them is not there.
    """
    found = places[columns]
    if not found.size or found.min() < 0:
        raise IndexError(f"the samples {columns} are not all among the {int(places.max()) + 1} that are here")
    return slice(int(found[0]), int(found[0]) + found.size) if isinstance(columns, slice) else found


@attrs.frozen(eq=False)
class OwnColumns:
    """An array [T, B, ...] of which some columns are here: it can be sliced along time, and then by those columns.

    Parameters
    ----------
    values : Array
        [l, n, ...], the n columns that are here; l is below T where none of them is as long as the longest.
    places : Array
        Integers [B], where each sample is among them; -1 where it is not here. The samples of a slice of columns must
        stand side by side.
    steps : int
        T.
    """

    values: Array
    places: Array
    steps: int

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the whole array."""
        return (self.steps, len(self.places), *self.values.shape[2:])

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.values.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        """That of the values."""
        return self.values.dtype

    def __getitem__(self, key: Any) -> Any:
        """Return some steps; with columns behind them, an array; with (..., None), one more dimension."""
        if isinstance(key, slice):
            return OwnColumns(self.values[key], self.places, len(range(*key.indices(self.steps))))
        steps, columns = key
        if steps is ...:
            return OwnColumns(self.values[key], self.places, self.steps)
        return self.values[steps, placed(columns, self.places)]

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise TypeError(f"{self.values.shape[1]} of {len(self.places)} columns are here: slice time, then columns")
