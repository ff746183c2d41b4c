"""`Draw`: where random masks come from, a pure function of seed, run, layer, kind, step and sample.

A store may run a chunk several times, shards take parts of a batch, and chunks have any length; a mask must not depend
on any of it. So no generator is carried along: a counter-based one, Philox (Salmon, Moraes, Dror & Shaw 2011, "Parallel
random numbers: as easy as 1, 2, 3"), is set to the place that is asked for. Each step of a layer has a stream over the
whole batch, in which a sample's values stand at a place of their own.
"""

import functools
import hashlib

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.columns import Columns

LEVELS = 1 << 16
"""Two bytes decide on a value: a rate is rounded to a multiple of 1/65536."""
WORDS, VALUES = 4, 16
"""Random words of 8 bytes, and values that they decide on, for one count of the generator."""
_WORD = (1 << 64) - 1


@attrs.frozen
class Draw:
    """What random masks follow from, with layer, sample and step: a chunk that is run again has the same masks.

    Parameters
    ----------
    seed : int
        Of the training.
    number : int
        Of the run of the engine, counted over the training.
    """

    seed: int
    number: int

    def write_mask(
        self, out: Array, rate: float, layer: int, kind: str, samples: Columns, start: int | None = None
    ) -> None:
        """Write a mask: 1 where a value is kept, 0 where it is dropped.

        Parameters
        ----------
        out : Array
            [L, B, width] for a mask at each step, or [B, width] for one of the whole sequence.
        rate : float
            How probable it is that a value is dropped.
        layer : int
            The number of the layer in its network.
        kind : str
            What tells the masks of one layer apart.
        samples : slice or Array
            Which samples of the whole batch the B are.
        start : int or None
            The first step of `out`, counted from the beginning of the sequence; None for the whole sequence.
        """
        first, count = _reach(samples, out.shape[-2])
        threshold, of_sample = min(round(rate * LEVELS), LEVELS - 1), -(-out.shape[-1] // VALUES)
        places, step = count * of_sample, 0 if start is None else start + 1
        key = np.array([self.seed & _WORD, self.number & _WORD], np.uint64)
        counter = np.array([first * of_sample, step, layer, _code(kind)], np.uint64)
        stream = np.random.Philox(key=key, counter=counter)
        for row in out[None] if start is None else out:
            words = stream.random_raw(places * WORDS).astype("<u8", copy=False)
            values = words.view("<u2").reshape(count, -1)[:, : out.shape[-1]]
            chosen = values if isinstance(samples, slice) else values[samples - first]
            np.greater_equal(chosen, threshold, out=row, casting="unsafe")
            stream.advance((1 << 64) - places)  # to the same samples of the next step


def _reach(samples: Columns, count: int) -> tuple[int, int]:
    """Return the first of the samples, and how many there are from it to the last one."""
    if isinstance(samples, slice):
        return samples.start or 0, count
    return int(samples.min()), int(samples.max() - samples.min()) + 1


@functools.cache
def _code(kind: str) -> int:
    return int.from_bytes(hashlib.blake2b(kind.encode(), digest_size=8).digest(), "little")
