"""The X of scikit-learn as sequences: samples first, of one length or of many."""

from typing import Any

import attrs
import numpy as np
from sklearn.utils.validation import check_array, validate_data

from rnnframe.plugin import as_array

Array = np.ndarray[Any, Any]


@attrs.frozen(eq=False)
class Sequences:
    """Samples of one number of channels.

    Parameters
    ----------
    values : array [n, T, C] or list of arrays [T_i, C]
        The samples.
    lengths : array [n] or None
        The steps of each sample; None where all have the same.
    """

    values: Any
    lengths: Array | None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def channels(self) -> int:
        """Numbers in one step of a sample."""
        return int(self.values[0].shape[-1])

    def take(self, rows: Array) -> "Sequences":
        """Return some of the samples."""
        if self.lengths is None:
            return Sequences(self.values[rows], None)
        return Sequences([self.values[row] for row in rows], self.lengths[rows])

    def moments(self) -> tuple[Array, Array]:
        """Return the mean and the standard deviation of each channel, over the steps of all samples.

        The deviation is 1 where a channel is constant but for rounding.
        """
        steps = self.values.reshape(-1, self.channels) if self.lengths is None else np.concatenate(self.values)
        mean = steps.mean(axis=0, dtype=np.float64)
        deviation = steps.std(axis=0, dtype=np.float64)
        deviation[deviation <= 1e-6 * np.abs(mean)] = 1
        return mean, deviation

    def batch(self, rows: Array, mean: Array, deviation: Array) -> tuple[Array, Array | None]:
        """Return x [T, B, C] of some samples, scaled, in float32, and their lengths [B] or None."""
        if self.lengths is None:
            return ((self.values[rows].swapaxes(0, 1) - mean) / deviation).astype(np.float32, order="C"), None
        lengths = self.lengths[rows]
        x = np.zeros((lengths.max(), len(rows), self.channels), np.float32)
        for column, row in enumerate(rows):
            x[: lengths[column], column] = (self.values[row] - mean) / deviation
        return x, lengths


def readable(given: Any, what: str) -> Any:
    """Return what scikit-learn may read: tensors as arrays, and tables as they are, since it knows their columns.

    Raises `rnnframe.plugin.DataError`, a `ValueError`, for masked arrays and for tensors that are not in main memory.
    """
    if isinstance(given, list | tuple):
        return [readable(each, what) for each in given] if any(hasattr(each, "__array__") for each in given) else given
    if isinstance(given, np.ndarray) or not hasattr(given, "__array__") or hasattr(given, "__dlpack__"):
        return as_array(given, what) if hasattr(given, "shape") or hasattr(given, "__arrow_c_stream__") else given
    return given


def sequences_of(estimator: Any, X: Any, *, reset: bool) -> Sequences:
    """Return the samples of X: [n, T, C], [n, T] (one channel), or a list or object array of [T_i, C] or [T_i].

    With `reset` the estimator remembers what it is fitted to; without, X must agree with that.
    """
    X = readable(X, "X")
    found = _ragged(X) if is_ragged(X) else _dense(estimator, X, reset)
    if reset:
        estimator.n_channels_in_ = found.channels
    elif found.channels != estimator.n_channels_in_:
        raise ValueError(
            f"X has {found.channels} channels, but {type(estimator).__name__} is expecting "
            f"{estimator.n_channels_in_} channels as input"
        )
    return found


def is_ragged(X: Any) -> bool:
    """Tell whether X is a list, tuple or object array of arrays: of two dimensions, or of different lengths."""
    if not isinstance(X, list | tuple | np.ndarray) or (isinstance(X, np.ndarray) and X.dtype != object):
        return False
    if len(X) == 0 or any(not hasattr(sample, "shape") or np.ndim(sample) == 0 for sample in X):
        return False
    return any(np.ndim(sample) == 2 for sample in X) or len({np.shape(sample) for sample in X}) > 1


def _ragged(X: Any) -> Sequences:
    samples = [sample if np.ndim(sample) == 2 else np.reshape(sample, (-1, 1)) for sample in X]
    checked = [check_array(sample, dtype=np.float64, input_name="X") for sample in samples]
    channels = sorted({sample.shape[1] for sample in checked})
    if len(channels) > 1:
        raise ValueError(f"the sequences of X have {channels} channels; expected one number for all of them")
    return Sequences(checked, np.array([len(sample) for sample in checked]))


def _dense(estimator: Any, X: Any, reset: bool) -> Sequences:
    X = validate_data(estimator, X, reset=reset, dtype=np.float64, allow_nd=True)
    if X.ndim > 3:
        raise ValueError(f"Found array with dim {X.ndim}, expected [n, T, C], [n, T] or a list of [T_i, C]")
    return Sequences(X[:, :, None] if X.ndim == 2 else X, None)
