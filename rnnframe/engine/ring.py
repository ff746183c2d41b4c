"""The ring of tapes: those of the chunks that wait to be reversed, in the order of the chunks."""

from collections import deque
from collections.abc import Callable

import attrs

from rnnframe.contracts.model import ChunkTape, ModelWeights
from rnnframe.data.pieces import Block
from rnnframe.schedules.slots import SlotAllocator


@attrs.define(weakref_slot=False)  # there may be one for every step
class TapedChunk:
    """A chunk in the ring: what is retained of its block, its tape and its slot, the weights that made it."""

    chunk: int
    block: Block
    slot: int
    tape: ChunkTape
    weights: ModelWeights


class Ring:
    """Tapes in buffers that `make(slot)` makes.

    Tapes are made at the right; they are released at the right (exact strategies) or at the left (windows).

    Parameters
    ----------
    make : function (slot) -> ChunkTape
        Makes a tape.
    passing : function () -> ChunkTape or None
        Returns a tape for a chunk that is not reversed; None where any free one serves.
    reuses : bool
        Whether a released tape is used again; otherwise its memory is freed at once.
    """

    def __init__(
        self, make: Callable[[int], ChunkTape], passing: Callable[[], ChunkTape | None], *, reuses: bool
    ) -> None:
        self._make, self._passing, self._reuses = make, passing, reuses
        self._tapes: list[ChunkTape | None] = []
        self._slots = SlotAllocator()
        self._taped: deque[TapedChunk] = deque()

    @property
    def buffers(self) -> int:
        """The number of tapes that were ever made."""
        return len(self._tapes)

    @property
    def extra_bytes(self) -> int:
        """Bytes that tapes took beside their buffers."""
        return sum(tape.extra_bytes for tape in self._tapes if tape is not None)

    def tape(self, chunk: int, block: Block, weights: ModelWeights, *, keep: bool) -> ChunkTape:
        """Return a tape for a chunk: one that is kept with it, or one that is free for the moment."""
        return self.push(chunk, block.retained_part(), weights) if keep else self.spare()

    def spare(self) -> ChunkTape:
        """Return a tape that is free for the moment: what is written there is overwritten by the next chunk."""
        passing = self._passing()
        return self._tape(self._slots.next()) if passing is None else passing

    def push(self, chunk: int, block: Block, weights: ModelWeights) -> ChunkTape:
        """Take a tape for `chunk` at the right end of the ring."""
        slot = self._slots.take()
        tape = self._tape(slot)
        self._taped.append(TapedChunk(chunk, block, slot, tape, weights))
        return tape

    def from_right(self, depth: int) -> TapedChunk:
        """Return the chunk that is `depth` chunks from the right end, where the newest is at 0."""
        return self._taped[-1 - depth]

    def pop(self) -> None:
        """Release the newest tape."""
        self._give(self._taped.pop().slot)

    def forget(self, before: int) -> list[int]:
        """Release the tapes of all chunks before `before`, and return these chunks."""
        forgotten = []
        while self._taped and self._taped[0].chunk < before:
            taped = self._taped.popleft()
            self._give(taped.slot)
            forgotten.append(taped.chunk)
        return forgotten

    def clear(self) -> None:
        """Release every tape, whatever a run that was interrupted has left, and what it took beside its buffer."""
        self._taped.clear()
        self._slots = SlotAllocator()
        if not self._reuses or self.extra_bytes:
            self._tapes = []

    def made_with(self, weights: ModelWeights) -> list[TapedChunk]:
        """Return the chunks whose tape was made with exactly these weights."""
        return [taped for taped in self._taped if taped.weights is weights]

    def _tape(self, slot: int) -> ChunkTape:
        while len(self._tapes) <= slot:
            self._tapes.append(None)
        if (tape := self._tapes[slot]) is None:
            tape = self._tapes[slot] = self._make(slot)
        return tape

    def _give(self, slot: int) -> None:
        self._slots.give(slot)
        if not self._reuses:
            self._tapes[slot] = None
