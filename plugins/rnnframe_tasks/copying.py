"""The task `copy`: remember some symbols over a long delay and repeat them.

Arjovsky, Shah & Bengio (2016), "Unitary evolution recurrent neural networks", section 5.1.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import ge

from rnnframe.plugin import Array, Batch, Predicted
from rnnframe_tasks.made import Made
from rnnframe_tasks.synthetic import Synthetic

PIECE = 1024
"""Steps that are judged at once."""


@attrs.frozen(kw_only=True)
class Copy(Synthetic):
    """Repeat what came long ago: some symbols, blanks, a mark, and then the symbols are to be said again.

    Number 0 is the blank, the highest one the mark. Samples are made as they are read, from the seed and their number.
    Whoever remembers nothing loses `length` log `symbols` nats a sequence; "guessing" is that per step.
    """

    name: ClassVar[str] = "copy"
    unit: ClassVar[str] = "nats/step"
    looked_up: ClassVar[bool] = True
    delay: int = attrs.field(default=50, validator=ge(1), metadata={"help": "steps between the symbols and their copy"})
    length: int = attrs.field(default=10, validator=ge(1), metadata={"help": "symbols to remember"})
    symbols: int = attrs.field(default=8, validator=ge(2), metadata={"help": "different symbols"})

    @property
    def steps(self) -> int:
        """Symbols, delay, copy."""
        return self.delay + 2 * self.length

    @property
    def head(self) -> str:
        """Blank or symbol, at every step."""
        return f"softmax:classes={self.symbols + 1}"

    @property
    def width(self) -> int:
        """Blank, symbols, mark."""
        return self.symbols + 2

    def make(self, key: tuple[int, ...], batch: int) -> Batch:
        """Return x and y [T, B], made where they are sliced."""
        said = np.random.default_rng(key).integers(1, self.symbols + 1, (self.length, batch), np.int32)
        mark = np.full((1, batch), self.symbols + 1, np.int32)

        def read(start: int, stop: int) -> Array:
            return _laid({0: said, self.length + self.delay - 1: mark}, start, stop, batch)

        def wanted(start: int, stop: int) -> Array:
            return _laid({self.length + self.delay: said}, start, stop, batch)

        shape, dtype = (self.steps, batch), np.dtype(np.int32)
        return Batch(Made(shape, dtype, read), Made(shape, dtype, wanted))

    def pieces(self, batch: Batch) -> Iterator[Batch]:
        """Yield some steps at a time, so that the outputs of a long sequence are never there together."""
        assert batch.y is not None
        for start in range(0, self.steps, PIECE):
            steps = slice(start, start + PIECE)
            yield Batch(batch.x[steps], batch.y[steps], carry=start > 0)

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """The share of symbols that are repeated rightly, and the loss of who remembers none."""
        right = count = 0
        for piece in predicted:
            assert piece.batch.y is not None
            asked = piece.batch.y > 0
            right += int((piece.outputs.argmax(axis=2) == piece.batch.y)[asked].sum())
            count += int(asked.sum())
        return {"repeated": right / max(1, count), "guessing": self.length * math.log(self.symbols) / self.steps}


def _laid(parts: Mapping[int, Array], start: int, stop: int, batch: int) -> Array:
    """Return the steps [start, stop) of a sequence of zeros in which `parts` begin at the given steps."""
    block = np.zeros((stop - start, batch), np.int32)
    for first, part in parts.items():
        low, high = max(start, first), min(stop, first + len(part))
        if low < high:
            block[low - start : high - start] = part[low - first : high - first]
    return block
