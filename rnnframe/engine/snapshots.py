"""The snapshots of a run: saved states, in RAM or in a medium."""

from collections.abc import Callable
from typing import Any

from rnnframe.contracts.medium import Snapshots
from rnnframe.contracts.model import Values
from rnnframe.registry.blame import BlameNote
from rnnframe.schedules.slots import SlotAllocator


class SnapshotSlots:
    """The slots of a schedule: those in RAM in states that `make(place)` makes, the others in a medium.

    `note(slot)` says whose medium was at work when one fails. `reuses` says whether a state that was dropped is used
    again; otherwise its memory is freed at once.
    """

    def __init__(
        self, make: Callable[[int], Values], medium: Snapshots | None, note: Callable[[int], BlameNote], *, reuses: bool
    ) -> None:
        self._make, self._medium, self._note, self._reuses = make, medium, note, reuses
        self._states: list[Any] = []
        self._places = SlotAllocator()
        self._near: dict[int, int] = {}  # slot -> place

    @property
    def buffers(self) -> int:
        """The number of states in RAM that were ever made."""
        return len(self._states)

    @property
    def far_bytes(self) -> int:
        """Bytes of RAM that the medium holds."""
        return 0 if self._medium is None else self._medium.nbytes

    def save(self, slot: int, state: Any, far: bool) -> None:
        """Copy the state."""
        if far and self._medium is not None:  # there is none for states without values
            with self._note(slot):
                self._medium.save(slot, state)
            return
        place = self._places.take()
        while len(self._states) <= place:
            self._states.append(None)
        if self._states[place] is None:
            self._states[place] = self._make(place)
        self._states[place].copy_from(state)
        self._near[slot] = place

    def load(self, slot: int, state: Any) -> None:
        """Copy what `slot` holds into the state."""
        if slot in self._near:
            state.copy_from(self._states[self._near[slot]])
        elif self._medium is not None:
            with self._note(slot):
                self._medium.load(slot, state)

    def drop(self, slot: int) -> None:
        """Free the slot."""
        if slot in self._near:
            place = self._near.pop(slot)
            self._places.give(place)
            if not self._reuses:
                self._states[place] = None
        elif self._medium is not None:
            with self._note(slot):
                self._medium.drop(slot)

    def clear(self) -> None:
        """Free every slot, whatever a run that was interrupted has left."""
        self._near.clear()
        self._places = SlotAllocator()
        if not self._reuses:
            self._states = []
        if self._medium is not None:
            self._medium.clear()
