"""What a network takes, in the words of its data: all that the checks and sources need to know of it."""

from typing import Any, Literal, Protocol

import attrs
import numpy as np

from rnnframe.arrays import Array


class TargetFormat(Protocol):
    """What a head takes as targets."""

    @property
    def name(self) -> str:
        """What to call the head in a message."""
        ...

    @property
    def at(self) -> Literal["every", "last"]:
        """Which steps have a target."""
        ...

    @property
    def width(self) -> int:
        """The number of outputs."""
        ...

    @property
    def target_dims(self) -> int:
        """Dimensions of y for one step, batch included."""
        ...

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """Return a block of targets as the loss takes them; raises `DataError` for what is no target."""
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
    head : TargetFormat
        What is known of the targets.
    """

    inputs: int
    dtype: np.dtype[Any]
    strided: bool
    head: TargetFormat
