"""What the estimators share: a network made for the data, minibatches, early stopping, pickles."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

import rnnframe as rf
from rnnframe_sklearn.sequences import Array, Sequences, readable

TWO = "bidirectional("
PREDICTED = 256
"""Samples that are predicted at once."""


class RNNEstimator(BaseEstimator):
    """A stack of equal recurrent layers and a head at the last step of each sample.

    Parameters
    ----------
    cell : str
        The spec of a layer without its width: "lstm", "gru:reset=before", "elman"; "bidirectional(gru)" for two
        directions.
    hidden_size : int
        Units of a layer, in each of its directions.
    layers : int
        Layers of the stack.
    epochs : int
        Passes over the samples.
    batch_size : int
        Samples of an update.
    optimizer : str
        The spec of an optimizer without its learning rate.
    learning_rate : float
        Of the optimizer.
    clip : float or None
        Largest norm of a gradient.
    average : str or None
        An average of the parameters over the updates, such as "ema:decay=0.99", which is judged and predicts in
        place of the last ones.
    store : str
        The spec of a state store: what of the past is kept.
    budget : str or None
        Memory for the past, such as "64MiB": the store is then the fastest exact one that fits.
    scale : bool
        Whether each channel is scaled to mean 0 and deviation 1.
    early_stopping : bool
        Whether some samples are held out, and the parameters of the epoch with the least loss on them are kept.
    validation_fraction : float
        The share of the samples that is held out.
    patience : int
        Epochs without a smaller loss after which training ends early.
    kernels : str
        What computes the layers, as `rnnframe.Engine` takes it.
    random_state : int, RandomState or None
        Of the starting values, the order of the samples and those that are held out.
    verbose : bool
        Whether the loss of every epoch is printed.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "cell": [str],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "layers": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [str],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "average": [str, None],
        "store": [str],
        "budget": [str, None],
        "scale": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "kernels": [str, StrOptions({"auto"})],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
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
    ) -> None:
        self.cell = cell
        self.hidden_size = hidden_size
        self.layers = layers
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.clip = clip
        self.average = average
        self.store = store
        self.budget = budget
        self.scale = scale
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.kernels = kernels
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _begin(self, data: Sequences, head: str) -> None:
        """Make a network and a trainer for these samples."""
        random = check_random_state(self.random_state)
        self._order = np.random.RandomState(random.randint(2**31 - 1))
        self.mean_: Array = np.zeros(data.channels)
        self.scale_: Array = np.ones(data.channels)
        if self.scale:
            self.mean_, self.scale_ = data.moments()
        cells = [_of_units(self.cell.strip(), self.hidden_size)] * self.layers
        trained = rf.Network(cells, head, data.channels, seed=int(random.randint(2**31 - 1)))
        optimizer = f"{self.optimizer}{',' if ':' in self.optimizer else ':'}lr={self.learning_rate}"
        if self.budget is not None and self.store != "full-history":
            raise ValueError(f"budget={self.budget!r} chooses the store, and store={self.store!r} is given; give one")
        store = self.store if self.budget is None else f"auto:budget={self.budget}"
        engine = rf.Engine(trained, store, kernels=self.kernels)
        self._trainer = rf.Trainer(engine, optimizer, clip=self.clip, average=self.average)
        average = self._trainer.average
        self.network_ = trained if average is None else trained.with_parameters(average.values)
        self.loss_curve_: list[float] = []
        self.validation_curve_: list[float] = []
        self.n_iter_ = 0

    def _train(self, data: Sequences, y: Array, weights: Array | None, epochs: int, *, stratify: bool) -> Self:
        """Run epochs over the samples; with early stopping some of them are held out."""
        rows, held_out = np.arange(len(data)), None
        if self.early_stopping and epochs > 1:
            split = StratifiedShuffleSplit if stratify else ShuffleSplit
            parts = split(1, test_size=self.validation_fraction, random_state=self._order)
            rows, held_out = next(parts.split(rows, y if stratify else None))
        parameters = self._trainer.engine.network.parameters.flat, self.network_.parameters.flat
        best, best_epoch, kept = np.inf, 0, None
        for epoch in range(epochs):
            self._epoch(data, y, weights, self._order.permutation(rows))
            if held_out is None:
                continue
            loss = self._loss(data, y, weights, held_out)
            self.validation_curve_.append(loss)
            if loss < best:
                best, best_epoch, kept = loss, epoch, [flat.copy() for flat in parameters]
            elif epoch - best_epoch >= self.patience:
                break
        if kept is not None:
            for flat, of_best in zip(parameters, kept, strict=True):
                flat[:] = of_best
        return self

    def _epoch(self, data: Sequences, y: Array, weights: Array | None, order: Array) -> None:
        loss = count = 0.0
        for start in range(0, len(order), self.batch_size):
            rows = order[start : start + self.batch_size]
            w = None if weights is None else weights[rows]
            if w is not None and not w.any():
                continue
            x, lengths = data.batch(rows, self.mean_, self.scale_)
            step = self._trainer.step(x, y[rows], lengths=lengths, weights=w)
            loss, count = loss + step.loss * step.count, count + step.count
        self.loss_curve_.append(loss / (count or 1))
        self.n_iter_ += 1
        if self.verbose:
            print(f"epoch {self.n_iter_}: loss {self.loss_curve_[-1]:.5g}")

    def _loss(self, data: Sequences, y: Array, weights: Array | None, rows: Array) -> float:
        x, lengths = data.batch(rows, self.mean_, self.scale_)
        w = None if weights is None else weights[rows]
        return float(
            rf.Inference(self.network_, kernels=self.kernels).evaluate(x, y[rows], None, lengths, None, w).loss
        )

    def _outputs(self, data: Sequences) -> Array:
        """Return what is predicted at the last step of each sample [n, outputs], in float64."""
        inference, found = rf.Inference(self.network_, kernels=self.kernels), []
        with inference.fixed():
            for start in range(0, len(data), PREDICTED):
                rows = np.arange(start, min(start + PREDICTED, len(data)))
                x, lengths = data.batch(rows, self.mean_, self.scale_)
                outputs, _ = inference.predict(x, lengths=lengths)
                last = np.full(len(rows), len(x)) if lengths is None else lengths
                found.append(outputs[last - 1, np.arange(len(rows))])
        return np.concatenate(found).astype(np.float64)

    def _weights(self, sample_weight: Any, data: Sequences) -> Array | None:
        if sample_weight is None:
            return None
        weights: Array = _check_sample_weight(
            readable(sample_weight, "sample_weight"), np.empty((len(data), 1)), ensure_non_negative=True
        )
        if not weights.any():
            raise ValueError("sample_weight has no value above zero; expected at least one")
        return weights

    def _check_fitted(self) -> None:
        check_is_fitted(self, "network_")


def _of_units(cell: str, units: int) -> str:
    """Return the spec of a layer of so many units, in each direction where it has two."""
    if cell.startswith(TWO) and cell.endswith(")"):
        return f"{TWO}{_of_units(cell[len(TWO) : -1], units)})"
    return f"{cell}{',' if ':' in cell else ':'}hidden={units}"
