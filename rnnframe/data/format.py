"""What a network takes, in the words of its data: all that the checks and sources need to know of it."""

from typing import Any, Literal, Protocol

import attrs
import numpy as np

from rnnframe.arrays import Array


class TargetFormat(Protocol):
    """What a loss takes as targets."""

    @property
    def name(self) -> str:
        """What to call the loss in a message."""
        ...

    @property
    def at(self) -> Literal["every", "last"]:
        """Which steps have a target."""
        ...

    @property
    def target_width(self) -> int | None:
        """Values of a target; None where a target is one class number."""
        ...

    def targets(self, y: Array, dtype: np.dtype[Any], /) -> Array:
        """Return a block of targets as the loss takes them; raises `DataError` for what is no target."""
        ...

    def count(self, y: Array, weights: Array | None, /) -> float:
        """Return what a sum of the losses of these targets is divided by for their mean."""
        ...


@attrs.frozen(kw_only=True, eq=False)
class DataFormat:
    """What a network reads.

    Parameters
    ----------
    inputs : int
        The width of x [T, B, inputs], or the number of rows that integers x [T, B] may name.
    dtype : numpy.dtype
        Of dense inputs.
    strided : bool
        Whether the steps of a block may lie any distance apart in memory, as long as each is dense.
    targets : TargetFormat or None
        What is known of the targets; None for a network without a loss.
    lookup : bool
        Whether x may hold row numbers.
    both_ways : bool
        Whether each sample is read from its last step to its first, too.
    from_caller : bool
        Whether x is the caller's, whose values are checked, and not what another part of the network has computed.
    """

    inputs: int
    dtype: np.dtype[Any]
    strided: bool
    targets: TargetFormat | None
    lookup: bool = True
    both_ways: bool = False
    from_caller: bool = True
