"""What a network is trained for: a `Task` opens data, and gives the batches to train on and to be judged on.

    task = rnnframe.default_registry().task("characters")
    data = task.open(Setting(data="book.txt", batch=32))   # a Dataset: learnt facts, batches, validation
    data.batch(epoch=0, number=3)                          # a Batch; the same one each time it is asked for
    task.examples("other.txt", data.learnt, batch=32)      # Examples for a model that was trained before

Nothing here runs a network: `rnnframe.training` trains on a dataset, `rnnframe.runs.scoring` judges and predicts.
"""

import abc
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

import attrs
from attrs.validators import ge

from rnnframe.arrays import Array
from rnnframe.contracts.head import Head
from rnnframe.data.batch import Batch


@attrs.frozen(kw_only=True)
class Setting:
    """What a task knows of the training that it opens data for.

    Parameters
    ----------
    data : str or None
        The file; None for the task's own data.
    batch : int
        Samples of a batch.
    steps : int
        Steps of a training sequence, for data without ends of its own.
    held_out : float
        Share of the data that is kept for validation, from 0 to 1.
    seed : int
        Of all random numbers.
    """

    data: str | None = None
    batch: int = attrs.field(default=32, validator=ge(1))
    steps: int = attrs.field(default=64, validator=ge(1))
    held_out: float = 0.1
    seed: int = 0


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


class Alphabet(Protocol):
    """What the numbers stand for that a network reads and predicts, where it writes text."""

    @property
    def start(self) -> str:
        """The text to go on from where none is given."""
        ...

    def encode(self, text: str) -> Array:
        """Return the numbers of a text; raises `DataError` for what the network does not know."""
        ...

    def decode(self, numbers: Array) -> str:
        """Return the text of numbers."""
        ...


@attrs.frozen(kw_only=True, eq=False)
class Examples(abc.ABC):
    """What a network is evaluated on: the held-out part of a dataset, or all of a file.

    Parameters
    ----------
    name : str
        Says which, in messages.
    remarks : tuple of str
        What a person should know of the file, such as what was not read of it: sentences without a full stop.
    """

    name: str
    remarks: tuple[str, ...] = ()
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

    @abc.abstractmethod
    def table(self, predicted: Iterable[Predicted]) -> Iterator[Mapping[str, Array]]:
        """Yield the predictions as a table, in pieces that all have the same columns.

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
    valid : Examples
        The held-out part.
    remarks : tuple of str
        What a person should know of the data, such as what was not read of a file: sentences without a full stop.
    """

    inputs: int
    looked_up: bool = False
    head: Head | str
    learnt: Any
    digest: str
    valid: Examples
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

    @abc.abstractmethod
    def shape(self, number: int) -> tuple[int, int]:
        """Return the steps and samples that batch `number` of an epoch has at most, for planning."""


@attrs.frozen
class NothingLearnt:
    """What a task stores with a model that learns nothing from the data but its parameters."""


@attrs.frozen(kw_only=True)
class Task(abc.ABC):
    """A kind of data and what is to be predicted of it. The fields are its options, as those of a cell are."""

    name: ClassVar[str]
    unit: ClassVar[str]
    """What the loss is in, such as "nats/char"."""
    counted: ClassVar[str] = "steps"
    """What the loss is a mean over, in the plural."""
    takes: ClassVar[tuple[str, ...]] = ("data", "steps", "held_out")
    """Which of these parts of a setting matter; another one that is set is refused."""
    learns: ClassVar[type[Any]] = NothingLearnt
    """The attrs class of what is learnt from the data and stored with the model (vocabulary, scales, labels).

    Its fields hold texts, numbers and lists of them; its validators refuse what is damaged.
    """

    @abc.abstractmethod
    def open(self, setting: Setting) -> Dataset:
        """Return the data to train on.

        Parameters
        ----------
        setting : Setting
            The file, the sizes and the seed.

        Returns
        -------
        Dataset
            Batches and examples.

        Raises
        ------
        DataError
            For a file that is missing or does not fit.
        """

    @abc.abstractmethod
    def examples(self, data: str, learnt: Any, batch: int) -> Examples:
        """Return all of a file as examples for a trained model.

        Parameters
        ----------
        data : str
            The file. Its targets may be missing.
        learnt : object
            What the model has learnt from its training data.
        batch : int
            Samples of a batch.

        Returns
        -------
        Examples
            The file.

        Raises
        ------
        DataError
            For a file that does not fit the model.
        """

    def alphabet(self, learnt: Any) -> Alphabet | None:
        """Return what turns numbers into text where the network predicts its own next input; else None."""
        return None
