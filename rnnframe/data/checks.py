"""What the caller hands in, checked: what a network takes, and what it is told of anything else."""

import math
from typing import Any

import numpy as np

from rnnframe.arrays import Array, outside
from rnnframe.data.foreign import as_array
from rnnframe.data.format import DataFormat, TargetFormat
from rnnframe.data.own_columns import OwnColumns
from rnnframe.data.pieces import Targets
from rnnframe.errors import DataError


class Checker:
    """What a network takes: shapes by `check_inputs` and `check_pair`, values by `check_values` and `targets`.

    What overflows on its way to float32 is infinite there, and refused as such: callers ignore numpy's warning.
    """

    def __init__(self, data_format: DataFormat) -> None:
        self.format = data_format

    def check_inputs(self, x: Any) -> None:
        """Raise `DataError` where x has not the shape or the type of inputs."""
        kind, want = x.dtype.kind, self.format.inputs
        if kind not in "fiub":
            raise DataError(f"x holds {x.dtype}; expected row numbers (integers [T, B]) or numbers [T, B, {want}]")
        if len(x.shape) == 2 and kind not in "iu":
            raise DataError(f"x has shape {list(x.shape)} and holds {x.dtype}; floats need the shape [T, B, {want}]")
        if len(x.shape) not in (2, 3):
            raise DataError(f"x has shape {list(x.shape)}; expected [T, B] of integers or [T, B, {want}]")
        if len(x.shape) == 2 and not self.format.lookup:
            raise DataError("x holds row numbers, which the first layer cannot look up; put an embedding first")
        if len(x.shape) == 3 and x.shape[2] != want:
            raise DataError(f"x has {x.shape[2]} inputs a step; the network was made with inputs={want}")
        if 0 in x.shape:
            raise DataError(f"x has shape {list(x.shape)}; expected at least one step, sample and input")

    def input_dtype(self, x: Any) -> np.dtype[Any]:
        """Return the dtype of a block of inputs: the network's; that of row numbers stays."""
        return np.dtype(x.dtype) if len(x.shape) == 2 else self.format.dtype

    def check_values(self, block: Array, start: int) -> None:
        """Raise `DataError` where a dense block of inputs, from step `start` on, holds what no network takes."""
        if not self.format.from_caller:
            return
        if block.ndim == 2:
            wrong = outside(block, self.format.inputs)
            if wrong is not None:
                raise DataError(
                    f"x holds {wrong} in steps {start} to {start + len(block) - 1}; "
                    f"a network with inputs={self.format.inputs} takes 0 to {self.format.inputs - 1}"
                )
        elif not math.isfinite(np.einsum("ijk->", block)) and not np.isfinite(block).all():
            step = start + int(np.argwhere(~np.isfinite(block))[0][0])
            raise DataError(f"x holds NaN or infinite values, the first at step {step}; remove or replace them")

    @property
    def _targets(self) -> TargetFormat:
        if self.format.targets is None:
            raise DataError("this network has no head, so that it takes no targets; sweep it with a loss of your own")
        return self.format.targets

    @property
    def last_only(self) -> bool:
        """Whether only the last step of a sample has a target."""
        return self.format.targets is not None and self.format.targets.at == "last"

    def targets(self, y: Any, weights: Any | None = None) -> Targets:
        """Return a block of targets as the loss takes them, checked, with the weights of their losses."""
        ready, factors = self._targets.targets(y, self.format.dtype), None
        if weights is not None:
            factors = np.ascontiguousarray(weights, self.format.dtype)
            if not np.isfinite(factors).all() or (factors.size and factors.min() < 0):
                wrong = factors[~np.isfinite(factors) | (factors < 0)][0]
                raise DataError(f"weights holds {wrong}; a weight is a finite number of at least 0")
        return Targets(ready, factors, self._targets.count(ready, factors))

    def check_pair(self, x: Any, y: Any) -> Any:
        """Check that y belongs to x and return it with the dimensions that the loss takes."""
        targets = self._targets
        every = targets.at == "every"
        lead = tuple(x.shape[:2]) if every else tuple(x.shape[1:2])
        wanted = ["T", "B"] if every else ["B"]
        dims = len(lead) + (targets.target_width is not None)
        if len(y.shape) == dims - 1 and targets.target_width == 1:
            y = (y if isinstance(y, OwnColumns) else np.asarray(y))[..., None]
        if len(y.shape) != dims:
            width = [] if targets.target_width is None else [str(targets.target_width)]
            raise DataError(
                f"y has shape {list(y.shape)}; head {targets.name} at={targets.at} takes [{', '.join(wanted + width)}]"
            )
        if tuple(y.shape[: len(lead)]) != lead:
            raise DataError(
                f"x and y differ in {' or '.join(wanted)}: x begins with {list(x.shape[:2])}, y {list(y.shape)}"
            )
        return y

    def check_weights(self, weights: Any, x: Any) -> Any:
        """Check the shape of weights of the losses; return [T, B], or [B] where only last steps have a target."""
        weights = as_array(weights, "weights")
        steps, batch = int(x.shape[0]), int(x.shape[1])
        lead = [batch] if self.last_only else [steps, batch]
        if list(weights.shape) not in (lead, [batch]) or weights.dtype.kind not in "fiub":
            also = "" if self.last_only else f", or [{batch}] for whole samples"
            raise DataError(
                f"weights has shape {list(weights.shape)} and holds {weights.dtype}; expected numbers {lead}{also}"
            )
        return weights if list(weights.shape) == lead else np.broadcast_to(np.asarray(weights), lead)


def check_lengths(lengths: Any, x: Any) -> Array:
    """Return the lengths of samples as integers [B], each of 1 to T."""
    array = np.asarray(as_array(lengths, "lengths"))
    steps, batch = int(x.shape[0]), int(x.shape[1])
    if array.shape != (batch,) or array.dtype.kind not in "iu":
        raise DataError(
            f"lengths has shape {list(array.shape)} and holds {array.dtype}; expected integers [{batch}], one a sample"
        )
    low, high = int(array.min()), int(array.max())
    if low < 1 or high > steps:
        raise DataError(f"lengths holds {low if low < 1 else high}; x with {steps} steps takes 1 to {steps}")
    return array.astype(np.intp)


def check_resets(resets: Any, x: Any) -> Any:
    """Check that resets are booleans [T, B], and return them."""
    resets = as_array(resets, "resets")
    lead = [int(size) for size in x.shape[:2]]
    if list(resets.shape) != lead or resets.dtype.kind != "b":
        raise DataError(
            f"resets has shape {list(resets.shape)} and holds {resets.dtype}; expected booleans {lead}, as x has"
        )
    return resets
