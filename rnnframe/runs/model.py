"""Trained models: a network alone, or with the task that it is for and what was learnt from the data."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.alphabet import Alphabet
from rnnframe.contracts.dataset import Examples
from rnnframe.contracts.kernels import AUTO, Kernels
from rnnframe.contracts.task import Task
from rnnframe.engine.inference import Inference
from rnnframe.errors import RunError, UsageError
from rnnframe.network.network import Network
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.registry.specs import render
from rnnframe.runs.sampling import Drawing, sample_text
from rnnframe.runs.scoring import Score, predictions, score
from rnnframe.runs.task_stream import Symbols, TaskStream


@attrs.frozen(kw_only=True, eq=False)
class Model:
    """A network, ready to predict for arrays.

    Parameters
    ----------
    network
        The network with its parameters.
    kernels
        What computes its cells, as `Inference` takes it.
    """

    network: Network
    kernels: str | Kernels = AUTO

    def inference(self) -> Inference[Network]:
        """Return what runs the network and keeps its buffers from call to call, for a state that is carried along."""
        return Inference(self.network, kernels=self.kernels)

    def stream(self) -> Any:
        """Return what runs the network step by step, as `Network.stream` does."""
        return self.network.stream(kernels=self.kernels)

    def predict(self, data: Any) -> Any:
        """Return what the head predicts at every step, [T, B, outputs].

        Parameters
        ----------
        data
            An array as the network reads it: numbers [T, B, inputs], or integers [T, B] that are looked up.

        Raises
        ------
        DataError
            For arrays that do not fit the network.
        """
        return self.inference().predict(data)[0]

    def evaluate(self, data: Any) -> Score:
        """Return how well the network does on a pair of arrays (x, y), as `Engine.gradients` takes them.

        Raises
        ------
        UsageError
            For what is no pair, or does not fit the network.
        """
        try:
            x, y = data
        except (TypeError, ValueError):
            raise UsageError(f"a network is evaluated on a pair of arrays (x, y), not on {data!r:.80}") from None
        found = self.inference().evaluate(x, y)
        return Score(loss=found.loss, count=found.count, measures={})

    def sample(
        self,
        length: int = 500,
        *,
        prime: str | None = None,
        temperature: float = 0.8,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str:
        """Return text that the network writes, where its task has an alphabet.

        Parameters
        ----------
        length
            Characters to write, or tokens where the model reads these.
        prime
            Text to go on from; by default what the alphabet says.
        temperature
            1 draws as the network predicts, less makes likely characters likelier, 0 takes the likeliest.
        top_k
            Draw from so many of the likeliest characters alone.
        top_p
            Draw from the likeliest characters alone that have this probability together.
        seed
            Of the draws.

        Raises
        ------
        RunError
            Where it writes no text.
        """
        return sample_text(
            self.network,
            self.alphabet(),
            length,
            prime=prime,
            drawing=Drawing(temperature=temperature, top_k=top_k, top_p=top_p),
            seed=seed,
            kernels=self.kernels,
        )

    def alphabet(self) -> Alphabet:
        """Return what turns the network's numbers into text; raises `RunError` where it writes none."""
        raise RunError("a network that was saved without a task writes no text; load the run folder that it is from")


@attrs.frozen(kw_only=True, eq=False)
class TaskModel(Model):
    """A network with its task: it reads files, and predicts in the units of their data.

    Parameters
    ----------
    network, kernels
        As for every model.
    task
        What it was trained for.
    learnt
        What was learnt from the data besides the parameters, such as scales or a vocabulary: a `Task.learns`.
    batch
        Samples that are read side by side.
    """

    task: Task
    learnt: Any
    batch: int = 32

    @classmethod
    def described(cls, about: Mapping[str, Any], registry: Registry | None = None) -> "TaskModel":
        """Return the model of a description, its parameters still to be filled in.

        Raises `KeyError`, `TypeError`, `ValueError` or an error of rnnframe if the description is invalid.
        """
        registry = registry or default_registry()
        task = registry.task(about["task"])
        network = Network(**about["network"], registry=registry)
        learnt = task.learns(**about["learnt"])
        with registry.blame("task", type(task)):
            alphabet = task.alphabet(learnt)
        if alphabet is not None:
            try:
                alphabet.decode(np.array([network.outputs_width - 1]))
            except IndexError:
                raise RunError(
                    f"a network of {network.outputs_width} outputs writes more than what was learnt"
                ) from None
        return cls(network=network, task=task, learnt=learnt)

    def describe(self) -> dict[str, Any]:
        """Return a description of this model without its parameters, as JSON values."""
        return {"network": self.network.specs(), "task": render(self.task), "learnt": attrs.asdict(self.learnt)}

    def stream(self) -> TaskStream:
        """Return what follows one sequence as its values arrive, in the units of the data.

        Raises
        ------
        UsageError
            For a task whose steps cannot be read one by one.
        """
        with self.network.registry.blame("task", type(self.task)):
            alphabet = self.task.alphabet(self.learnt)
            units = self.task.step_units(self.learnt) if alphabet is None else Symbols(alphabet)
        if units is None:
            raise UsageError(
                f"a model of task {self.task.name!r} reads no single steps; run its network on arrays: "
                "model.network.stream()"
            )
        return TaskStream(units, self.network.stream(kernels=self.kernels))

    def predict(self, data: Any) -> dict[str, Array]:
        """Return what is predicted for all of a file, as columns by name in the units of the data.

        They are those that `rnnframe predict` writes.

        Parameters
        ----------
        data
            The path of a file as the task reads it; its targets, if any, are not needed.

        Raises
        ------
        DataError
            For a file that cannot be read or does not fit the model.
        """
        examples = self.examples(data)
        pieces = list(examples.table(predictions(self.inference(), examples)))
        return {name: np.concatenate([piece[name] for piece in pieces]) for name in (pieces[0] if pieces else ())}

    def evaluate(self, data: Any) -> Score:
        """Return the mean loss on all of a file, and what else the task measures.

        Parameters
        ----------
        data
            The path of a file as the task reads it, with targets.

        Raises
        ------
        DataError
            For a file that cannot be read, does not fit the model, or has no targets.
        """
        return score(self.inference(), self.examples(data))

    def examples(self, data: Any, batch: int | None = None) -> Examples:
        """Return what the task reads from a file, so many samples side by side."""
        registry = self.network.registry
        with registry.blame("task", type(self.task)):
            return self.task.examples(self._path(data), self.learnt, batch or self.batch)

    def table_of_text(self) -> Alphabet | None:
        """Return the table from the network's numbers to text; None where the network writes no text."""
        with self.network.registry.blame("task", type(self.task)):
            return self.task.alphabet(self.learnt)

    def alphabet(self) -> Alphabet:
        """Return the table from the network's numbers to text; raises `RunError` if the network writes no text."""
        alphabet = self.table_of_text()
        if alphabet is None:
            raise RunError(f"a model of task {self.task.name!r} writes no text; use `rnnframe predict`")
        return alphabet

    def _path(self, data: Any) -> str:
        if not isinstance(data, str | Path):
            raise UsageError(
                f"a model of task {self.task.name!r} reads files, not {type(data).__name__}; "
                "give a path, or run its network on arrays: model.inference().predict(x)"
            )
        return str(data)
