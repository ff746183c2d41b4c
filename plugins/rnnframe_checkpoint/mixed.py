"""States and tapes in one room: a schedule that decides for each chunk which of the two to keep, by their bytes.

A tape weighs `alpha` states and saves more: its chunk is not run again, and the state after it is in it. Let C(t, m) be
the fewest forward runs that reverse t chunks from a state that is kept, with room for m more:

    C(t, m) = t   where all but the last fit as tapes:  (t - 1)·alpha <= m;   otherwise the least of
        y + C(y, m) + C(t - y, m - 1)              run y chunks and keep the state there
        y + C(y - 1, m) + C(t - y, m - alpha)      run y chunks and keep the tape of the last one
        y + C(y, m) + (t - y)                      run y chunks and keep the tapes of all that follow, which fit

The first two are the recursion of Gruslys et al. (2016), "Memory-efficient backpropagation through time", arXiv
1606.03401, with bytes in place of counts. Where no tape fits it is that of revolve. `Runs` solves it exactly for few
chunks. For many it goes by the reach N_k(m), the most chunks of which none is run more than k times, and a bound:

    N_k(m) = N_(k-1)(m) + max(N_k(m - 1), 1 + N_k(m - alpha), N_1(m)),  N_1(m) = ⌊m / alpha⌋ + 1
           = C(m + k + 1, k) - 1 for alpha = 1,  else  Σ_q C(m - q·alpha + k - 1, k - 1) over q·alpha <= m
    C(t, m) >= Σ_k max(0, t - N_k(m))

The bound is attained for alpha = 1 and nearly so elsewhere; it chooses where to go on, and the exact part finishes.
"""

import enum
from collections.abc import Iterator
from functools import lru_cache, partial
from math import comb
from typing import TypeAlias

import attrs
import numpy as np

from rnnframe.plugin import Drop, Forward, Load, Reverse, Save, Schedule
from rnnframe_checkpoint.policies import best_advance

EXACT = 2**14  # values in the exact table, of two bytes
EXACT_CHUNKS = 200
FEW_TAPES, LARGE_TAPE = 3, 8  # room for few small tapes: states do as well there, and the bound is far off
REMEMBERED = 256  # decisions

Table: TypeAlias = np.ndarray[tuple[int, int], np.dtype[np.int16]]


class Keep(enum.IntEnum):
    """What is kept after a run: the state, the tape of its last chunk, or the tapes of all chunks that follow."""

    STATE = 0
    TAPE = 1
    REST = 2


Step: TypeAlias = tuple[int, Keep]
"""How many chunks to run, and what to keep then."""


@attrs.frozen
class _Point:
    """Where a run can begin again: before chunk `at`, with room for `room` states more.

    `slot` holds its state; None where the tape of the chunk before it does.
    """

    at: int
    room: int
    slot: int | None


def mixed(start: int, stop: int, room: int, alpha: int) -> Schedule:
    """Reverse the chunks [start, stop) in a room for `room` states beside one tape, from the state before `start`."""
    if (stop - start - 1) * alpha <= room:  # no state is needed
        yield Forward(start, stop, keep=True)
        yield Reverse(stop, start)
        return
    runs = runs_of(alpha, room - 1, stop - start)
    points = [_Point(start, room - 1, 0)]
    yield Save(0)
    last = stop  # the chunks from here on are reversed
    while points:
        at, room = points[-1].at, points[-1].room
        keep = Keep.STATE
        while keep is not Keep.REST:
            ahead, keep = runs.best_step(last - at, room)
            yield from _forward(at, at + ahead, keep)
            at += ahead
            if keep is Keep.STATE:
                room -= 1
                slot = sum(point.slot is not None for point in points)
                points.append(_Point(at, room, slot))
                yield Save(slot)
            elif keep is Keep.TAPE:
                room -= alpha
                points.append(_Point(at, room, None))
        yield Forward(at, last, keep=True)
        yield Reverse(last, at)
        last = at
        while points and points[-1].at == last:
            point = points.pop()
            if point.slot is None:
                yield Reverse(last, last - 1)
                last -= 1
            else:
                yield Drop(point.slot)
        if points:
            yield Load(points[-1].slot)


def _forward(start: int, stop: int, keep: Keep) -> Iterator[Forward]:
    """Run the chunks [start, stop); the tape of the last one is kept or not."""
    through = stop - (keep is Keep.TAPE)
    if start < through:
        yield Forward(start, through, keep=False)
    if through < stop:
        yield Forward(through, stop, keep=True)


class Runs:
    """How many forward runs reverse t chunks with room for m states, and which step comes first."""

    def __init__(self, alpha: int, room: int, chunks: int) -> None:
        self.alpha = alpha
        self._exact_chunks = min(chunks, EXACT_CHUNKS, EXACT // (room + 1))
        self._exact = _exact_runs(self._exact_chunks, room, alpha)
        self.best_step = lru_cache(REMEMBERED)(self._best_step)
        self._reach = lru_cache(REMEMBERED)(partial(reach, alpha))

    def fewest(self, chunks: int, room: int) -> int:
        """Return C(chunks, room), or where there are many chunks a bound of it from below."""
        if chunks <= self._exact_chunks:
            return int(self._exact[chunks, room])
        if room == 0:
            return chunks * (chunks + 1) // 2
        runs = self._most_runs(chunks, room)
        return runs * chunks - sum(self._reach(fewer, room) for fewer in range(runs))

    def _best_step(self, chunks: int, room: int) -> Step:
        if (chunks - 1) * self.alpha <= room:
            return 0, Keep.REST
        if room == 0:
            return chunks - 1, Keep.REST
        if room >= self.alpha and chunks <= self._exact_chunks:
            return self._exact_step(chunks, room)
        if room < self.alpha or (1 < self.alpha < LARGE_TAPE and room < FEW_TAPES * self.alpha):
            return best_advance(chunks, room + 1), Keep.STATE
        return min(self._likely_steps(chunks, room), key=lambda step: (self._cost(chunks, room, *step), -step[0]))

    def _cost(self, chunks: int, room: int, ahead: int, keep: Keep) -> int:
        if keep is Keep.REST:
            return ahead + self.fewest(ahead, room) + chunks - ahead
        if keep is Keep.TAPE:
            return ahead + self.fewest(ahead - 1, room) + self.fewest(chunks - ahead, room - self.alpha)
        return ahead + self.fewest(ahead, room) + self.fewest(chunks - ahead, room - 1)

    def _exact_step(self, chunks: int, room: int) -> Step:
        C, ahead = self._exact, np.arange(1, chunks)
        state = ahead + C[1:chunks, room] + C[chunks - 1 : 0 : -1, room - 1]
        tape = ahead + C[: chunks - 1, room] + C[chunks - 1 : 0 : -1, room - self.alpha]
        rest = chunks - 1 - room // self.alpha
        choices = [
            (self._cost(chunks, room, rest, Keep.REST), (rest, Keep.REST)),
            (int(tape.min()), (int(tape.argmin()) + 1, Keep.TAPE)),
            (int(state.min()), (int(state.argmin()) + 1, Keep.STATE)),
        ]
        return min(choices, key=lambda choice: choice[0])[1]

    def _likely_steps(self, chunks: int, room: int) -> Iterator[Step]:
        """Yield the steps after which one of the two parts is just within the reach of some number of runs."""
        most = self._most_runs(chunks, room)
        yield chunks - 1 - room // self.alpha, Keep.REST
        for keep, rest in ((Keep.STATE, room - 1), (Keep.TAPE, room - self.alpha)):
            yield 1, keep
            for runs in range(max(0, most - 2), most + 2):
                for ahead in (self._reach(runs, room) + (keep is Keep.TAPE), chunks - self._reach(runs, rest)):
                    if 1 <= ahead < chunks:
                        yield ahead, keep

    def _most_runs(self, chunks: int, room: int) -> int:
        """Return the smallest k for which N_k(room) >= chunks, where room is not 0."""
        runs = 0
        while self._reach(runs, room) < chunks:
            runs += 1
        return runs


def reach(alpha: int, runs: int, room: int) -> int:
    """Return N_k(m): the most chunks of which none is run more than `runs` times with room for `room` states."""
    if runs == 0:
        return 0
    if alpha == 1:
        return comb(room + runs + 1, runs) - 1
    return sum(comb(left + runs - 1, runs - 1) for left in range(room, -1, -alpha))


def _exact_runs(chunks: int, room: int, alpha: int) -> Table:
    """Return C for up to `chunks` chunks and rooms up to `room`, by trying every step."""
    C = np.zeros((chunks + 1, room + 1), np.int16)
    tapes = np.arange(room + 1) // alpha + 1
    for t in range(1, chunks + 1):
        C[t] = t * (t + 1) // 2
        for y in range(1, t):
            ahead = np.int16(y)
            np.minimum(C[t, 1:], ahead + C[y, 1:] + C[t - y, :-1], out=C[t, 1:])
            if room >= alpha:
                tape = ahead + C[y - 1, alpha:] + C[t - y, : room + 1 - alpha]
                np.minimum(C[t, alpha:], tape, out=C[t, alpha:])
            fits = slice(int(np.searchsorted(tapes, t - y)), None)  # rooms for the tapes of all that follow
            np.minimum(C[t, fits], np.int16(t) + C[y, fits], out=C[t, fits])
        C[t, int(np.searchsorted(tapes, t)) :] = t
    return C


@lru_cache(maxsize=2)
def runs_of(alpha: int, room: int, chunks: int) -> Runs:
    """Return the table for a schedule; the same one for all runs that follow it."""
    return Runs(alpha, room, chunks)
