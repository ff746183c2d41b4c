"""Snapshots in RAM, compressed without loss by zlib, which every Python has.

Numbers of like size share sign and exponent, so the bytes are sorted by their place in a number before they are
compressed, as Blosc's shuffle does.
"""

import zlib
from collections.abc import Iterable
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import ge, le

import rnnframe as rf
from rnnframe.plugin import Medium, SnapshotLayout, Snapshots, hookimpl


@attrs.frozen(kw_only=True)
class Zlib(Medium):
    """Compress snapshots without loss.

    How far that goes is not known in advance, so a plan counts their full size; the report tells what was held.
    """

    name: ClassVar[str] = "zlib"
    level: int = attrs.field(default=1, validator=[ge(1), le(9)], metadata={"help": "1 (fast) to 9 (small)"})

    def ram_bytes(self, state_bytes: int) -> int:
        """The whole state at worst: what cannot be compressed is kept as it is."""
        return state_bytes

    def open(self, layout: SnapshotLayout) -> Snapshots:
        """Make room that is empty at first."""
        return Packed(self.level)


class Packed:
    """Compressed states by slot."""

    def __init__(self, level: int) -> None:
        self._level = level
        self._held: dict[int, bytes] = {}
        self._most = 0

    @property
    def nbytes(self) -> int:
        """The most bytes that the states had together."""
        return self._most

    def save(self, slot: int, state: rf.Vector) -> None:
        """Compress the state, all first bytes of its numbers, then all second ones, ..."""
        plain = state.flat.view(np.uint8).reshape(state.flat.size, -1).T.tobytes()
        packed = zlib.compress(plain, self._level)
        self._held[slot] = packed if len(packed) < len(plain) else plain
        self._most = max(self._most, sum(map(len, self._held.values())))

    def load(self, slot: int, state: rf.Vector) -> None:
        """Put the bytes back in their places."""
        held = self._held[slot]
        plain = held if len(held) == state.nbytes else zlib.decompress(held)
        numbers = np.frombuffer(plain, np.uint8).reshape(-1, state.flat.size).T
        state.flat.view(np.uint8).reshape(numbers.shape)[...] = numbers

    def drop(self, slot: int) -> None:
        """Forget the state."""
        del self._held[slot]

    def clear(self) -> None:
        """Forget all of them."""
        self._held.clear()
        self._most = 0


@hookimpl
def rnnframe_media() -> Iterable[type[Medium]]:
    """Provide the medium."""
    return [Zlib]
