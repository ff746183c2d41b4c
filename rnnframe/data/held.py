"""`HeldSteps`: what a stage of a network leaves at every step for another: its outputs, or a gradient; `Links`: which.

A stage of two directions runs over both at once: at step t of its sweep it has the outputs of step t of the one
direction, and of step n-1-t of a sample of n steps of the other. Here each half stands at its own step.
"""

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.data.both_ways import back_from
from rnnframe.data.columns import Columns
from rnnframe.data.own_columns import OwnColumns, placed
from rnnframe.data.sweep import Part


@attrs.frozen(eq=False)
class HeldSteps:
    """Values of all steps of a batch, [T, B, width], written and read by the parts of a sweep.

    Parameters
    ----------
    values : Array
        [T, B, width], or [T, n, width] where `places` says at which of the n each sample is.
    ends : Array
        Integers [B], the steps of each sample; what stands behind them is never read.
    both_ways : bool
        Whether the sweep that they are outputs of has the second half of each read back.
    places : Array or None
        Integers [B], -1 for samples that are not here; None where all B are.
    """

    values: Array
    ends: Array
    both_ways: bool
    places: Array | None = None

    @property
    def x(self) -> Array | OwnColumns:
        """The values as a stage above reads them, [T, B, width]."""
        return self.values if self.places is None else OwnColumns(self.values, self.places, len(self.values))

    def write(self, part: Part, outputs: Array) -> None:
        """Take the outputs [l, n, width] of a part of the sweep, which come once."""
        half = self._first
        self.values[*self._at(part), :half] = outputs[..., :half]
        if self.both_ways:
            self.values[*self._back(part), half:] = outputs[..., half:]

    def read(self, part: Part, out: Array) -> None:
        """Write what belongs to the outputs [l, n, width] of a part of the sweep into `out`."""
        half = self._first
        out[..., :half] = self.values[*self._at(part), :half]
        if self.both_ways:
            out[..., half:] = self.values[*self._back(part), half:]

    def add(self, part: Part, values: Array) -> None:
        """Add what belongs to x of a part of the sweep above: [l, n, width], or of x and of x read back, [2, ...]."""
        if values.ndim == 3:
            self.values[self._at(part)] += values
            return
        self.values[self._at(part)] += values[0]
        self.values[self._back(part)] += values[1]

    @property
    def _first(self) -> int:
        width = int(self.values.shape[2])
        return width // 2 if self.both_ways else width

    def _at(self, part: Part) -> tuple[slice, Columns]:
        """Return the steps and places of a part."""
        return slice(part.start, part.stop), self._placed(part.samples)

    def _back(self, part: Part) -> tuple[Array, Columns]:
        """Return the steps and places of a part that is read back."""
        samples = np.arange(len(self.ends))[part.samples]
        return back_from(self.ends[samples], part.start, part.stop), self._placed(samples)

    def _placed(self, samples: Columns) -> Columns:
        return samples if self.places is None else placed(samples, self.places)


@attrs.frozen(eq=False)
class Links:
    """What a stage of a network has in common with the stages above and below it.

    Parameters
    ----------
    outputs : HeldSteps or None
        Where its outputs go, on the way forward alone; None while it is run for its reverse, and for the last stage.
    gradient : HeldSteps or None
        dL/d(outputs); None for the last stage, which has the loss.
    below : HeldSteps or None
        dL/d(outputs) of the stage below, which dL/dx is added to; None for the first stage.
    """

    outputs: HeldSteps | None = None
    gradient: HeldSteps | None = None
    below: HeldSteps | None = None
