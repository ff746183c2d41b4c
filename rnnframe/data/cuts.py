"""Where a batch is cut, known before it is run: how many rows of a state the pieces of a chunk need together."""

from collections.abc import Iterator

import attrs
import numpy as np

from rnnframe.arrays import Array

AT_ONCE = 1 << 14
"""Steps, or resets, that are looked at together: a sequence may have millions."""


@attrs.frozen(eq=False)
class Cuts:
    """The cuts of some samples of a batch.

    Parameters
    ----------
    steps, samples : int
        How many there are.
    ends : Array
        The steps at which samples end, rising; those that end with the sequence may be left out.
    at : Array
        The steps with a cut, rising.
    begun : Array
        Integers, one more than cuts: the samples of the pieces that begin at the cuts before one, added up.
    """

    steps: int
    samples: int
    ends: Array
    at: Array
    begun: Array

    @classmethod
    def of(cls, steps: int, samples: int, ends: Array | None, resets: Iterator[tuple[int, Array]]) -> "Cuts":
        """Return the cuts where samples end, at steps that rise (None: with the sequence), or are reset.

        resets: Booleans [l, samples] with the step that each block of them begins at; only those of samples that run
        count.
        """
        all_ends = np.empty(0, np.intp) if ends is None else ends
        found = [np.unique(all_ends[all_ends < steps])]
        for start, block in resets:
            here = np.arange(start, start + len(block))
            reset = block if ends is None else block & (here[:, None] < ends)
            found.append(here[reset.any(axis=1)])
        at = np.unique(np.concatenate(found))
        running = samples - np.searchsorted(all_ends, at, side="right")
        return cls(steps, samples, all_ends, at, np.concatenate([[0], np.cumsum(running)]))

    def beside(self, start: int, stop: int) -> int:
        """Return the rows of a state that the chunk [start, stop) needs where two for each sample are too few, else 0.

        A piece needs a row for each of its samples, and the chunk one for each before it.
        """
        return self._most(np.array([start]), np.array([stop]))

    def most_beside(self, chunk: int) -> int:
        """Return the most such rows of a chunk of up to so many steps, or of more where samples have ended."""
        most = 0
        for first in range(0, self.steps, AT_ONCE):
            starts = np.arange(first, min(first + AT_ONCE, self.steps))
            running = self._running(starts)
            starts, running = starts[running > 0], running[running > 0]
            most = max(most, self._most(starts, np.minimum(starts + chunk * self.samples // running, self.steps)))
        return most

    def _running(self, steps: Array) -> Array:
        running: Array = self.samples - np.searchsorted(self.ends, steps, side="right")
        return running

    def _most(self, starts: Array, stops: Array) -> int:
        """Return the most rows that any of some chunks needs, 0 where two for each sample are enough."""
        begun = self.begun[np.searchsorted(self.at, stops)] - self.begun[np.searchsorted(self.at, starts + 1)]
        most = int((self.samples + self._running(starts) + begun).max(initial=0))
        return most if most > 2 * self.samples else 0
