"""What a cell takes: bytes of its graphs and states, as they were measured, and as a plan asks for them."""

from typing import Any

import attrs
import torch

from rnnframe.plugin import DataError
from rnnframe_torch.trees import Leaves, describe, form


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

    def agree(self, outputs: Leaves, form_now: Any, steps: int) -> None:
        """Remember the outputs of the first step; raise `DataError` where those of later ones have another form."""
        if self.output_form is None:
            _check_time_first(outputs, steps)
            self.output_form = form_now
            self.outputs = [leaf[0].detach() if isinstance(leaf, torch.Tensor) else leaf for leaf in outputs]
            return
        if form_now != self.output_form:
            now, first = (" ".join(str(each).split()) for each in (form_now, self.output_form))
            raise DataError(f"the cell returned outputs of another form, {now}; expected {first}")
        for leaf, first in zip(outputs, self.outputs, strict=True):
            whole = first.expand(steps, *first.shape) if isinstance(first, torch.Tensor) else first
            if form(leaf) != form(whole):
                raise DataError(
                    f"the cell returned outputs as {describe(leaf)} for {steps} steps; expected {describe(whole)}, "
                    "as for the first one"
                )


def _check_time_first(outputs: Leaves, steps: int) -> None:
    for leaf in outputs:
        if isinstance(leaf, torch.Tensor) and leaf.shape[:1] != (steps,):
            raise DataError(
                f"the cell returned outputs as {describe(leaf)} for a chunk of {steps} steps; expected all of its "
                f"steps, time first: [{steps}, ...]"
            )
