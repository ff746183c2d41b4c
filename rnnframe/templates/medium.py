"""A medium for rnnframe: each snapshot in a file of its own, in a folder that is gone after the run.

Put your place in the place of this one: an open medium saves, loads and drops states by slot.
"""

import shutil
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import attrs
import numpy as np

import rnnframe as rf
from rnnframe.plugin import Medium, OptionError, SnapshotLayout, Snapshots, hookimpl


@attrs.frozen(kw_only=True)
class Example(Medium):
    """Keep snapshots in files; they take no RAM."""

    name: ClassVar[str] = "example"
    path: str | None = attrs.field(
        default=None, metadata={"help": "an existing folder; by default the system's one for temporary files"}
    )

    def ram_bytes(self, state_bytes: int) -> int:
        """None."""
        return 0

    def open(self, layout: SnapshotLayout) -> Snapshots:
        """Make a folder for the files; raises `OptionError` where none can be made."""
        try:
            return FileSnapshots(Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=self.path)))
        except OSError as error:
            raise OptionError(f"medium {self.name!r}: path={self.path}: {error.strerror}") from None


class FileSnapshots:
    """Snapshots by slot. The folder goes with this object, or with the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._slots: dict[int, Path] = {}

    @property
    def nbytes(self) -> int:
        """Bytes of RAM: none."""
        return 0

    def save(self, slot: int, state: rf.Vector) -> None:
        """Write the state to a file."""
        path = self._folder / str(slot)
        state.flat.tofile(path)
        self._slots[slot] = path

    def load(self, slot: int, state: rf.Vector) -> None:
        """Read the state back."""
        state.flat[:] = np.fromfile(self._slots[slot], state.flat.dtype)

    def drop(self, slot: int) -> None:
        """Remove the file."""
        self._slots.pop(slot).unlink()

    def clear(self) -> None:
        """Remove all files."""
        for slot in list(self._slots):
            self.drop(slot)


@hookimpl
def rnnframe_media() -> Iterable[type[Medium]]:
    """Provide the medium."""
    return [Example]
