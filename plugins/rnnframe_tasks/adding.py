"""The task `adding`: add two marked numbers out of many (Hochreiter & Schmidhuber 1997, section 5.4)."""

from collections.abc import Iterable, Mapping
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import ge

from rnnframe.plugin import Array, Batch, Predicted
from rnnframe_tasks.made import BLOCK, Made, drawn
from rnnframe_tasks.synthetic import Synthetic

GUESSING = 1 / 6
"""Squared error of who always says 1: the variance of the sum of two numbers that are uniform from 0 to 1."""


@attrs.frozen(kw_only=True)
class Adding(Synthetic):
    """Add two marked numbers: a step is a number from 0 to 1 and a mark, and the target, at the end, is a sum.

    One number in the first half of the sequence is marked and one in the second. Samples are made as they are read,
    from the seed and their number, for sequences of any length. Whoever remembers nothing has a loss of 1/6.
    """

    name: ClassVar[str] = "adding"
    unit: ClassVar[str] = "squared error"
    counted: ClassVar[str] = "sequences"
    length: int = attrs.field(default=100, validator=ge(2), metadata={"help": "steps of a sequence"})

    @property
    def steps(self) -> int:
        """`length`."""
        return self.length

    @property
    def head(self) -> str:
        """One number, at the last step."""
        return "mse:outputs=1,at=last"

    @property
    def width(self) -> int:
        """A number and a mark."""
        return 2

    def make(self, key: tuple[int, ...], batch: int) -> Batch:
        """Return x [T, B, 2], made where it is sliced, and y [B]."""
        rng, half = np.random.default_rng(key), self.length // 2
        marked = np.stack([rng.integers(0, half, batch), rng.integers(half, self.length, batch)])

        def block(start: int, stop: int) -> Array:
            x = np.zeros((stop - start, batch, 2), np.float32)
            x[..., 0] = drawn(key, start, stop, batch)
            for places in marked:
                here = np.flatnonzero((places >= start) & (places < stop))
                x[places[here] - start, here, 1] = 1
            return x

        y = np.zeros(batch, np.float32)
        for first in np.unique(marked // BLOCK) * BLOCK:
            x = block(first, min(first + BLOCK, self.length))
            y += (x[..., 0] * x[..., 1]).sum(axis=0)
        return Batch(Made((self.length, batch, 2), np.dtype(np.float32), block), y)

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """What guessing costs."""
        return {"guessing": GUESSING}
