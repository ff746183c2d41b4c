"""What a network is trained for: a `Task` opens data, and gives the batches to train on and to be judged on.

    task = rnnframe.default_registry().task("characters")
    data = task.open(Setting(data="book.txt", batch=32))   # a Dataset: learnt facts, batches, validation
    data.batch(epoch=0, number=3)                          # a Batch; the same one each time it is asked for
    task.examples("other.txt", data.learnt, batch=32)      # Examples for a model that was trained before

Nothing here runs a network: `rnnframe.training` trains on a dataset, `rnnframe.runs.scoring` judges and predicts.
"""

import abc
from typing import Any, ClassVar

import attrs
from attrs.validators import ge

from rnnframe.contracts.alphabet import Alphabet
from rnnframe.contracts.dataset import Dataset, Examples
from rnnframe.contracts.step_units import StepUnits


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
        Share of the data that is kept for validation, below 1. It is 0 for tasks alone whose `Task.takes` has "all".
    seed : int
        Of all random numbers.
    learnt : object or None
        What a model has learnt, which goes on with this data: an object of `Task.learns`. Its scales, names and symbols
        are kept, since the parameters were trained with them. None as a rule; tasks alone are told it whose
        `Task.takes` has "learnt".
    """

    data: str | None = None
    batch: int = attrs.field(default=32, validator=ge(1))
    steps: int = attrs.field(default=64, validator=ge(1))
    held_out: float = 0.1
    seed: int = 0
    learnt: Any = None


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
    """Which of these parts of a setting matter; another one that is set is refused.

    Beside the names of fields it may hold "all": `held_out` may be 0. All of the data is then trained on,
    `Dataset.valid` is None, and any other file can be the held-out part (`rnnframe train --valid`). And "learnt":
    `Setting.learnt` may be given, so that a training can start from a run (`rnnframe train --init-from`).
    """
    predicts_inputs: ClassVar[bool] = False
    """Whether targets are inputs of later steps, or follow from them: a layer of two directions would read them."""
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

    def step_units(self, learnt: Any) -> StepUnits | None:
        """Return what makes inputs and predictions of single steps, for a model that runs as values arrive.

        By default None; a task with an alphabet needs none. Raises `UsageError` where the task's options do not allow
        it.
        """
        return None

    def alphabet(self, learnt: Any) -> Alphabet | None:
        """Return what turns numbers into text where the network predicts its own next input; else None."""
        return None
