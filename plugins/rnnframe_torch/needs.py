"""What a cell takes: bytes of its graphs and states, as they were measured, and as a plan asks for them."""

from typing import Any

import attrs

from rnnframe_torch.trees import Leaves


@attrs.frozen
class ChunkBytes:
    """Bytes of the buffers of one run, as the plan asks for them."""

    state: int
    tape: int
    shared: int
    scratch: int


@attrs.frozen
class Line:
    """Bytes of a chunk of L steps: `fixed + step * L`."""

    fixed: int = 0
    step: int = 0

    def at(self, steps: int) -> int:
        """Return the bytes of so many steps."""
        return self.fixed + self.step * steps


@attrs.define
class Measured:
    """What a cell was found to take and to do (see `measuring`)."""

    tape: Line = attrs.field(factory=Line)
    reverse: Line = attrs.field(factory=Line)
    draws: bool = False
    outputs: Leaves = attrs.field(factory=list)
    output_form: Any = None
