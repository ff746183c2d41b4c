"""A state store for rnnframe: the state before every few chunks is kept, and the tapes between are made twice.

Put your strategy in the place of this one: `schedule` says what is kept and when, in actions without any array. The
tests prove that it is valid, and hold its gradients against those of full history, bit for bit.
"""

from collections.abc import Iterable
from typing import ClassVar

import attrs
from attrs.validators import ge

from rnnframe.plugin import Costs, Drop, Forward, Grid, Load, Reverse, Save, Schedule, StateStore, hookimpl


@attrs.frozen(kw_only=True)
class Example(StateStore):
    """Hold one state in `every` chunks, and the tapes of `every` chunks at a time. Exact."""

    name: ClassVar[str] = "example"
    every: int = attrs.field(default=4, validator=ge(1), metadata={"help": "chunks from one kept state to the next"})

    def schedule(self, grid: Grid, costs: Costs) -> Schedule:
        """Forward to the end with states alone; back, one run of chunks after the other."""
        chunks = grid.chunks
        assert chunks is not None  # a grid without end is for stores that promise `unknown_length`
        runs = [(start, min(start + self.every, chunks)) for start in range(0, chunks, self.every)]
        for start, stop in runs:
            yield Save(start)
            yield Forward(start, stop, keep=False)
        for start, stop in reversed(runs):
            yield Load(start)
            yield Drop(start)
            yield Forward(start, stop, keep=True)
            yield Reverse(stop, start)


@hookimpl
def rnnframe_state_stores() -> Iterable[type[StateStore]]:
    """Provide the store."""
    return [Example]
