"""Arrays between guard zones: who writes beside them, or puts others in their place, is found out."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnnframe.arrays import Array, Shapes, aligned_empty
from rnnframe.testing.suite import fail

ZONE = 32  # items before and after each array


class Guarded(Mapping[str, Array]):
    """Arrays by name, filled with NaN, each between two zones of NaN.

    `handed()` returns the dict that a plugin is given; `verify` fails where the plugin exchanged an array or wrote
    outside of one. What is read from a zone shows as NaN in the results.
    """

    def __init__(self, what: str, shapes: Shapes, dtype: np.dtype[Any]) -> None:
        self._what = what
        self._zones: list[tuple[str, Array]] = []
        self._arrays: dict[str, Array] = {}
        for name, shape in shapes.items():
            size = math.prod(shape)
            whole = aligned_empty(size + 2 * ZONE, dtype)
            whole.fill(np.nan)
            self._zones += [(name, whole[:ZONE]), (name, whole[ZONE + size :])]
            self._arrays[name] = whole[ZONE : ZONE + size].reshape(shape)
        self._intact = np.full(ZONE, np.nan, dtype).tobytes()
        self._handed: list[dict[str, Array]] = []

    def __getitem__(self, name: str) -> Array:
        return self._arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._arrays)

    def __len__(self) -> int:
        return len(self._arrays)

    def handed(self) -> dict[str, Array]:
        """Return a dict of the arrays, which `verify` looks at later."""
        self._handed.append(dict(self._arrays))
        return self._handed[-1]

    def fill(self, value: float) -> None:
        """Fill every array, but not the zones."""
        for array in self._arrays.values():
            array.fill(value)

    def contents(self) -> dict[str, Array]:
        """Return copies of the arrays."""
        return {name: array.copy() for name, array in self._arrays.items()}

    def verify(self, who: str) -> None:
        """Fail where `who` put another array in the place of one of these, or wrote beside one."""
        for handed in self._handed:
            for name, array in handed.items():
                if self._arrays.get(name) is not array:
                    fail(
                        f"{who} put another array in the place of {self._what}[{name!r}] ({_kind(array)}); "
                        f"write into the one that is there: {self._what}[{name!r}][...] = ..."
                    )
        for name, zone in self._zones:
            if zone.tobytes() != self._intact:
                fail(f"{who} writes beside {self._what}[{name!r}], which has the shape {list(self[name].shape)}")


def _kind(array: object) -> str:
    return f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else type(array).__name__
