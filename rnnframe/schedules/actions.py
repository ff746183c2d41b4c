"""The seven actions: a strategy is a stream of them over chunks of time, with no arrays in it.

A schedule is a generator of actions. The same generator is simulated (`rnnframe.simulate`), drawn, proved valid by
property tests, and executed (`rnnframe.engine.loop`). Positions are chunk numbers; the `Grid` defines the steps of each
chunk. Ranges are half open, and a `Reverse` runs from `stop` down to `start`.

>>> def full_history(chunks):
...     yield Forward(0, chunks, keep=True)
...     yield Reverse(chunks, 0)
"""

from collections.abc import Generator
from typing import TypeAlias

import attrs


@attrs.frozen
class Forward:
    """Run the cells over the chunks [start, stop).

    The answer to this action is the chunk that was reached: less than `stop` if a source of unknown length ended.

    Parameters
    ----------
    start
        The first chunk: the one after the current state.
    stop
        The chunk to stop before; None runs until the source ends.
    keep
        Whether the tapes enter the ring.
    """

    start: int
    stop: int | None
    keep: bool = attrs.field(kw_only=True)


@attrs.frozen
class Reverse:
    """Reverse the chunks [start, stop) with their tapes, the last one first, and add to the gradients.

    dL/dstate continues from the previous `Reverse` if this one begins exactly at the chunk where that one ended.
    Otherwise it begins with zero.

    Parameters
    ----------
    stop
        The chunk after the first one that is reversed.
    start
        The last chunk that is reversed.
    losses_from
        Only the losses of this chunk and later ones count, so that overlapping windows count each loss once. By default
        all count.
    keep
        Whether the tapes stay in the ring.
    """

    stop: int
    start: int
    losses_from: int = attrs.field(default=0, kw_only=True)
    keep: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class Forget:
    """Release the tapes of old chunks.

    Parameters
    ----------
    before
        The tapes of all chunks before this one are released.
    """

    before: int


@attrs.frozen
class Save:
    """Save the current state as a snapshot.

    Parameters
    ----------
    slot
        The number of an empty slot.
    far
        Whether the snapshot is kept in the store's medium instead of in RAM.
    """

    slot: int
    far: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class Load:
    """Make a snapshot the current state; it stays in its slot.

    Parameters
    ----------
    slot
        The number of the slot. None needs no snapshot: it takes the state after the newest tape in the ring, which
        holds it.
    """

    slot: int | None


@attrs.frozen
class Drop:
    """Free a slot.

    Parameters
    ----------
    slot
        The number of a slot that holds a snapshot.
    """

    slot: int


@attrs.frozen
class Update:
    """Offer the accumulated gradients to the optimizer, and set them to zero if it takes them."""


Action: TypeAlias = Forward | Reverse | Forget | Save | Load | Drop | Update
"""Any of the seven actions."""

Schedule: TypeAlias = Generator[Action, int | None, None]
"""A generator of actions; a `Forward` is answered with the chunk that it reached, any other with None."""
