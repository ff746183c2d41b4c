"""Opened data: a `Dataset` gives batches to train on, `Examples` batches to be judged on and to predict for."""

import abc
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar, TypeAlias

import attrs

from rnnframe.arrays import Array
from rnnframe.contracts.forecasts import Forecasts, Origins
from rnnframe.contracts.head import Head
from rnnframe.data.batch import Batch

Choose: TypeAlias = Callable[[int, Array | None], Array]
"""Returns which samples of a batch to make, given how many there are, and their lengths."""


@attrs.frozen(eq=False)
class Predicted:
    """A batch and what the network predicts for it.

    Parameters
    ----------
    batch : Batch
        The batch.
    outputs : Array
        Predictions [T, B, outputs]; those behind the end of a sample mean nothing.
    losses : Array or None
        Of each step [T, B] in float64, before any weight, 0 where a step has none; None where the batch has no
        targets, or `Examples.wants_losses` is false.
    """

    batch: Batch
    outputs: Array
    losses: Array | None = None


@attrs.frozen(kw_only=True, eq=False)
class Examples(abc.ABC):
    """What a network is evaluated on: the held-out part of a dataset, or all of a file.

    Parameters
    ----------
    name : str
        Says which, in messages.
    remarks : tuple of str
        What a person should know of the file, such as what was not read of it: sentences without a full stop.
    unjudged : str or None
        Why the examples cannot be judged although they have targets, such as a class that the model does not know.
    """

    name: str
    remarks: tuple[str, ...] = ()
    unjudged: str | None = None
    wants_losses: ClassVar[bool] = False
    """Whether `measure` and `table` read `Predicted.losses`: exact where a loss of rounded probabilities is not."""

    @abc.abstractmethod
    def batches(self) -> Iterator[Batch]:
        """Yield the examples, the same ones in the same order each time."""

    def measure(self, predicted: Iterable[Predicted]) -> Mapping[str, float]:
        """Return measures besides the loss; none by default.

        Parameters
        ----------
        predicted : iterable of Predicted
            The batches with their predictions. The network runs while you iterate, and not at all if you do not.

        Returns
        -------
        mapping
            Name -> number, such as {"accuracy": 0.97}.
        """
        return {}

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes by number, where each example is put into one; else empty."""
        return ()

    def decisions(self, predicted: Predicted) -> tuple[Array, Array]:
        """Return the true and the chosen class of each example in a batch with targets, where there are `classes`."""
        raise NotImplementedError(f"{type(self).__name__} has classes, and no decisions(self, predicted)")

    @property
    def horizon(self) -> int:
        """How many steps ahead series are forecast; 0 where they are not."""
        return 0

    def forecasts(self, predicted: Iterable[Predicted], origins: Origins) -> Iterator[Forecasts]:
        """Yield forecasts beside what came, in the units of the data, where there is a `horizon`.

        Parameters
        ----------
        predicted : iterable of Predicted
            The batches with their predictions.
        origins : Origins
            At which rows.

        Returns
        -------
        iterator of Forecasts
            In pieces, each of one series; those of a series one after the other, in the order of time.
        """
        raise NotImplementedError(f"{type(self).__name__} has a horizon, and no forecasts(self, predicted, origins)")

    def text_bytes(self) -> int | None:
        """Return how many bytes of UTF-8 the targets are, for bits per byte; None where they are no known text."""
        return None

    @abc.abstractmethod
    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """Yield the predictions as a table, in pieces that all have the same columns.

        Parameters
        ----------
        predicted : iterable of Predicted
            The batches with their predictions.

        Returns
        -------
        iterator of mapping
            Column -> values [rows].
        """


@attrs.frozen(kw_only=True, eq=False)
class Dataset(abc.ABC):
    """Data to train on, opened.

    What it returns depends on the task, the file and the setting alone, so that a training can resume at any batch.

    Parameters
    ----------
    inputs : int
        The width of x, or the number of rows of U where x holds integers.
    looked_up : bool
        Whether x holds integers.
    head : Head or str
        The head of the network, or its spec.
    learnt : object
        What was learnt from the data and belongs to the model: an object of `Task.learns`.
    digest : str
        Identifies the data; a training does not resume on other data.
    valid : Examples or None
        The held-out part; None where nothing is held out.
    remarks : tuple of str
        What a person should know of the data, such as what was not read of a file: sentences without a full stop.
    """

    inputs: int
    looked_up: bool = False
    head: Head | str
    learnt: Any
    digest: str
    valid: Examples | None = None
    remarks: tuple[str, ...] = ()

    @property
    @abc.abstractmethod
    def batches(self) -> int:
        """The number of batches in an epoch."""

    @abc.abstractmethod
    def batch(self, epoch: int, number: int) -> Batch:
        """Return one batch, by numbers from 0: the same one each time, whatever was asked for in between.

        It is called in another thread while the previous batch is in use, so that one must not change.
        """

    def columns(self, epoch: int, number: int, choose: Choose) -> Batch | None:
        """Return some samples of a batch, for a process that shares it with others; none of the others is made.

        Parameters
        ----------
        epoch, number : int
            As `batch` takes them.
        choose : function (samples, lengths) -> Array
            Is called once: with the number of samples of the whole batch, and their lengths, None where the batch has
            none. Returns the numbers of the samples to make.

        Returns
        -------
        Batch or None
            Those samples, in that order, with as many steps as the longest of them needs at least. By default None: the
            whole batch is made.
        """
        return None

    @abc.abstractmethod
    def shape(self, number: int) -> tuple[int, int]:
        """Return the steps and samples that batch `number` of an epoch has at most, for planning."""
