"""What a strategy is: a stream of plain actions over chunks of time, with no arrays in it.

A schedule is a generator of the seven actions below. The same generator is simulated (`rnnframe.simulate`), drawn,
proved valid by property tests, and executed (`rnnframe.engine`). Positions are chunk numbers: the `Grid` says
which steps a chunk covers. Ranges are half open; a `Reverse` runs from `stop` down to `start`.

>>> def full_history(chunks):
...     yield Forward(0, chunks, keep=True)
...     yield Reverse(chunks, 0)
"""

from collections.abc import Generator
from typing import TypeAlias

import attrs


@attrs.frozen
class Forward:
    """Run the cells over the chunks [start, stop); `keep` says whether their tapes enter the ring.

    The executor answers with the chunk it reached: less than `stop` where a source of unknown length ended.
    `stop=None` means until the source ends.
    """

    start: int
    stop: int | None
    keep: bool = attrs.field(kw_only=True)


@attrs.frozen
class Reverse:
    """Reverse the chunks [start, stop) with their tapes, last one first, adding into the gradients.

    Only chunks from `losses_from` on inject their loss, so that overlapping windows count each loss once (default:
    all). The tapes leave the ring unless `keep`. dL/dstate goes on from the last `Reverse` where this one begins
    exactly at the chunk where that one ended; it begins with zero anywhere else.
    """

    stop: int
    start: int
    losses_from: int = attrs.field(default=0, kw_only=True)
    keep: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class Forget:
    """Release the tapes of all chunks before `before`."""

    before: int


@attrs.frozen
class Save:
    """Snapshot the current state into `slot`: in RAM, or `far` away, in the store's medium."""

    slot: int
    far: bool = attrs.field(default=False, kw_only=True)


@attrs.frozen
class Load:
    """Make the snapshot in `slot` the current state; it stays in its slot.

    `Load(None)` needs no snapshot: it takes the state after the newest tape in the ring, which holds it.
    """

    slot: int | None


@attrs.frozen
class Drop:
    """Free `slot`."""

    slot: int


@attrs.frozen
class Update:
    """Offer the accumulated gradients to the optimizer, and begin new ones if it takes them."""


Action: TypeAlias = Forward | Reverse | Forget | Save | Load | Drop | Update
"""Any of the seven actions."""

Schedule: TypeAlias = Generator[Action, int | None, None]
"""A generator of actions; a `Forward` is answered with the chunk that it reached, any other with None."""
