"""Named arrays that live in ONE flat vector: parameters, gradients, optimizer slots, states, tapes.

Updating, clipping, copying, saving and comparing are then single vector operations, whatever the names inside.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Self, TypeAlias

import numpy as np

from rnnframe.sizes import human_bytes

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""A numpy array of any shape and dtype."""
Arrays: TypeAlias = Mapping[str, Array]
"""Arrays by name."""
Shapes: TypeAlias = Mapping[str, tuple[int, ...]]
"""Shapes by name."""

ALIGNMENT = 64
"""Bytes: one cache line, one AVX-512 register; equal alignment also makes runs comparable bit for bit."""


def aligned_empty(size: int, dtype: np.dtype[Any]) -> Array:
    """Return an uninitialised vector of `size` items that begins on a 64-byte boundary."""
    nbytes = size * dtype.itemsize + ALIGNMENT
    try:
        raw = np.empty(nbytes, np.uint8)
    except ValueError:  # more than can be addressed
        raise MemoryError(f"Unable to allocate {human_bytes(nbytes)}") from None
    skip = -raw.ctypes.data % ALIGNMENT
    return raw[skip : skip + size * dtype.itemsize].view(dtype)


class Vector(Mapping[str, Array]):
    """A flat vector with named views, in the order of `shapes`.

    `flat` is contiguous, and new unless one is given to be shared; `vector["layer0.W"]` is a view into it. Dots in a
    name make groups: `vector.group("layer0")` maps the rest of the name to the view. Views are made when one is first
    asked for: of thousands of snapshots only the flat vectors are ever used.
    """

    __slots__ = ("_flat", "_groups", "_made", "shapes")

    def __init__(self, shapes: Shapes, dtype: np.dtype[Any], flat: Array | None = None) -> None:
        self.shapes = shapes
        size = size_of(shapes)
        self._flat = aligned_empty(size, dtype) if flat is None else flat[:size]
        self._made: dict[str, Array] | None = None
        self._groups: dict[str, dict[str, Array]] | None = None

    @property
    def _views(self) -> dict[str, Array]:
        if self._made is None:
            self._made, start = {}, 0
            for name, shape in self.shapes.items():
                stop = start + math.prod(shape)
                self._made[name] = self._flat[start:stop].reshape(shape)
                start = stop
        return self._made

    @classmethod
    def zeros(cls, shapes: Shapes, dtype: np.dtype[Any]) -> Self:
        """Return a vector filled with zeros."""
        vector = cls(shapes, dtype)
        vector.zero()
        return vector

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle the flat vector alone: views that were copied one by one would be views no longer."""
        return _vector_from, (type(self), self.shapes, self.flat.copy())

    def __getitem__(self, name: str) -> Array:
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)

    def __repr__(self) -> str:
        inside = ", ".join(f"{name} {list(shape)}" for name, shape in self.shapes.items())
        return f"{type(self).__name__}({self.flat.dtype}: {inside})"

    @property
    def flat(self) -> Array:
        """The flat vector; what is assigned to it is written into it, so that the names stay views of it."""
        return self._flat

    @flat.setter
    def flat(self, values: Array) -> None:
        if values is not self._flat:  # as it is after `vector.flat *= 2`
            self._flat[:] = values

    @property
    def nbytes(self) -> int:
        """Bytes of the flat vector."""
        return int(self.flat.nbytes)

    def group(self, prefix: str) -> dict[str, Array]:
        """Return the views whose name begins with `prefix` and a dot, named by what follows."""
        if self._groups is None:
            self._groups = {}
        if prefix not in self._groups:
            head = prefix + "."
            views = self._views.items()
            self._groups[prefix] = {name[len(head) :]: view for name, view in views if name.startswith(head)}
        return self._groups[prefix]

    def zero(self) -> None:
        """Make every value zero."""
        self.flat.fill(0)

    def add(self, other: "Vector") -> None:
        """Add the values of `other`, which has the same shapes."""
        self.flat += other.flat

    def scale(self, factor: float) -> None:
        """Multiply every value by `factor`, rounded to the dtype first."""
        self.flat *= self.flat.dtype.type(factor)

    def copy_from(self, other: "Vector") -> None:
        """Overwrite every value with that of `other`, which has the same shapes."""
        self.flat[:] = other.flat

    def copy(self) -> "Vector":
        """Return an independent vector of the same names and values."""
        twin = Vector(self.shapes, self.flat.dtype)
        twin.copy_from(self)
        return twin


def _vector_from(kind: type[Vector], shapes: Shapes, flat: Array) -> Vector:
    vector = kind(shapes, flat.dtype)
    vector.flat[:] = flat
    return vector


def outside(numbers: Array, count: int) -> int | None:
    """Return one of the integers that is none of 0 to count - 1: the lowest one if it is negative, else the highest."""
    positive = min(count, int(np.iinfo(numbers.dtype).max) + 1)
    if numbers.view(numbers.dtype.str.replace("i", "u")).max() < positive:  # what is negative is above all others there
        return None
    low, high = int(numbers.min()), int(numbers.max())
    return low if low < 0 else high if high >= count else None


def size_of(shapes: Shapes) -> int:
    """Return the number of items that arrays of these shapes hold together."""
    return sum(math.prod(shape) for shape in shapes.values())


def aligned_bytes(shapes: Shapes, dtype: np.dtype[Any]) -> int:
    """Return the bytes of a vector of these shapes, rounded up so that what follows it in memory begins aligned."""
    return -(-size_of(shapes) * dtype.itemsize // ALIGNMENT) * ALIGNMENT
