"""`Loss`: from outputs and targets to a number and its gradient. A `Loss` and a `Readout` are a head.

Losses are sums over steps and samples, each times its weight: the engine divides once by the sum of the weights.
"""

import abc
from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import in_

from rnnframe.arrays import Array
from rnnframe.errors import DataError


@attrs.frozen(kw_only=True)
class Loss(abc.ABC):
    """A loss, at every step or at the last one only; and what is predicted of the same outputs.

    An author writes `width` and `losses_and_gradients`, and whatever else differs from the defaults, which are those
    of real targets as wide as the outputs.
    """

    name: ClassVar[str]
    at: Literal["every", "last"] = attrs.field(
        default="every", validator=in_(("every", "last")), metadata={"help": "the steps whose loss counts"}
    )

    @property
    @abc.abstractmethod
    def width(self) -> int:
        """The number of outputs that the loss is computed from."""

    @property
    def target_width(self) -> int | None:
        """Values of a target: y has the shape [T, B, target_width]; None where y [T, B] holds one class number each."""
        return self.width

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """Return a block of targets as `losses_and_gradients` reads them.

        By default finite numbers, dense and of the network's dtype.

        Parameters
        ----------
        y : Array
            Targets [..., target_width], or class numbers [...], of any dtype.
        dtype : numpy.dtype
            That of the network.

        Returns
        -------
        Array
            The targets, converted.

        Raises
        ------
        DataError
            For values that are no targets.
        """
        if y.dtype.kind not in "fiub":
            raise DataError(f"y holds {y.dtype}; head {self.name} takes numbers")
        if y.shape[-1] != self.target_width:
            raise DataError(f"y has {y.shape[-1]} values a step; head {self.name} takes {self.target_width}")
        y = np.ascontiguousarray(y, dtype)
        if not np.isfinite(y.sum()) and not np.isfinite(y).all():
            raise DataError("y holds NaN or infinite values; remove or replace them")
        return y

    def count(self, y: Array, weights: Array | None) -> float:
        """Return what the sum of the losses of a block is divided by for their mean.

        Parameters
        ----------
        y : Array
            Targets [L, B, target_width], or class numbers [L, B].
        weights : Array or None
            How much each loss counts, [L, B]; None where each counts once.

        Returns
        -------
        float
            The sum of the weights.
        """
        return y.shape[0] * y.shape[1] if weights is None else float(weights.sum(dtype=np.float64))

    def losses_and_gradients(self, o: Array, y: Array) -> Array:
        """Return the losses and replace the outputs by the gradient of their sum, in place.

        Parameters
        ----------
        o : Array
            Outputs [rows, width], which become dL/do. A row is one sample at one step.
        y : Array
            Targets [rows, target_width], or class numbers [rows].

        Returns
        -------
        Array
            The loss of each row, [rows].
        """
        raise NotImplementedError(f"loss {self.name!r} has no losses_and_gradients(self, o, y)")

    def loss_and_gradient(self, o: Array, y: Array, weights: Array | None) -> float:
        """Return the weighted sum of the losses and replace the outputs by its gradient, in place.

        By default it calls `losses_and_gradients`.

        Parameters
        ----------
        o : Array
            Outputs [rows, width], which become dL/do.
        y : Array
            Targets [rows, target_width], or class numbers [rows].
        weights : Array or None
            How much each loss counts, [rows]; None where each counts once.

        Returns
        -------
        float
            The sum, in the unit of the loss.
        """
        losses = self.losses_and_gradients(o, y)
        if weights is None:
            return float(losses.sum(dtype=np.float64))
        o *= weights[:, None]
        return float(np.dot(losses.astype(np.float64), weights))

    def losses(self, o: Array, y: Array) -> Array:
        """Return the loss of each row [rows] of o [rows, width] in float64, before any weight; o stays as it is.

        Measures are made of it. By default from `losses_and_gradients`, else row by row from `loss_and_gradient`.
        """
        if type(self).losses_and_gradients is not Loss.losses_and_gradients:
            return self.losses_and_gradients(o.copy(), y).astype(np.float64)
        rows = range(len(o))
        return np.array([self.loss_and_gradient(o[n : n + 1].copy(), y[n : n + 1], None) for n in rows], np.float64)

    def prediction(self, o: Array) -> None:
        """Replace outputs [..., width] by predictions, such as probabilities, in place; by default they stay."""
        return
