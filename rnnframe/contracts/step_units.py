"""`StepUnits`: single time steps in the units of a task's data, for a model that runs as values arrive."""

import abc
from collections.abc import Mapping
from typing import Any

from rnnframe.arrays import Array


class StepUnits(abc.ABC):
    """From what a person gives for a time step to what the network reads, and from its outputs to predictions."""

    @abc.abstractmethod
    def read(self, value: Any) -> Array:
        """Return what the network reads.

        Parameters
        ----------
        value : object
            The values of one step, such as a number, a list or a mapping from names to numbers; for a text, all of its
            symbols, each of which is a step.

        Returns
        -------
        Array
            Numbers [steps, inputs], or row numbers [steps].

        Raises
        ------
        DataError
            For a value that does not fit.
        """

    @abc.abstractmethod
    def write(self, outputs: Array) -> Mapping[str, Any]:
        """Return the predictions of a step by name, as texts and numbers.

        Parameters
        ----------
        outputs : Array
            What the head predicts, [outputs].
        """
