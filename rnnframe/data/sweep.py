"""A loss outside of the loop: it receives outputs on the way forward, and returns their gradient on the way back."""

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.columns import Columns
from rnnframe.data.foreign import as_array
from rnnframe.errors import DataError


@attrs.frozen(eq=False)
class Part:
    """Where an array [stop - start, n, width] belongs in one of the whole sequence: `whole[start:stop, samples]`.

    Parameters
    ----------
    start, stop
        Steps of the sequence.
    samples : slice or Array
        Columns of the batch, or their numbers.
    """

    start: int
    stop: int
    samples: Columns

    @property
    def index(self) -> tuple[slice, Columns]:
        """What `whole[part.index]` selects the part with."""
        return slice(self.start, self.stop), self.samples


OutputsFn: TypeAlias = Callable[[Part, Array], Any]
"""Receives the outputs [l, n, width] of a part, once each, in the order of time; they are valid during the call."""
PullFn: TypeAlias = Callable[[Part, Array], Any]
"""Receives the outputs of a part again and returns dL/d(outputs) [l, n, width]."""


@attrs.define(eq=False)
class SweepClient:
    """The functions of a caller of `Engine.sweep`. With several shards they are called from several threads.

    Parameters
    ----------
    outputs : function or None
        Takes the outputs on the way forward.
    pull_fn : function
        Gives their gradient on the way back.
    inputs : function or None
        Takes dL/dx [l, n, inputs] of a part on the way back.
    """

    outputs: OutputsFn | None
    pull_fn: PullFn
    inputs: OutputsFn | None
    _reached: dict[int, int] = attrs.field(factory=dict)  # by the last sample of a shard, which runs longest

    @property
    def wants_inputs(self) -> bool:
        """Whether dL/dx is asked for."""
        return self.inputs is not None

    def is_new(self, part: Part) -> bool:
        """Tell whether outputs are asked for, and these were not handed out before: chunks may be run many times."""
        if self.outputs is None:
            return False
        shard = part.samples.stop if isinstance(part.samples, slice) else int(part.samples[-1])
        if part.start < self._reached.get(shard, 0):
            return False
        self._reached[shard] = part.stop
        return True

    def hand_out(self, part: Part, outputs: Array) -> None:
        """Pass outputs to the caller."""
        if self.outputs is not None:
            self.outputs(part, outputs)

    def pull(self, part: Part, outputs: Array) -> Array:
        """Return dL/d(outputs); raises `DataError` for another shape."""
        given = np.asarray(as_array(self.pull_fn(part, outputs), "what pull returned"))
        if given.shape != outputs.shape or given.dtype.kind not in "fiu":
            raise DataError(
                f"pull returned {list(given.shape)} of {given.dtype} for steps {part.start} to {part.stop - 1}; "
                f"expected dL/d(outputs), numbers {list(outputs.shape)}"
            )
        return given

    def take_inputs(self, part: Part, dx: Array) -> None:
        """Pass dL/dx to the caller."""
        if self.inputs is not None:
            self.inputs(part, dx)
