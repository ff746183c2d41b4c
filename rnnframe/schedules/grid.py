"""The grid: how time is divided into chunks."""

import bisect
import itertools
from collections.abc import Sequence

import attrs


@attrs.frozen
class Grid:
    """The division of a sequence into chunks.

    A uniform grid has a pattern of one length. The last chunk can be shorter than the pattern says.

    Parameters
    ----------
    steps
        The length of the sequence in steps; None if it is unknown.
    pattern
        Lengths of chunks in steps, repeated until `steps`.
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
        """The number of chunks; None if the length is unknown."""
        return None if self.steps is None else self.cut_at_or_after(self.steps)

    @property
    def longest(self) -> int:
        """The steps of the longest chunk."""
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
    """Return a grid whose chunks become longer as samples end.

    No part of the batch has more rows in a chunk than all its samples have in `chunk` steps.

    Parameters
    ----------
    chunk
        The steps of a chunk in which all samples run.
    ends
        For each part of the batch, the steps at which its samples end, in rising order. The last of all ends the
        sequence.

    Returns
    -------
    Grid
        A grid with one period.
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
    """Divide steps into chunks of equal length, with a shorter last one if necessary.

    Parameters
    ----------
    length
        The number of steps.
    chunk
        The steps of a chunk.

    Returns
    -------
    tuple
        The length of each chunk.
    """
    whole, rest = divmod(length, chunk)
    return (chunk,) * whole + ((rest,) if rest else ())
