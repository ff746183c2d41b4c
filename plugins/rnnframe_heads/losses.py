"""Losses: softmax with cross entropy, mean squared error, and independent binary outputs."""

from typing import Any, ClassVar, Literal

import attrs
import numpy as np
from attrs.validators import and_, ge, in_, lt

from rnnframe.plugin import Array, DataError, Loss, outside


@attrs.frozen(kw_only=True)
class Softmax(Loss):
    """Softmax and cross entropy in nats over `classes`; targets are integers [T, B].

    With weights w_c of the classes and smoothing ε the loss of a step with target y is, as in torch,

        -(1 - ε) w_y log p_y - ε/classes Σ_c w_c log p_c

    and the mean divides by the sum of w_y over the steps that are not ignored.
    """

    name: ClassVar[str] = "softmax"
    classes: int = attrs.field(validator=ge(2), metadata={"help": "number of classes"})
    ignore: int | None = attrs.field(
        default=None, metadata={"help": "a target that has no loss and does not count, such as -100"}
    )
    class_weights: tuple[float, ...] | None = attrs.field(
        default=None,
        metadata={"help": "how much a loss counts, by its class: one number a class, such as 1;2;0.5"},
    )
    smoothing: float = attrs.field(
        default=0.0,
        validator=and_(ge(0), lt(1)),
        metadata={"help": "share of a target that is spread over all classes"},
    )

    @class_weights.validator
    def _one_a_class(self, attribute: "attrs.Attribute[Any]", value: tuple[float, ...] | None) -> None:
        if value is not None and len(value) != self.classes:
            raise ValueError(f"'class_weights' has {len(value)} numbers; classes={self.classes} needs {self.classes}")
        if value is not None and not all(np.isfinite(weight) and weight >= 0 for weight in value):
            raise ValueError(f"'class_weights' must be numbers of at least 0: {value}")

    @property
    def width(self) -> int:
        """One output a class."""
        return self.classes

    @property
    def target_width(self) -> None:
        """A class number."""
        return None

    @property
    def plain(self) -> bool:
        """Whether every target is a class that counts like any other."""
        return self.ignore is None and self.class_weights is None and not self.smoothing

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """Check that y holds class numbers, or the one that is ignored."""
        if y.dtype.kind not in "iu":
            raise DataError(f"y holds {y.dtype}; head softmax takes class numbers (integers)")
        counted = y if self.ignore is None else y[y != self.ignore]
        wrong = outside(counted, self.classes) if counted.size else None
        if wrong is not None:
            raise DataError(f"y holds class {wrong}; head softmax:classes={self.classes} takes 0 to {self.classes - 1}")
        return y

    def count(self, y: Array, weights: Array | None) -> float:
        """Count each loss by its weight and its class's."""
        if self.ignore is None and self.class_weights is None:
            return super().count(y, weights)
        _, factors = self._weighed(y.ravel(), None if weights is None else weights.ravel())
        return float(factors.sum())

    def _weighed(self, y: Array, weights: Array | None) -> tuple[Array, Array]:
        """Return classes to look up, 0 for ignored ones, and the weight of each loss [rows] with that of its class."""
        known = np.ones(len(y), bool) if self.ignore is None else y != self.ignore
        classes = np.where(known, y, 0)
        factors = known.astype(np.float64) if weights is None else known * weights.astype(np.float64)
        return classes, factors if self.class_weights is None else factors * np.array(self.class_weights)[classes]

    def loss_and_gradient(self, o: Array, y: Array, weights: Array | None) -> float:
        """-log p_y, with do = p - onehot(y), where nothing is weighed."""
        if weights is not None or not self.plain:
            return self._weighted_loss_and_gradient(o, y, weights)
        o -= o.max(axis=1, keepdims=True)
        true = np.arange(len(o)), y
        chosen = o[true]
        np.exp(o, out=o)
        total = o.sum(axis=1, keepdims=True)
        o /= total
        o[true] -= 1
        return float(np.log(total).sum(dtype=np.float64) - chosen.sum(dtype=np.float64))

    def _weighted_loss_and_gradient(self, o: Array, y: Array, weights: Array | None) -> float:
        known = np.ones(len(y), bool) if self.ignore is None else y != self.ignore
        classes, factors = self._weighed(y, weights)
        o -= o.max(axis=1, keepdims=True)
        o -= np.log(np.exp(o).sum(axis=1, keepdims=True))  # log p
        true = np.arange(len(o)), classes
        sharp = (1 - self.smoothing) * factors
        loss = -float(np.dot(sharp, o[true].astype(np.float64)))
        of_class = np.ones(self.classes) if self.class_weights is None else np.array(self.class_weights)
        spread = self.smoothing / self.classes * (known if weights is None else known * weights).astype(np.float64)
        if self.smoothing:
            loss -= float(np.dot(spread, o.astype(np.float64) @ of_class))
        np.exp(o, out=o)
        o *= (sharp + spread * of_class.sum())[:, None].astype(o.dtype)
        o -= np.outer(spread, of_class).astype(o.dtype)
        o[true] -= sharp.astype(o.dtype)
        return loss

    def losses(self, o: Array, y: Array) -> Array:
        """-log p_y of each row, smoothed and times the weight of its class; 0 where the target is ignored."""
        o = o.astype(np.float64)
        o -= o.max(axis=1, keepdims=True)
        o -= np.log(np.exp(o).sum(axis=1, keepdims=True))  # log p
        classes, factors = self._weighed(y, None)
        of_class = np.ones(self.classes) if self.class_weights is None else np.array(self.class_weights)
        known = np.ones(len(y)) if self.ignore is None else y != self.ignore
        sharp = (1 - self.smoothing) * factors * o[np.arange(len(o)), classes]
        return -sharp - self.smoothing / self.classes * known * (o @ of_class)

    def prediction(self, o: Array) -> None:
        """Probabilities."""
        o -= o.max(axis=-1, keepdims=True)
        np.exp(o, out=o)
        o /= o.sum(axis=-1, keepdims=True)


@attrs.frozen(kw_only=True)
class _OfNumbers(Loss):
    """A loss of numbers, some of which may be missing: the targets are [T, B, outputs]."""

    outputs: int = attrs.field(default=1, validator=ge(1), metadata={"help": "number of outputs"})
    gaps: Literal["refuse", "ignore"] = attrs.field(
        default="refuse",
        validator=in_(("refuse", "ignore")),
        metadata={"help": "what a target that is NaN is: an error, or one that has no loss and does not count"},
    )

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """Check that targets are numbers, or gaps where these are ignored."""
        if self.gaps == "refuse" or y.dtype.kind != "f":
            return super().targets(y, dtype)
        gaps = np.isnan(y)
        ready = super().targets(np.where(gaps, 0, y), dtype)
        ready[gaps] = np.nan
        return ready

    def count(self, y: Array, weights: Array | None) -> float:
        """Count each target that is there by its share of the outputs."""
        if self.gaps == "refuse":
            return super().count(y, weights)
        known = np.count_nonzero(~np.isnan(y), axis=-1)
        return float((known if weights is None else known * weights).sum(dtype=np.float64) / self.outputs)


@attrs.frozen(kw_only=True)
class MeanSquaredError(_OfNumbers):
    """Squared error, averaged over the outputs; targets [T, B, outputs].

    With gaps=ignore a target that is NaN has no loss: the mean is taken over the others, each of which counts
    1/outputs.
    """

    name: ClassVar[str] = "mse"

    @property
    def width(self) -> int:
        """As many as asked for."""
        return self.outputs

    def loss_and_gradient(self, o: Array, y: Array, weights: Array | None) -> float:
        """Σ (o - y)² / outputs, with do = 2 (o - y) / outputs, each row times its weight."""
        o -= y
        if self.gaps == "ignore":
            o[np.isnan(y)] = 0
        if weights is None:
            loss = np.einsum("ij,ij->", o, o, dtype=np.float64) / self.width
        else:
            loss = np.einsum("ij,ij,i->", o, o, weights, dtype=np.float64) / self.width
            o *= weights[:, None]
        o *= 2 / self.width
        return float(loss)

    def losses(self, o: Array, y: Array) -> Array:
        """Σ (o - y)² / outputs of each row; gaps add nothing."""
        errors = np.square(o.astype(np.float64) - y)
        if self.gaps == "ignore":
            errors[np.isnan(y)] = 0
        losses: Array = errors.sum(axis=1) / self.width
        return losses


@attrs.frozen(kw_only=True)
class Pinball(_OfNumbers):
    """Pinball loss of quantiles, averaged over outputs and quantiles; targets [T, B, outputs].

    The loss of a forecast o of the quantile q for a target y is max(q (y - o), (q - 1)(y - o)), after Koenker & Bassett
    (1978); it is least where a share q of the targets lies below o. The quantiles of an output stand side by side. With
    gaps=ignore a target that is NaN has no loss: the mean is taken over the others, each of which counts 1/outputs.
    """

    name: ClassVar[str] = "pinball"
    quantiles: tuple[float, ...] = attrs.field(
        default=(0.1, 0.5, 0.9), metadata={"help": "between 0 and 1, of each target"}
    )

    @quantiles.validator
    def _between(self, attribute: "attrs.Attribute[Any]", value: tuple[float, ...]) -> None:
        if not value or not all(0 < quantile < 1 for quantile in value):
            raise ValueError(f"'quantiles' must be numbers between 0 and 1: {value}")

    @property
    def width(self) -> int:
        """One for each quantile of a target."""
        return self.outputs * len(self.quantiles)

    @property
    def target_width(self) -> int:
        """As many as asked for."""
        return self.outputs

    def losses_and_gradients(self, o: Array, y: Array) -> Array:
        """max(q (y - o), (q - 1)(y - o)) / width of each output, with do = ((y < o) - q) / width."""
        levels = np.array(self.quantiles, o.dtype)
        each = o.reshape(len(o), self.outputs, len(levels))
        below = y[:, :, None] - each
        gaps = np.isnan(below)
        below[gaps] = 0
        losses: Array = np.maximum(levels * below, (levels - 1) * below).sum(axis=(1, 2), dtype=np.float64) / self.width
        o[...] = np.where(gaps, 0, ((below < 0) - levels) / self.width).reshape(o.shape)
        return losses


@attrs.frozen(kw_only=True)
class Bernoulli(Loss):
    """Independent binary outputs: the sum of their binary cross entropies in nats; targets [T, B, outputs] in 0..1."""

    name: ClassVar[str] = "bernoulli"
    outputs: int = attrs.field(default=1, validator=ge(1), metadata={"help": "number of outputs"})

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

    def loss_and_gradient(self, o: Array, y: Array, weights: Array | None) -> float:
        """Σ log(1 + e^o) - y o, with do = σ(o) - y."""
        losses = _binary_cross_entropies(o, y)
        loss = (
            losses.sum(dtype=np.float64) if weights is None else np.dot(losses.sum(axis=1, dtype=np.float64), weights)
        )
        self.prediction(o)
        o -= y
        if weights is not None:
            o *= weights[:, None]
        return float(loss)

    def losses(self, o: Array, y: Array) -> Array:
        """Σ log(1 + e^o) - y o over the outputs."""
        losses: Array = _binary_cross_entropies(o.astype(np.float64), y).sum(axis=1)
        return losses

    def prediction(self, o: Array) -> None:
        """σ(o), of which small values keep all of their digits."""
        small = np.exp(-np.abs(o))
        np.divide(np.where(o >= 0, 1, small), 1 + small, out=o)


def _binary_cross_entropies(o: Array, y: Array) -> Array:
    """Return log(1 + e^o) - y o, written so that no exponential overflows and small losses keep their digits."""
    losses: Array = np.log1p(np.exp(-np.abs(o))) + (np.maximum(o, 0) - o * y)
    return losses
