"""Whole sequences of different lengths, laid end to end, and batches of them, padded."""

import functools
from collections.abc import Iterator
from typing import Any

import attrs
import numpy as np

from rnnframe.plugin import Array, DataError


@attrs.frozen(eq=False)
class Sequences:
    """Sequences laid end to end: values [steps of all, channels], lengths [N]."""

    values: Array
    lengths: Array

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def channels(self) -> int:
        """Values a step."""
        return int(self.values.shape[1])

    def starts(self) -> Array:
        """Return where each sequence begins."""
        return np.cumsum(self.lengths) - self.lengths

    def take(self, chosen: Array) -> "Sequences":
        """Return some of the sequences, in the order given."""
        starts = self.starts()
        spans = [np.arange(starts[n], starts[n] + self.lengths[n]) for n in chosen]
        return Sequences(self.values[np.concatenate(spans)], self.lengths[chosen])

    def followed_by(self, other: "Sequences") -> "Sequences":
        """Return these sequences and then others."""
        return Sequences(np.concatenate([self.values, other.values]), np.concatenate([self.lengths, other.lengths]))

    def padded(self, chosen: Array) -> Array:
        """Return some of the sequences side by side, [T, B, channels], zeros behind the shorter ones."""
        starts, lengths = self.starts()[chosen], self.lengths[chosen]
        block = np.zeros((int(lengths.max()), len(chosen), self.channels), self.values.dtype)
        for column, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            block[:length, column] = self.values[start : start + length]
        return block

    def framed(self, steps: int) -> "Sequences":
        """Return sequences in which so many neighbouring steps are one, with a channel for each of their values.

        A last frame that is not full goes on with the last step of its sample.
        """
        if steps == 1:
            return self
        lengths = -(-self.lengths // steps)
        before = np.repeat(np.cumsum(lengths) - lengths, lengths)
        first = (np.arange(int(lengths.sum())) - before) * steps  # of each frame, in its sample
        starts, last = np.repeat(self.starts(), lengths), np.repeat(self.lengths - 1, lengths)
        rows = starts[:, None] + np.minimum(first[:, None] + np.arange(steps), last[:, None])
        return Sequences(self.values[rows].reshape(len(rows), -1), lengths)

    def check_finite(self, where: str) -> None:
        """Raise `DataError` for infinite values, and for those that are too large for float32."""
        with np.errstate(over="ignore"):
            wrong = np.isinf(np.asarray(self.values, np.float32)).any(axis=1)
        if wrong.any():
            raise DataError(
                f"{where}: sample {self.sample_of(int(wrong.argmax())) + 1} holds infinite values; "
                "replace them or leave it out"
            )

    def sample_of(self, row: int) -> int:
        """Return the sample, from 0, that a row of the values belongs to."""
        return int(np.searchsorted(np.cumsum(self.lengths), row, "right"))


@attrs.frozen(eq=False)
class Shuffled:
    """The order of `count` samples in each epoch, and how it is cut into batches; drawn from seed and epoch."""

    count: int
    batch: int
    seed: int

    @property
    def batches(self) -> int:
        """As many as hold all samples."""
        return -(-self.count // self.batch)

    def size(self, number: int) -> int:
        """Return the samples in a batch."""
        return min(self.batch, self.count - number * self.batch)

    def chosen(self, epoch: int, number: int) -> Array:
        """Return which samples are in a batch of an epoch."""
        return _order(self.count, self.seed, epoch)[number * self.batch : (number + 1) * self.batch]


@functools.lru_cache(maxsize=2)  # an epoch asks for its order once a batch
def _order(count: int, seed: int, epoch: int) -> Array:
    order = np.random.default_rng([seed, epoch]).permutation(count)
    order.flags.writeable = False
    return order


def in_order(count: int, batch: int) -> Iterator[Array]:
    """Yield which samples are in each batch, in the order of the file."""
    for start in range(0, count, batch):
        yield np.arange(start, min(start + batch, count))


def scalar_texts(values: Any) -> tuple[str, ...]:
    """Return labels as texts; raises `ValueError` for what is no list of texts."""
    made = tuple(values)
    if not all(isinstance(value, str) for value in made):
        raise ValueError(f"expected texts, not {made}")
    return made
