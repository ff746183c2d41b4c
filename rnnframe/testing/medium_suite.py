"""What all checks of a medium share: opening it in a folder of its own, and comparing what comes back."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.arrays import Shapes, Vector
from rnnframe.contracts.medium import Medium, SnapshotLayout, Snapshots
from rnnframe.testing.suite import Suite
from rnnframe.testing.tables import expect_close, expect_same_bits

SHAPES = {"layer0.h": (3, 5), "layer0.c": (3, 5), "layer1.h": (3, 2)}
TITLES = "loaded", "saved"


class MediumSuite(Suite):
    """A medium and how it is tried.

    medium: the medium or its spec. tolerance: of the states that an inexact medium gives back, relative to the largest
    value. An option that names a folder is tried with a new folder in it.
    """

    kind: ClassVar[str] = "medium"
    medium: ClassVar[Medium | str]
    tolerance: ClassVar[float] = 1e-2

    @contextmanager
    def opened(
        self, slots: int | None, dtype: str, shapes: Shapes = SHAPES, *, prepared: bool = False
    ) -> Iterator[tuple[Snapshots, "partial[Vector]"]]:
        """Open the medium for so many slots; `prepared` means that a slot was used before."""
        with self.in_a_folder(self.subject) as medium:
            layout, new = layout_of(slots, dtype, shapes)
            opened = medium.open(layout)
            if prepared:  # what is imported or made at first use is not the slots'
                opened.save(0, new())
                opened.drop(0)
            yield opened, new
            del opened

    @contextmanager
    def in_a_folder(self, medium: Medium) -> Iterator[Medium]:
        """Exchange folders among the options for new ones inside, which are gone afterwards."""
        made = {name: tempfile.mkdtemp(prefix="check-", dir=folder) for name, folder in folders_of(medium).items()}
        try:
            yield attrs.evolve(medium, **made)
        finally:
            for folder in made.values():
                shutil.rmtree(folder)

    def save(self, opened: Snapshots, slot: int, state: Vector) -> None:
        """Save a state, which is not to be changed by that."""
        before = state.flat.copy()
        opened.save(slot, state)
        expect_same_bits("the state itself", state.flat, before, ("after save", "before"))

    def expect(self, opened: Snapshots, slot: int, wanted: Vector, into: Vector) -> None:
        """Load a state, and fail where it is not the one wanted."""
        into.flat.fill(np.nan)
        opened.load(slot, into)
        self.compare(into, wanted)

    def compare(self, found: Vector, wanted: Vector) -> None:
        """Fail where a state is not another one, bit for bit or within `tolerance`."""
        for name, value in wanted.items():
            if self.subject.exact:
                expect_same_bits(f"state {name}", found[name], value, TITLES)
            else:
                expect_close(f"state {name}", found[name], value, self.tolerance, TITLES)


def folders_of(medium: Medium) -> dict[str, str]:
    """Return the options that name an existing folder."""
    values: dict[str, Any] = {field.name: getattr(medium, field.name) for field in attrs.fields(type(medium))}
    return {name: str(v) for name, v in values.items() if isinstance(v, str | os.PathLike) and os.path.isdir(v)}


def layout_of(slots: int | None, dtype: str, shapes: Shapes) -> tuple[SnapshotLayout, "partial[Vector]"]:
    """Return a layout, and what makes a state of its size."""
    new = partial(Vector.zeros, shapes, np.dtype(dtype))
    return SnapshotLayout(slots=slots, state_bytes=new().nbytes, new_state=new), new


def filled(state: Vector, seed: int) -> Vector:
    """Fill a state with random values."""
    state.flat[:] = np.random.default_rng(seed).normal(size=state.flat.shape)
    return state
