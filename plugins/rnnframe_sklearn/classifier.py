"""`RNNClassifier`: a class for each sequence."""

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d

from rnnframe_sklearn.estimator import RNNEstimator
from rnnframe_sklearn.sequences import Array, readable, sequences_of


class RNNClassifier(ClassifierMixin, RNNEstimator):
    """A recurrent network that gives each sequence a class.

    The parameters are those of `RNNEstimator`, and one more.

    Parameters
    ----------
    class_weight : dict, "balanced" or None
        How much the samples of each class count; multiplied by `sample_weight`.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **RNNEstimator._parameter_constraints,
        "class_weight": [dict, str, None],
    }

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int = 32,
        layers: int = 1,
        *,
        epochs: int = 40,
        batch_size: int = 32,
        optimizer: str = "adam",
        learning_rate: float = 0.01,
        clip: float | None = 1.0,
        average: str | None = None,
        store: str = "full-history",
        budget: str | None = None,
        scale: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        patience: int = 10,
        kernels: str = "auto",
        random_state: Any = None,
        verbose: bool = False,
        class_weight: Any = None,
    ) -> None:
        super().__init__(
            cell,
            hidden_size,
            layers,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            clip=clip,
            average=average,
            store=store,
            budget=budget,
            scale=scale,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            patience=patience,
            kernels=kernels,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train a new network on sequences X and their classes y [n]."""
        return self._fit(X, y, sample_weight, None, self.epochs, fresh=True)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train for one more epoch; the first call is told all classes, or finds them in y."""
        return self._fit(X, y, sample_weight, classes, 1, fresh=not hasattr(self, "network_"))

    def _fit(self, X: Any, y: Any, sample_weight: Any, classes: Any, epochs: int, *, fresh: bool) -> Self:
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        self._validate_params()
        data = sequences_of(self, X, reset=fresh)
        y = column_or_1d(readable(y, "y"), warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        check_consistent_length(data.values, y)
        weights = self._weights(sample_weight, data)
        if fresh:
            counted = y if weights is None else y[weights > 0]
            self.classes_ = np.unique(counted if classes is None else classes)
            if len(self.classes_) < 2:
                raise ValueError(f"y has one class, {self.classes_[0]!r}; a classifier needs at least 2 classes")
            self._begin(data, f"softmax:classes={len(self.classes_)},at=last")
        if weights is not None:
            kept = np.flatnonzero(weights)
            data, y, weights = data.take(kept), y[kept], weights[kept]
        numbers = np.searchsorted(self.classes_, y).clip(0, len(self.classes_) - 1)
        unknown = np.unique(y[self.classes_[numbers] != y])
        if len(unknown):
            raise ValueError(f"y has the class {unknown[0]!r}, which the first fit did not see; it saw {self.classes_}")
        weights = self._by_class(numbers, weights)
        return self._train(data, numbers, weights, epochs, stratify=True)

    def _by_class(self, numbers: Array, weights: Array | None) -> Array | None:
        if self.class_weight is None:
            return weights
        present = np.unique(numbers)
        factors = np.ones(len(self.classes_))
        named = self.classes_[numbers]
        factors[present] = compute_class_weight(self.class_weight, classes=self.classes_[present], y=named)
        of_samples: Array = factors[numbers]
        return of_samples if weights is None else of_samples * weights

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class [n, classes], in the order of `classes_`."""
        self._check_fitted()
        return self._outputs(sequences_of(self, X, reset=False))

    def predict(self, X: Any) -> Array:
        """Return the most probable class of each sequence [n]."""
        best = self.predict_proba(X).argmax(axis=1)
        found: Array = self.classes_[best]
        return found
