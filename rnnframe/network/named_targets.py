"""The targets of a loss, which is named with its plugin in what it raises: it is other people's code."""

from typing import Any, Literal

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.loss import Loss
from rnnframe.registry.registry import Registry


@attrs.frozen(eq=False)
class NamedTargets:
    """What a loss takes as targets: a `rnnframe.data.format.TargetFormat`."""

    loss: Loss
    registry: Registry = attrs.field(repr=False)

    @property
    def name(self) -> str:
        """The name of the loss."""
        return self.loss.name

    @property
    def at(self) -> Literal["every", "last"]:
        """Which steps have a target."""
        return self.loss.at

    @property
    def target_width(self) -> int | None:
        """Values of a target; None where a target is one class number."""
        with self.registry.blame("loss", type(self.loss)):
            return self.loss.target_width

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """Return a block of targets as the loss takes them; raises `DataError` for what is no target."""
        with self.registry.blame("loss", type(self.loss)):
            return self.loss.targets(y, dtype)

    def count(self, y: Array, weights: Array | None) -> float:
        """Return what a sum of the losses of these targets is divided by for their mean."""
        with self.registry.blame("loss", type(self.loss)):
            return self.loss.count(y, weights)
