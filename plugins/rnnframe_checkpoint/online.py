"""Where to put checkpoints while a sequence comes whose end is not known in advance, in chunk numbers.

Stumm & Walther (2010), "New algorithms for optimal online checkpointing", SIAM J. Sci. Comput. 32(2), and Wang, Moin &
Iaccarino (2009), "Minimal repetition dynamic checkpointing algorithm for unsteady adjoint calculation", SIAM J. Sci.
Comput. 31(4), move snapshots along as the sequence comes. So does this policy, but it weighs the places by what they
cost rather than by levels, which recomputes less.

c snapshots that cut n chunks into segments of l_1, ..., l_c make n runs on the way out, n that keep a tape, and
Σ E(l_i, c + 1 - i)  on the way back (E as in `policies`): segment i is reversed with all slots that are free by then.
No schedule needs fewer than  n + E(n + 1, c)  in all: the end shows only where the next chunk is asked for and does not
come, so that with a last chunk more, run once, there is a schedule for n + 1 chunks of known number. For n up to
(c + 1)(c + 2)/2 - 1 this policy needs at most one run more.
"""

from functools import lru_cache
from itertools import accumulate, pairwise
from math import comb

from rnnframe.plugin import Drop, Forward, Load, Save, Schedule
from rnnframe_checkpoint.policies import Snapshot, nested, repetitions


def online(chunks: int | None, slots: int) -> Schedule:
    """Go to the end, wherever it is (`chunks` is only where to stop), and hold the states that then cost least."""
    held: list[Snapshot] = []
    end = 0
    while end != chunks:
        if len(held) < slots:
            held.append(Snapshot(end, slot=len(held)))
            yield Save(held[-1].slot)
        elif (place := least_needed([*(snapshot.chunk for snapshot in held), end])) < slots:
            slot = held.pop(place).slot
            held.append(Snapshot(end, slot))
            yield Drop(slot)
            yield Save(slot)
        reached = yield Forward(end, end + 1, keep=False)
        if reached == end:
            break
        end += 1
    free = list(range(len(held), min(slots, end)))
    if held and held[-1].chunk == end:  # saved for a chunk that did not come
        free.append(held.pop().slot)
        yield Drop(free[-1])
    if held:
        yield Load(held[-1].slot)
        yield from nested(held, free, end)


def least_needed(starts: list[int]) -> int:
    """Return the place of the start, not the first, without which the others cost least if one more chunk comes.

    There is one more start than there are slots, and the last one is the chunk that comes. Of equal ones the first.
    """
    slots = len(starts) - 1
    length = [stop - start for start, stop in pairwise([*starts, starts[-1] + 1])]
    before = list(accumulate((recomputed(length[j], slots - j) for j in range(slots)), initial=0))
    after = list(accumulate((recomputed(length[j], slots + 1 - j) for j in range(slots, 0, -1)), initial=0))[::-1]
    costs = [
        before[i - 1] + recomputed(length[i - 1] + length[i], slots + 1 - i) + after[i] for i in range(1, slots + 1)
    ]
    return 1 + costs.index(min(costs))


@lru_cache(maxsize=2**14)
def recomputed(chunks: int, slots: int) -> int:
    """Return E(n, s): the fewest runs without a tape that reverse n chunks with s slots, their start in one."""
    t = repetitions(chunks, slots)
    return t * chunks - (comb(slots + t, t - 1) if t else 0)
