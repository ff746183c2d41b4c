"""Where to put checkpoints: schedules over n chunks, in chunk numbers. (`mixed` has a module of its own.)

uniform   Chen et al. (2016), "Training deep nets with sublinear memory cost", arXiv 1604.06174. s snapshots make s + 1
          segments; each but the last is run twice. Memory: s states and the tapes of one segment.
revolve   Griewank & Walther (2000), "Algorithm 799: revolve", ACM TOMS 26(1). Nested to any depth: with s snapshots
          and the tape of one chunk, the fewest forward runs that reverse n chunks. Beyond the n runs that keep
          a tape these are  t·n - C(s + t, t - 1)  with t the smallest for which C(s + t, t) >= n.
tiered    A snapshot far away every `period` chunks, each such part reversed within the RAM there is (by mixed), as the
          periodic disk schedules of Herrmann & Pallez (2020), "H-Revolve", ACM TOMS 46(2).
"""

from collections.abc import Callable
from math import comb

import attrs

from rnnframe.plugin import Drop, Forward, Load, Reverse, Save, Schedule


def uniform(chunks: int, slots: int) -> Schedule:
    """Cut into slots + 1 segments of equal length, but for rounding."""
    segments = min(chunks, slots + 1)
    return segmented([chunks * n // segments for n in range(segments + 1)])


def filled(chunks: int, length: int) -> Schedule:
    """Cut into segments of `length` chunks, counted from the end: only the first, which is run twice, is shorter."""
    return segmented([0, *range(chunks % length or length, chunks + 1, length)])


def segmented(cuts: list[int]) -> Schedule:
    """Save the start of every segment but the last; then, from the last to the first, run it again and reverse it."""
    last = len(cuts) - 2
    for n in range(last):
        yield Save(n)
        yield Forward(cuts[n], cuts[n + 1], keep=False)
    for n in reversed(range(last + 1)):
        if n < last:
            yield Load(n)
            yield Drop(n)
        yield Forward(cuts[n], cuts[n + 1], keep=True)
        yield Reverse(cuts[n + 1], cuts[n])


@attrs.frozen
class Snapshot:
    """A saved state: the chunk before which it was taken, and its slot."""

    chunk: int
    slot: int


def revolve(chunks: int, slots: int) -> Schedule:
    """Save the start; from there go back chunk by chunk from the end."""
    yield Save(0)
    yield from nested([Snapshot(0, slot=0)], list(reversed(range(1, min(slots, chunks)))), chunks)


def nested(held: list[Snapshot], free: list[int], chunks: int) -> Schedule:
    """Reverse chunk by chunk from the end, each from the nearest snapshot before it, on the way to which new ones are
    set where they save most.

    `held` are the snapshots there are, the newest last, which is also the current state; `free` the slots without one.
    Both lists are used up.
    """
    for last in range(chunks - 1, -1, -1):
        at = held[-1].chunk
        while at < last and free:
            ahead = best_advance(last + 1 - at, len(free) + 1)
            yield Forward(at, at + ahead, keep=False)
            at += ahead
            held.append(Snapshot(at, free.pop()))
            yield Save(held[-1].slot)
        if at < last:
            yield Forward(at, last, keep=False)
        yield Forward(last, last + 1, keep=True)
        yield Reverse(last + 1, last)
        if held[-1].chunk == last:
            free.append(held.pop().slot)
            yield Drop(free[-1])
        if held:
            yield Load(held[-1].slot)


def tiered(chunks: int, period: int, part: Callable[[int, int], Schedule]) -> Schedule:
    """Save far away every `period` chunks, counted from the end; reverse `part(start, stop)` by part from the last."""
    cuts = [0, *range(chunks % period or period, chunks + 1, period)]
    last = len(cuts) - 2
    for n in range(last):
        yield Save(n - last, far=True)  # numbers below zero: those from zero on are the parts'
        yield Forward(cuts[n], cuts[n + 1], keep=False)
    for n in reversed(range(last + 1)):
        if n < last:
            yield Load(n - last)
            yield Drop(n - last)
        yield from part(cuts[n], cuts[n + 1])


def best_advance(chunks: int, slots: int) -> int:
    """Return how far to run before the next snapshot, to reverse `chunks` with `slots`, the one at the start included.

    With r repetitions of any chunk, s slots reverse at most C(s + r, s) of them. Any advance that leaves both parts
    within their reach is optimal (Griewank & Walther, theorem 1); this is the shortest.
    """
    t = repetitions(chunks, slots)
    fewest = comb(slots + t - 2, slots) if t > 1 else 0
    return max(1, fewest, chunks - comb(slots - 1 + t, slots - 1))


def repetitions(chunks: int, slots: int) -> int:
    """Return the smallest t with C(slots + t, t) >= chunks: how often a chunk is run before its tape is made."""
    t, reach = 0, 1
    while reach < chunks:
        t += 1
        reach = reach * (slots + t) // t
    return t
