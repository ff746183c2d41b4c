"""`RNNRegressor`: numbers for each sequence."""

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from rnnframe_sklearn.estimator import RNNEstimator
from rnnframe_sklearn.sequences import Array, readable, sequences_of


class RNNRegressor(RegressorMixin, RNNEstimator):
    """A recurrent network that gives each sequence one number or several, scaled inside.

    The parameters are those of `RNNEstimator`.
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network on sequences X and their targets y [n] or [n, outputs]."""
        return self._fit(X, y, sample_weight, self.epochs, fresh=True)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one more epoch; the scales are those of the first call."""
        return self._fit(X, y, sample_weight, 1, fresh=not hasattr(self, "network_"))

    def _fit(self, X: Any, y: Any, sample_weight: Any, epochs: int, *, fresh: bool) -> Self:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        self._validate_params()
        data = sequences_of(self, X, reset=fresh)
        y = check_array(readable(y, "y"), ensure_2d=False, dtype=np.float64, input_name="y")
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_consistent_length(data.values, y)
        weights = self._weights(sample_weight, data)
        flat, y = y.ndim == 1, y.reshape(len(y), -1)
        if fresh:
            self._flat = flat
            deviation = y.std(axis=0)
            self.y_mean_, self.y_scale_ = y.mean(axis=0), np.where(deviation > 0, deviation, 1)
            self._begin(data, f"mse:outputs={y.shape[1]},at=last")
        elif y.shape[1] != len(self.y_mean_):
            raise ValueError(f"y has {y.shape[1]} outputs, but the first fit had {len(self.y_mean_)}")
        y = ((y - self.y_mean_) / self.y_scale_).astype(np.float32)
        return self._train(data, y, weights, epochs, stratify=False)

    def predict(self, X: Any) -> Array:
        """Return what is predicted for each sequence: [n], or [n, outputs] where y was."""
        self._check_fitted()
        found: Array = self._outputs(sequences_of(self, X, reset=False)) * self.y_scale_ + self.y_mean_
        return found[:, 0] if self._flat else found
