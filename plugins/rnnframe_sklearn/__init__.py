"""Estimators for scikit-learn: `RNNClassifier` and `RNNRegressor` (extra `sklearn`).

They are a client of the package `rnnframe`, as a user's program is, and give rnnframe no hooks: nothing imports this
package but who asks for it.
"""

try:
    import sklearn as _sklearn
except ImportError:
    raise ImportError(
        "rnnframe_sklearn needs scikit-learn, which is not installed; run: pip install 'rnnframe[sklearn]'"
    ) from None

from rnnframe_sklearn.classifier import RNNClassifier
from rnnframe_sklearn.regressor import RNNRegressor

__all__ = ["RNNClassifier", "RNNRegressor"]
del _sklearn
