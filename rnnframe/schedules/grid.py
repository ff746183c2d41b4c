"""What a strategy is: a stream of plain actions over chunks of time, with no arrays in it.

A schedule is a generator of the seven actions below. The same generator is simulated (`rnnframe.simulate`), drawn,
proved valid by property tests, and executed (`rnnframe.engine`). Positions are chunk numbers: the `Grid` says
which steps a chunk covers. Ranges are half open; a `Reverse` runs from `stop` down to `start`.

>>> def full_history(chunks):
...     yield Forward(0, chunks, keep=True)
...     yield Reverse(chunks, 0)
"""

import bisect
import itertools
from collections.abc import Sequence

import attrs


@attrs.frozen
class Grid:
    """How time is cut into chunks: `pattern` is a run of chunk lengths that repeats until `steps` (None: no end).

    A uniform grid has a pattern of one length. The last chunk is as short as the sequence makes it.
    """

    steps: int | None
    pattern: tuple[int, ...]
    _cuts: list[int] = attrs.field(init=False, eq=False, repr=False)
    """The steps of a period before each of its chunks, and at its end."""

    @_cuts.default
    def _added_up(self) -> list[int]:
        return [0, *itertools.accumulate(self.pattern)]

    @property
    def period(self) -> int:
        """Steps after which the pattern repeats."""
        return self._cuts[-1]

    @property
    def chunks(self) -> int | None:
        """The number of chunks, None where the length is not known."""
        return None if self.steps is None else self.cut_at_or_after(self.steps)

    @property
    def longest(self) -> int:
        """Steps of the longest chunk."""
        if self.steps is not None and self.steps < self.period:
            return max(self.span(chunk)[1] - self.span(chunk)[0] for chunk in range(self.chunks or 0))
        return max(self.pattern)

    def _offset(self, chunk: int) -> int:
        periods, rest = divmod(chunk, len(self.pattern))
        step = periods * self.period + self._cuts[rest]
        return step if self.steps is None else min(step, self.steps)

    def span(self, chunk: int) -> tuple[int, int]:
        """Return the steps [start, stop) of a chunk."""
        start = self._offset(chunk)
        stop = start + self.pattern[chunk % len(self.pattern)]
        return start, stop if self.steps is None else min(stop, self.steps)

    def cut_at_or_after(self, step: int) -> int:
        """Return the number of the first chunk that begins at `step` or later."""
        periods, rest = divmod(step, self.period)
        return periods * len(self.pattern) + bisect.bisect_left(self._cuts, rest)

    def steps_between(self, start: int, stop: int) -> int:
        """Return how many steps the chunks [start, stop) cover."""
        return self._offset(stop) - self._offset(start)


def stretched(chunk: int, ends: Sequence[Sequence[int]]) -> Grid:
    """Return a grid whose chunks grow longer as samples end: no part has more rows in one than all its samples have in
    `chunk` steps.

    ends: for each part of the batch the steps at which its samples end, rising; the last of all ends the sequence.
    """
    steps, start = max(part[-1] for part in ends), 0
    pattern: list[int] = []
    while start < steps:
        running = [(len(part), len(part) - bisect.bisect_right(part, start)) for part in ends]
        length = min(chunk * samples // left for samples, left in running if left)
        pattern.append(min(length, steps - start))
        start += length
    return Grid(steps, tuple(pattern))


def split_evenly(length: int, chunk: int) -> tuple[int, ...]:
    """Cut `length` steps into chunks of `chunk` steps and, where it does not divide, a shorter last one."""
    whole, rest = divmod(length, chunk)
    return (chunk,) * whole + ((rest,) if rest else ())
