"""A trained model: a network, its task, and what the task learnt from the data besides the parameters."""

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from rnnframe.contracts.task import Alphabet, Task
from rnnframe.errors import RunError
from rnnframe.network.network import Network
from rnnframe.registry.registry import Registry, default_registry
from rnnframe.registry.specs import render


@attrs.frozen(kw_only=True, eq=False)
class Model:
    """A network with its task.

    Parameters
    ----------
    network
        The network, with its parameters.
    task
        The task that it was trained for.
    learnt
        What the task learnt from the data: an object of `Task.learns`.
    """

    network: Network
    task: Task
    learnt: Any

    @classmethod
    def described(cls, about: Mapping[str, Any], registry: Registry | None = None) -> "Model":
        """Return the model of a description, with parameters that are still to be filled in.

        Raises `KeyError`, `TypeError`, `ValueError` or an error of rnnframe if the description is invalid.
        """
        registry = registry or default_registry()
        task = registry.task(about["task"])
        network = Network(**about["network"], registry=registry)
        learnt = task.learns(**about["learnt"])
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

    def alphabet(self) -> Alphabet:
        """Return the table from the network's numbers to text; raises `RunError` if the network writes no text."""
        alphabet = self.task.alphabet(self.learnt)
        if alphabet is None:
            raise RunError(f"a model of task {self.task.name!r} writes no text; use `rnnframe predict`")
        return alphabet
