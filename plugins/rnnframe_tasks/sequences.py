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

    def padded(self, chosen: Array) -> Array:
        """Return some of the sequences side by side, [T, B, channels], zeros behind the shorter ones."""
        starts, lengths = self.starts()[chosen], self.lengths[chosen]
        block = np.zeros((int(lengths.max()), len(chosen), self.channels), self.values.dtype)
        for column, (start, length) in enumerate(zip(starts, lengths, strict=True)):
            block[:length, column] = self.values[start : start + length]
        return block

    @classmethod
    def read(cls, values: Array, lengths: Array | None, where: str) -> "Sequences":
        """Return sequences from an array as files have them; raises `DataError`.

        values: [samples, steps, channels], with lengths where samples are padded; [steps of all, channels] laid end to
        end, with lengths; or [samples, steps] of one channel.
        """
        if values.dtype.kind not in "fiub":
            raise DataError(f"{where} holds {values.dtype}; expected numbers")
        if lengths is not None:
            lengths = _checked(lengths, where)
        if values.ndim == 2 and lengths is not None and lengths.sum() == len(values):
            made = cls(values, lengths)
        elif values.ndim in (2, 3):
            block = values if values.ndim == 3 else values[..., None]
            made = _unpadded(block, lengths, where)
        else:
            raise DataError(
                f"{where} has shape {list(values.shape)}; expected [samples, steps, channels], or [steps, channels] "
                "laid end to end with the lengths beside it"
            )
        if 0 in made.values.shape or not len(made):
            raise DataError(f"{where} has shape {list(values.shape)}; expected at least one step, sample and channel")
        with np.errstate(over="ignore"):
            finite = np.isfinite(np.asarray(made.values, np.float32)).all(axis=1)
        if not finite.all():
            step = int(np.argmin(finite))
            sample = int(np.searchsorted(np.cumsum(made.lengths), step, "right"))
            raise DataError(f"{where}: sample {sample} holds NaN or infinite values; replace them or leave it out")
        return made


def _checked(lengths: Array, where: str) -> Array:
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or not len(lengths) or lengths.min() < 1:
        raise DataError(
            f"{where}: lengths are {lengths.dtype} {list(lengths.shape)}; expected integers [samples] above 0"
        )
    return lengths.astype(np.int64)


def _unpadded(block: Array, lengths: Array | None, where: str) -> Sequences:
    samples, steps, channels = block.shape
    if lengths is None:
        lengths = np.full(samples, steps, np.int64)
    if len(lengths) != samples or (samples and lengths.max() > steps):
        told = f"{len(lengths)} lengths of up to {lengths.max()}" if len(lengths) else "no lengths"
        raise DataError(f"{where} has {samples} samples of up to {steps} steps, but {told}")
    inside = np.arange(steps) < lengths[:, None]
    return Sequences(block[inside].reshape(-1, channels), lengths)


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


def held_out(count: int, share: float, seed: int, what: str) -> tuple[Array, Array]:
    """Return which samples to train on and which to keep, drawn from the seed; raises `DataError` for too few."""
    kept = max(1, round(count * share))
    if count > 1 and kept == count:
        raise DataError(f"{what} has {count} samples, and --held-out {share:g} keeps them all; lower --held-out")
    if count - kept < 1:
        raise DataError(f"{what} has {count} samples; at least 2 are needed, one of them held out")
    order = np.random.default_rng([seed, count]).permutation(count)
    return np.sort(order[kept:]), np.sort(order[:kept])


def scalar_texts(values: Any) -> tuple[str, ...]:
    """Return labels as texts; raises `ValueError` for what is no list of texts."""
    made = tuple(values)
    if not all(isinstance(value, str) for value in made):
        raise ValueError(f"expected texts, not {made}")
    return made
