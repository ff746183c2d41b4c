"""A chunk's data, cut into pieces: dense blocks of the samples that run from one cut to the next.

A cut is where a sample ends, or where it begins anew with a state of zeros. Samples stand in the order in which they
end, so those that still run are always the last columns, and a cell sees nothing but dense blocks [l, n, inputs].
"""

from collections.abc import Iterable, Iterator, Sequence

import attrs
import numpy as np

from rnnframe.arrays import Array


@attrs.frozen(kw_only=True)
class Span:
    """The steps [start, stop) of a chunk between two cuts.

    The columns from `first` on run; the first `ending` of them end at `stop`. `reset_samples` names those, counted from
    `first`, whose state is zero at `start`; None where there are none.
    """

    start: int
    stop: int
    first: int
    ending: int
    reset_samples: Array | None


def cut(steps: int, samples: int, ends: Array | None, resets: Array | None) -> Iterator[Span]:
    """Cut a chunk of `steps` steps where samples end or begin anew; steps at which none runs are in no span.

    ends: [samples], rising; the step of this chunk at which each one ends, below 1 or above `steps` where it does not
    end in it; None where none does. resets: booleans [steps, samples], true where the state is zero before a step.
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
    """Steps of a chunk at which the same samples run: those in the columns from `first` on.

    x: [l, n, inputs], or row numbers [l, n]. y: the targets of the last len(y) steps of the first y.shape[1] of these
    samples; None where no loss counts. fresh: which of the n samples have a state of zeros before the piece.
    """

    x: Array
    y: Array | None
    first: int = 0
    reset_samples: Array | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Steps l and samples n."""
        return self.x.shape[0], self.x.shape[1]

    @property
    def counted(self) -> tuple[int, int]:
        """How many steps, from the last one back, and how many samples, from the first one on, carry a loss."""
        return (0, 0) if self.y is None else (self.y.shape[0], self.y.shape[1])


@attrs.frozen(eq=False)
class Block:
    """The data of one chunk of `steps` steps: its pieces in the order of time; none where no sample runs any more.

    spans: where each piece lies. `retained` tells whether the pieces stay with the chunk's tape: views of the caller's
    data, which cost nothing. Any others are dropped, and made anew when the chunk is reversed. Targets come in then.
    """

    steps: int
    spans: Sequence[Span]
    pieces: Sequence[Piece] = ()
    retained: bool = False

    @classmethod
    def whole(cls, x: Array, y: Array | None) -> "Block":
        """Return a block without a cut: one piece."""
        return cls(len(x), list(cut(len(x), x.shape[1], None, None)), [Piece(x, y)])

    def retained_part(self) -> "Block":
        """Return what stays with the chunk's tape: the block itself, or the spans from which it is made again."""
        return self if self.retained else Block(self.steps, self.spans)

    @property
    def count(self) -> int:
        """The number of losses: counted steps of every sample."""
        return sum(steps * samples for steps, samples in (piece.counted for piece in self.pieces))

    def with_targets(self, targets: Iterable[Array | None]) -> "Block":
        """Return the same block with the targets of each piece; None where no loss counts."""
        pieces = [
            Piece(each.x, y, each.first, each.reset_samples) for each, y in zip(self.pieces, targets, strict=True)
        ]
        return Block(self.steps, self.spans, pieces)
