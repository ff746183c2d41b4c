"""`Draw`: where random masks come from, a pure function of seed, run, layer, kind, step and sample.

A store may run a chunk several times, shards take parts of a batch, and chunks have any length; a mask must not depend
on any of it. So no generator is carried along: a counter-based one, Philox (Salmon, Moraes, Dror & Shaw 2011, "Parallel
random numbers: as easy as 1, 2, 3"), is set to the place that is asked for. Each step of a layer has a stream over the
whole batch, in which a sample's values stand at a place of their own.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import TypeAlias

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.columns import Columns

LEVELS = 1 << 16
"""Two bytes decide on a value: a rate is rounded to a multiple of 1/65536."""
WORDS, VALUES = 4, 16
"""Random words of 8 bytes, and values that they decide on, for one count of the generator."""
_WORD = (1 << 64) - 1


@attrs.frozen(eq=False)
class MaskPlace:
    """Where the random words of a mask stand among all that a generator can make.

    Parameters
    ----------
    key : Array
        [2], uint64: Philox's key.
    counter : Array
        [4], uint64: Philox's counter before the first value of the first sample that is in reach, at the first step.
        Each count stands for the next 16 values of a sample; samples begin with a count of their own, one after the
        other, and each step adds one to counter[1].
    threshold : int
        Values are two bytes of the random words, the lowest first: less than this is dropped.
    picked : Array or None
        [B], which samples from the first one on are written; None for the first B.
    """

    key: Array
    counter: Array
    threshold: int
    picked: Array | None


MaskWriter: TypeAlias = Callable[[Array, MaskPlace], None]
"""Writes a mask [L, B, width]: 1 where a value is kept, 0 where it is dropped."""


def write_mask(out: Array, place: MaskPlace) -> None:
    """Write a mask [L, B, width] with numpy's generator."""
    picked = place.picked
    of_sample = -(-out.shape[2] // VALUES)
    count = out.shape[1] if picked is None else int(picked.max()) + 1
    places = count * of_sample
    stream = np.random.Philox(key=place.key, counter=place.counter)
    for row in out:
        words = stream.random_raw(places * WORDS).astype("<u8", copy=False)
        values = words.view("<u2").reshape(count, -1)[:, : out.shape[2]]
        np.greater_equal(values if picked is None else values[picked], place.threshold, out=row, casting="unsafe")
        stream.advance((1 << 64) - places)  # to the same samples of the next step


@attrs.frozen
class Draw:
    """What random masks follow from, with layer, sample and step: a chunk that is run again has the same masks.

    Parameters
    ----------
    seed : int
        Of the training.
    number : int
        Of the run of the engine, counted over the training.
    write : MaskWriter
        Who writes the masks, the same ones as numpy does.
    """

    seed: int
    number: int
    write: MaskWriter = attrs.field(default=write_mask, eq=False, repr=False)

    @classmethod
    def of(cls, model: object, seed: int, number: int) -> "Draw":
        """Return the draw of a run of a model, by whose kernels masks are written where it has some."""
        return cls(seed, number, getattr(model, "mask_writer", write_mask))

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
        if not out.size:
            return
        first, picked = _reach(samples)
        step, of_sample = 0 if start is None else start + 1, -(-out.shape[-1] // VALUES)
        place = MaskPlace(
            key=np.array([self.seed & _WORD, self.number & _WORD], np.uint64),
            counter=np.array([first * of_sample, step, layer, _code(kind)], np.uint64),
            threshold=min(round(rate * LEVELS), LEVELS - 1),
            picked=picked,
        )
        self.write(out[None] if start is None else out, place)


def _reach(samples: Columns) -> tuple[int, Array | None]:
    """Return the first of the samples, and where from it each of them stands; None where they follow one another."""
    if isinstance(samples, slice):
        return samples.start or 0, None
    first = int(samples.min())
    return first, samples - first


@functools.cache
def _code(kind: str) -> int:
    return int.from_bytes(hashlib.blake2b(kind.encode(), digest_size=8).digest(), "little")
