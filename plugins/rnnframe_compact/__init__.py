"""Snapshots in fewer bytes of RAM: compressed without loss, or rounded to float16."""

from collections.abc import Callable, Iterable
from typing import ClassVar, Generic, TypeVar

import attrs
import numpy as np
from attrs.validators import ge, le

from rnnframe.plugin import Medium, OptionError, SnapshotLayout, Snapshots, Vector, hookimpl

P = TypeVar("P")

OVERHEAD = 32  # bytes that blosc2 adds at most to what it cannot compress


@attrs.frozen(kw_only=True)
class Blosc2(Medium):
    """Compress snapshots without loss (Blosc2: bytes shuffled by their place in a number, then zstd or the like).

    How far a state can be compressed is not known beforehand, so a plan counts its full size; the report tells what was
    held. Hidden states look much like noise: expect 10 to 15 % in float32.
    """

    name: ClassVar[str] = "blosc2"
    level: int = attrs.field(default=5, validator=[ge(0), le(9)], metadata={"help": "0 (fast) to 9 (small)"})

    def ram_bytes(self, state_bytes: int) -> int:
        """The whole state and a header, at worst."""
        return state_bytes + OVERHEAD

    def open(self, layout: SnapshotLayout) -> Snapshots:
        """Make a dictionary of compressed states; raises `OptionError` where blosc2 is not installed."""
        try:
            import blosc2
        except ImportError:
            raise OptionError("medium 'blosc2' needs a package: pip install \"rnnframe[compress]\"") from None

        def pack(state: Vector) -> bytes:
            packed: bytes = blosc2.compress2(
                state.flat,
                typesize=state.flat.itemsize,
                clevel=self.level,
                filters=[blosc2.Filter.BITSHUFFLE],
                nthreads=1,
            )
            return packed

        def unpack(packed: bytes, state: Vector) -> None:
            blosc2.decompress2(packed, dst=state.flat, nthreads=1)

        return _Packed(pack, unpack, len)


@attrs.frozen(kw_only=True)
class Float16(Medium):
    """Round snapshots to float16: half the bytes of float32, and not exact, as reports then say.

    What is recomputed begins at the rounded state, so gradients are off by some 1e-3 relative.
    """

    name: ClassVar[str] = "float16"
    exact: ClassVar[bool] = False

    def ram_bytes(self, state_bytes: int) -> int:
        """Half of the state; a quarter of one in float64 is less."""
        return -(-state_bytes // 2)

    def open(self, layout: SnapshotLayout) -> Snapshots:
        """Make a dictionary of rounded states."""

        def unpack(packed: "np.ndarray[tuple[int], np.dtype[np.float16]]", state: Vector) -> None:
            state.flat[:] = packed

        return _Packed(lambda state: state.flat.astype(np.float16), unpack, lambda packed: packed.nbytes)


class _Packed(Generic[P]):
    """States by slot, each packed into an object of its own; `size` tells the bytes of one."""

    def __init__(
        self, pack: Callable[[Vector], P], unpack: Callable[[P, Vector], None], size: Callable[[P], int]
    ) -> None:
        self._pack, self._unpack, self._size = pack, unpack, size
        self._held: dict[int, P] = {}
        self._now = self._most = 0

    @property
    def nbytes(self) -> int:
        """The most bytes that the packed states had together."""
        return self._most

    def save(self, slot: int, state: Vector) -> None:
        """Pack the state."""
        self._held[slot] = self._pack(state)
        self._now += self._size(self._held[slot])
        self._most = max(self._most, self._now)

    def load(self, slot: int, state: Vector) -> None:
        """Unpack into the state."""
        self._unpack(self._held[slot], state)

    def drop(self, slot: int) -> None:
        """Forget the packed state."""
        self._now -= self._size(self._held.pop(slot))

    def clear(self) -> None:
        """Forget all of them."""
        self._held.clear()
        self._now = self._most = 0


@hookimpl
def rnnframe_media() -> Iterable[type[Medium]]:
    """Provide blosc2 and float16."""
    return [Blosc2, Float16]
