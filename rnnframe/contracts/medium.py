"""`Medium`: where snapshots are kept that a store saves `far` away: on a disk, compressed, or elsewhere."""

import abc
from collections.abc import Callable
from typing import ClassVar, Protocol

import attrs

from rnnframe.arrays import Vector


@attrs.frozen(kw_only=True)
class SnapshotLayout:
    """What a medium must hold.

    Parameters
    ----------
    slots : int or None
        The most states at once; None where no bound is known.
    state_bytes : int
        Bytes of a state.
    new_state : function () -> Vector
        Makes a state, for a medium that needs buffers.
    """

    slots: int | None
    state_bytes: int
    new_state: Callable[[], Vector]


class Snapshots(Protocol):
    """An open medium. Slots are numbers of the schedule's choice; one that was dropped may be saved again.

    A state is saved and loaded as its flat vector, `state.flat`, all of it.
    """

    @property
    def nbytes(self) -> int:
        """Bytes of RAM held."""
        ...

    def save(self, slot: int, state: Vector) -> None:
        """Keep a copy of the state."""
        ...

    def load(self, slot: int, state: Vector) -> None:
        """Overwrite `state` with the copy in `slot`."""
        ...

    def drop(self, slot: int) -> None:
        """Free the slot."""
        ...

    def clear(self) -> None:
        """Free every slot."""
        ...


@attrs.frozen(kw_only=True)
class Medium(abc.ABC):
    """A place for snapshots. Class, options and name are one, as for cells and stores."""

    name: ClassVar[str]
    exact: ClassVar[bool] = True
    """Whether a state comes back bit for bit."""

    @abc.abstractmethod
    def ram_bytes(self, state_bytes: int) -> int:
        """Return the bytes of RAM that a snapshot takes at most; 0 where it takes none."""

    @abc.abstractmethod
    def open(self, layout: SnapshotLayout) -> Snapshots:
        """Make room for snapshots.

        Parameters
        ----------
        layout : SnapshotLayout
            How many states, and how large.

        Returns
        -------
        Snapshots
            An open medium, for one thread.

        Raises
        ------
        OptionError
            Where there is no room.
        """
