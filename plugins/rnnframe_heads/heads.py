"""Readout and loss: what turns the top layer's h_t into outputs, a loss and dL/dh_t.

    o_t = h_t V + c;   dV = Σ h_tᵀ do_t;   dc = Σ do_t;   dL/dh_t = do_t Vᵀ

All of it happens for one chunk at a time, when that chunk is reversed; the outputs o are thrown away at once. Losses
are sums over steps and samples: the engine divides once by their number.
"""

from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import ge

from rnnframe.plugin import Array, DataError, Head, at_field, outside, rows


@attrs.frozen(kw_only=True)
class Softmax(Head):
    """Softmax and cross entropy in nats over `classes`; targets are integers [T, B]."""

    name: ClassVar[str] = "softmax"
    classes: int = attrs.field(validator=ge(2), metadata={"help": "number of classes"})
    at: Literal["every", "last"] = at_field()

    @property
    def width(self) -> int:
        """One output a class."""
        return self.classes

    @property
    def target_dims(self) -> int:
        """[B]."""
        return 1

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """Check that y holds class numbers."""
        if y.dtype.kind not in "iu":
            raise DataError(f"y holds {y.dtype}; head softmax takes class numbers (integers)")
        wrong = outside(y, self.classes)
        if wrong is not None:
            raise DataError(f"y holds class {wrong}; head softmax:classes={self.classes} takes 0 to {self.classes - 1}")
        return y

    def loss_and_gradient(self, o: Array, y: Array) -> float:
        """-log p_y, with do = p - onehot(y)."""
        o -= o.max(axis=1, keepdims=True)
        true = np.arange(len(o)), y.ravel()
        chosen = o[true]
        np.exp(o, out=o)
        total = o.sum(axis=1, keepdims=True)
        o /= total
        o[true] -= 1
        return float(np.log(total).sum(dtype=np.float64) - chosen.sum(dtype=np.float64))

    def prediction(self, o: Array) -> None:
        """Probabilities."""
        o -= o.max(axis=-1, keepdims=True)
        np.exp(o, out=o)
        o /= o.sum(axis=-1, keepdims=True)


class _RealTargets(Head):
    """What heads with one real target an output share."""

    @property
    def target_dims(self) -> int:
        """[B, outputs]."""
        return 2

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """Check width and values; y may lack its last dimension where there is one output."""
        if y.dtype.kind not in "fiub":
            raise DataError(f"y holds {y.dtype}; head {self.name} takes numbers")
        if y.shape[-1] != self.width:
            raise DataError(f"y has {y.shape[-1]} values a step; head {self.name} has {self.width} outputs")
        y = np.ascontiguousarray(y, dtype)
        if not np.isfinite(y.sum()) and not np.isfinite(y).all():
            raise DataError("y holds NaN or infinite values; remove or replace them")
        return y


@attrs.frozen(kw_only=True)
class MeanSquaredError(_RealTargets):
    """Linear outputs and squared error, averaged over the outputs; targets [T, B, outputs]."""

    name: ClassVar[str] = "mse"
    outputs: int = attrs.field(default=1, validator=ge(1), metadata={"help": "number of outputs"})
    at: Literal["every", "last"] = at_field()

    @property
    def width(self) -> int:
        """As many as asked for."""
        return self.outputs

    def loss_and_gradient(self, o: Array, y: Array) -> float:
        """Σ (o - y)² / outputs, with do = 2 (o - y) / outputs."""
        o -= rows(y)
        loss = np.einsum("ij,ij->", o, o, dtype=np.float64) / self.width
        o *= 2 / self.width
        return float(loss)

    def prediction(self, o: Array) -> None:
        """The outputs themselves."""


@attrs.frozen(kw_only=True)
class Bernoulli(_RealTargets):
    """Independent binary outputs: the sum of their binary cross entropies in nats; targets [T, B, outputs] in 0..1."""

    name: ClassVar[str] = "bernoulli"
    outputs: int = attrs.field(default=1, validator=ge(1), metadata={"help": "number of outputs"})
    at: Literal["every", "last"] = at_field()

    @property
    def width(self) -> int:
        """As many as asked for."""
        return self.outputs

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """Check that targets are probabilities."""
        y = super().targets(y, dtype)
        if y.min() < 0 or y.max() > 1:
            wrong = y.min() if y.min() < 0 else y.max()
            raise DataError(f"y holds {wrong}; head bernoulli takes values from 0 to 1")
        return y

    def loss_and_gradient(self, o: Array, y: Array) -> float:
        """Σ log(1 + e^o) - y o, with do = σ(o) - y; written so that no exponential overflows."""
        y = rows(y)
        loss = np.logaddexp(0, o).sum(dtype=np.float64) - np.einsum("ij,ij->", o, y, dtype=np.float64)
        self.prediction(o)
        o -= y
        return float(loss)

    def prediction(self, o: Array) -> None:
        """σ(o)."""
        o *= 0.5
        np.tanh(o, out=o)
        o *= 0.5
        o += 0.5


HEADS: dict[str, type[Head]] = {head.name: head for head in (Softmax, MeanSquaredError, Bernoulli)}
