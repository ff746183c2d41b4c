"""Snapshots on a disk: a memory-mapped file without a name, so that nothing stays behind."""

import itertools
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterable
from pathlib import Path
from typing import IO, ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Medium, OptionError, SnapshotLayout, Snapshots, Vector, hookimpl, human_bytes

GROWTH = 64  # slots by which a file without a known end grows
ALIGNMENT = 64  # bytes; small states share a page, of which there would be one for every step otherwise


@attrs.frozen(kw_only=True)
class Disk(Medium):
    """Keep snapshots in a file in the folder `path`, which must exist; it takes no RAM that is counted.

    The file is made at its full size before the run begins, so that a full disk is found out then, and its name is
    taken away at once: the system frees it when the process ends, however it ends. Writing waits for nobody (the system
    writes pages behind), and while one snapshot is in use the one saved before it is fetched.
    """

    name: ClassVar[str] = "disk"
    path: str = attrs.field(metadata={"help": "an existing folder on the disk to use"})

    @path.validator
    def _can_be_written_down(self, _: object, path: str) -> None:
        if not path or "," in path or ";" in path:
            raise ValueError(f"'path' must name a folder, with no ',' or ';' in its name: {path!r}")

    def ram_bytes(self, state_bytes: int) -> int:
        """None: the pages of the file are the system's, and it takes them back when it needs memory."""
        return 0

    def open(self, layout: SnapshotLayout) -> Snapshots:
        """Make the file; raises `OptionError` where the folder is missing or has no room."""
        return _File(Path(self.path), layout)


class _File:
    """Slots of one size in a nameless file. `places` tells which slot is where, in the order of saving."""

    def __init__(self, folder: Path, layout: SnapshotLayout) -> None:
        self._folder = folder
        self._size = -(-layout.state_bytes // ALIGNMENT) * ALIGNMENT
        self._bytes = layout.state_bytes
        self._places: dict[int, int] = {}
        self._free: list[int] = []
        self._file: IO[bytes] = self._make()
        weakref.finalize(self, self._file.close)
        self._map: mmap.mmap | None = None
        self._room = 0
        self._grow(max(1, layout.slots or GROWTH))

    def _make(self) -> IO[bytes]:
        try:
            return tempfile.TemporaryFile(dir=self._folder, prefix="rnnframe-")
        except OSError as error:
            raise OptionError(
                f"medium 'disk': no file can be made in path={str(self._folder)!r}: {error.strerror}"
            ) from None

    def _grow(self, slots: int) -> None:
        """Make the file larger by so many slots, all of them allocated."""
        start, stop = self._room * self._size, (self._room + slots) * self._size
        try:
            _allocate(self._file.fileno(), start, stop)
            self._map = None  # free the old mapping first
            self._map = mmap.mmap(self._file.fileno(), stop)
        except OSError as error:
            raise OptionError(
                f"medium 'disk': no room for {human_bytes(stop)} in path={str(self._folder)!r}: {error.strerror}; "
                "give another folder, more slots in RAM, or a larger budget (longer segments need fewer states)"
            ) from None
        self._free[:0] = range(self._room + slots - 1, self._room - 1, -1)
        self._room += slots

    @property
    def nbytes(self) -> int:
        """Bytes of RAM: none."""
        return 0

    def save(self, slot: int, state: Vector) -> None:
        """Copy the state into pages of the file."""
        if not self._free:
            self._grow(GROWTH)
        self._places[slot] = self._free.pop()
        self._view(self._places[slot])[:] = state.flat.view(np.uint8)

    def load(self, slot: int, state: Vector) -> None:
        """Copy the state back, and let the system fetch the one that was saved before it."""
        place = self._places[slot]
        state.flat.view(np.uint8)[:] = self._view(place)
        newest = itertools.islice(reversed(self._places), 2)  # in the order of saving
        for other in [other for other in newest if other != slot][:1]:
            self._fetch(self._places[other])

    def drop(self, slot: int) -> None:
        """Free the slot."""
        self._free.append(self._places.pop(slot))

    def clear(self) -> None:
        """Free every slot, also a place that an interrupt has taken from both lists."""
        self._places = {}
        self._free = list(range(self._room - 1, -1, -1))

    def _view(self, place: int) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
        assert self._map is not None
        return np.frombuffer(self._map, np.uint8, self._bytes, place * self._size)

    def _fetch(self, place: int) -> None:
        if self._map is not None and hasattr(mmap, "MADV_WILLNEED"):
            skipped = place * self._size % mmap.PAGESIZE
            self._map.madvise(mmap.MADV_WILLNEED, place * self._size - skipped, self._size + skipped)


def _allocate(file: int, start: int, stop: int) -> None:
    """Make the bytes [start, stop) of a file really there; raises `OSError` where the disk is full."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, start, stop - start)
        return
    os.lseek(file, start, os.SEEK_SET)
    zeros = bytes(1 << 20)
    while start < stop:
        start += os.write(file, zeros[: stop - start])


@hookimpl
def rnnframe_media() -> Iterable[type[Medium]]:
    """Provide disk."""
    return [Disk]
