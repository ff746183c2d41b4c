"""Where a batch is cut, known before it is run: how many rows of a state the pieces of a chunk need together."""

from collections.abc import Iterator

import attrs
import numpy as np

from rnnframe.arrays import Array

STEPS_AT_ONCE = 1 << 10
"""Steps of resets that are looked at together."""


@attrs.frozen(eq=False)
class Cuts:
    """The cuts of some samples of a batch.

    Parameters
    ----------
    samples : int
        How many there are.
    running : Array
        Integers [T]: how many of them run at each step.
    begun : Array
        Integers [T + 1]: the samples of all pieces that begin at cuts before a step, added up.
    """

    samples: int
    running: Array
    begun: Array

    @classmethod
    def of(cls, steps: int, samples: int, ends: Array | None, resets: Iterator[tuple[int, Array]]) -> "Cuts":
        """Return the cuts where samples end, at steps that rise (None: with the sequence), or are reset.

        resets: Booleans [l, samples] with the step that each block of them begins at; only those of samples that run
        count.
        """
        running = np.full(steps, samples)
        cut = np.zeros(steps, bool)
        if ends is not None:
            running -= np.searchsorted(ends, np.arange(steps), side="right")
            cut[ends[ends < steps]] = True
        for start, block in resets:
            here = np.arange(start, start + len(block))
            reset = block if ends is None else block & (here[:, None] < ends)
            cut[here] |= reset.any(axis=1)
        return cls(samples, running, np.concatenate([[0], np.cumsum(np.where(cut, running, 0))]))

    def beside(self, start: int, stop: int) -> int:
        """Return the rows of a state that the chunk [start, stop) needs where two for each sample are too few, else 0.

        A piece needs a row for each of its samples, and the chunk one for each before it.
        """
        rows = self.samples + int(self.running[start] + self.begun[stop] - self.begun[start + 1])
        return rows if rows > 2 * self.samples else 0

    def most_beside(self, chunk: int) -> int:
        """Return the most such rows of a chunk of up to so many steps, or of more where samples have ended."""
        starts = np.flatnonzero(self.running)
        stops = np.minimum(starts + chunk * self.samples // self.running[starts], len(self.running))
        rows = self.samples + self.running[starts] + self.begun[stops] - self.begun[starts + 1]
        most = int(rows.max(initial=0))
        return most if most > 2 * self.samples else 0
