"""One batch of sequences as the caller hands it in: inputs, targets, lengths, resets and weights."""

from typing import Any

import attrs

from rnnframe.data.foreign import as_array, is_stream


@attrs.frozen(eq=False)
class Batch:
    """Some samples with all that is known of them: what a dataset returns, and what a source is opened on.

    Parameters
    ----------
    x : array
        Integers [T, B] that are looked up, or numbers [T, B, inputs]; anything that can be sliced along time, or an
        iterator of blocks. This and the other arrays may be those of other libraries (`as_array`).
    y : array or None
        Targets as the loss takes them; None where there are none and the network runs for its state and predictions.
    lengths : array or None
        Integers [B], the real steps of each sample; None where all have T.
    resets : array or None
        Booleans [T, B], true where a sample's state is zero before that step.
    carry : bool
        Whether this batch begins with the state after the previous one.
    weights : array or None
        How much each loss counts, at least 0: numbers [T, B], or [B] for whole samples; None where each counts once.
        The mean of the losses is divided by the sum of the weights.
    """

    x: Any
    y: Any
    lengths: Any | None = None
    resets: Any | None = None
    carry: bool = attrs.field(default=False, kw_only=True)
    weights: Any | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Read arrays of other libraries once, here; iterators of blocks stay."""
        for name in ("x", "y", "lengths", "resets", "weights"):
            given = getattr(self, name)
            if not is_stream(given) and (given is not None or name == "x"):
                object.__setattr__(self, name, as_array(given, name))

    @property
    def samples(self) -> int:
        """B."""
        return int(self.x.shape[1])

    @property
    def steps(self) -> int:
        """Real steps of all samples together."""
        return int(self.x.shape[0] * self.x.shape[1] if self.lengths is None else self.lengths.sum())
