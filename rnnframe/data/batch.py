"""One batch of sequences as the caller hands it in: inputs, targets, lengths and resets."""

from typing import Any

import attrs

from rnnframe.arrays import Array


@attrs.frozen(eq=False)
class Batch:
    """Some samples, as `Trainer.step` takes them.

    x: [T, B] integers or [T, B, inputs], an array or what can be sliced like one. y: targets as the head takes them,
    or None where there are none and the network runs for its state and predictions alone.
    lengths: integers [B], the real steps of each sample, None where all have T. resets: booleans [T, B], true where a
    sample's state is zero before that step. carry: whether this batch begins with the state after the one before.
    """

    x: Any
    y: Any
    lengths: Array | None = None
    resets: Array | None = None
    carry: bool = False

    @property
    def samples(self) -> int:
        """B."""
        return int(self.x.shape[1])

    @property
    def steps(self) -> int:
        """Real steps of all samples together."""
        return int(self.x.shape[0] * self.x.shape[1] if self.lengths is None else self.lengths.sum())
