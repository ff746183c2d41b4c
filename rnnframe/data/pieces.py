"""A chunk's data, cut into pieces: dense blocks of the samples that run from one cut to the next.

A cut is where a sample ends, or where it starts again with a state of zeros. Samples stand in the order in which they
end, so those that still run are always the last columns, and a cell sees nothing but dense blocks [l, n, inputs].
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.columns import Columns
from rnnframe.data.draws import Draw


@attrs.frozen(kw_only=True)
class Span:
    """The steps [start, stop) of a chunk between two cuts.

    Parameters
    ----------
    start, stop
        Steps of the chunk.
    first : int
        The samples in the columns from `first` on run.
    ending : int
        How many of them, the first ones, end at `stop`.
    reset_samples : Array or None
        The samples, counted from `first`, whose state is zero at `start`; None where there are none.
    """

    start: int
    stop: int
    first: int
    ending: int
    reset_samples: Array | None


def cut(steps: int, samples: int, ends: Array | None, resets: Array | None) -> Iterator[Span]:
    """Cut a chunk where samples end or are reset; steps at which none runs are in no span.

    Parameters
    ----------
    steps, samples
        The size of the chunk.
    ends : Array or None
        Integers [samples], rising: the step of this chunk at which each one ends, below 1 or above `steps` where it
        does not end in it. None where none does.
    resets : Array or None
        Booleans [steps, samples], true where the state is zero before a step.

    Returns
    -------
    iterator of Span
        In the order of time.
    """
    if ends is None and resets is None:
        yield Span(start=0, stop=steps, first=0, ending=0, reset_samples=None)
        return
    cuts = {0, steps}
    if ends is not None:
        cuts.update(ends[slice(*np.searchsorted(ends, (1, steps)))].tolist())
        if resets is not None:
            resets = resets & (np.arange(steps)[:, None] < ends)
    if resets is not None:
        cuts.update(np.flatnonzero(resets.any(axis=1)).tolist())
    bounds = sorted(cuts)
    firsts = [0] * len(bounds) if ends is None else np.searchsorted(ends, bounds, side="right").tolist()
    for n, (start, first) in enumerate(zip(bounds[:-1], firsts, strict=False)):
        if first == samples:
            return
        reset_samples = None if resets is None else np.flatnonzero(resets[start, first:])
        if reset_samples is not None and not reset_samples.size:
            reset_samples = None
        yield Span(
            start=start, stop=bounds[n + 1], first=first, ending=firsts[n + 1] - first, reset_samples=reset_samples
        )


@attrs.frozen(eq=False)
class Piece:
    """Steps of a chunk at which the same samples run.

    Parameters
    ----------
    x : Array
        [l, n, inputs], or row numbers [l, n].
    y : Array or None
        The targets of the last len(y) steps of the first y.shape[1] of these samples; None where no loss counts.
    weights : Array or None
        How much each of these losses counts, [len(y), y.shape[1]]; None where each counts once.
    first : int
        The samples are those in the columns from `first` on of the chunk's.
    reset_samples : Array or None
        Which of the n samples have a state of zeros before the piece.
    start : int
        The first step of the piece, counted from the beginning of the sequence.
    samples : slice or Array
        Which samples of the whole batch the n are.
    losses : bool
        Whether dL/d(outputs) of the piece is asked for.
    count : float
        The sum of the weights of its losses: how many there are, where each counts once.
    reverse : Array or None
        As x, of the same samples read from the last step to the first; None where nothing reads it.
    """

    x: Array
    y: Array | None = None
    weights: Array | None = None
    first: int = 0
    reset_samples: Array | None = None
    start: int = 0
    samples: Columns = slice(None)
    losses: bool = False
    count: float = 0
    reverse: Array | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Steps l and samples n."""
        return self.x.shape[0], self.x.shape[1]

    @property
    def counted(self) -> tuple[int, int]:
        """How many steps, from the last one back, and how many samples, from the first one on, carry a loss."""
        return (0, 0) if self.y is None else (self.y.shape[0], self.y.shape[1])


@attrs.frozen(eq=False)
class Targets:
    """The targets of a piece.

    Parameters
    ----------
    y : Array
        Targets, as the loss takes them.
    weights : Array or None
        Those of the losses; None where each counts once.
    count : float
        The sum of the weights.
    """

    y: Array
    weights: Array | None
    count: float


@attrs.frozen(eq=False)
class Block:
    """The data of one chunk of `steps` steps: its pieces in the order of time; none where no sample runs any more.

    Parameters
    ----------
    steps : int
        Its steps.
    spans : sequence of Span
        Where each piece lies; none while the pieces are dropped.
    pieces : sequence of Piece
        The data.
    retained : bool
        Whether the pieces stay with the chunk's tape: views of the caller's data, which cost nothing. Any others are
        dropped, and made again when the chunk is reversed; targets come in then.
    draw : Draw or None
        What random masks are drawn from; None where nothing is trained.
    """

    steps: int
    spans: Sequence[Span]
    pieces: Sequence[Piece] = ()
    retained: bool = False
    draw: Draw | None = None

    @classmethod
    def whole(cls, x: Array, y: Array | None) -> "Block":
        """Return a block without a cut: one piece, whose losses count once each."""
        piece = Piece(x, y, losses=y is not None, count=0 if y is None else y.shape[0] * y.shape[1])
        return cls(len(x), list(cut(len(x), x.shape[1], None, None)), [piece])

    def retained_part(self) -> "Block":
        """Return what stays with the chunk's tape: the block itself, or how many steps are to be read again."""
        return self if self.retained else _to_be_read(self.steps)

    @property
    def count(self) -> float:
        """The sum of the weights of the losses: their number, where each counts once."""
        return sum(piece.count for piece in self.pieces)

    def with_targets(self, targets: Iterable[Targets | None]) -> "Block":
        """Return the same block with the targets of each piece; None where no loss counts."""
        pieces = [
            each
            if found is None
            else attrs.evolve(each, y=found.y, weights=found.weights, losses=True, count=found.count)
            for each, found in zip(self.pieces, targets, strict=True)
        ]
        return Block(self.steps, self.spans, pieces, draw=self.draw)

    def with_outside_losses(self) -> "Block":
        """Return the same block, every piece of which is asked for dL/d(outputs) of a loss that is not the head's."""
        pieces = [attrs.evolve(each, losses=True) for each in self.pieces]
        return Block(self.steps, self.spans, pieces, draw=self.draw)

    def drawn(self, draw: Draw | None) -> "Block":
        """Return the same block for a run with that draw."""
        return self if draw is None else Block(self.steps, self.spans, self.pieces, self.retained, draw)


@lru_cache(maxsize=64)
def _to_be_read(steps: int) -> Block:
    """Return a block without its data; one for all chunks of that length, as there may be one for every step."""
    return Block(steps, ())
