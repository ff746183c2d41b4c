"""A trained model at work step by step, in the units of its data: `model.stream()`."""

from collections.abc import Mapping
from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays, Vector
from rnnframe.contracts.alphabet import Alphabet
from rnnframe.contracts.step_units import StepUnits
from rnnframe.errors import DataError
from rnnframe.network.stream import Stream


@attrs.frozen
class Symbols(StepUnits):
    """Text, symbol by symbol, and the symbol that the model expects next."""

    alphabet: Alphabet

    def read(self, value: Any) -> Array:
        """Return the numbers of the symbols of a text."""
        if not isinstance(value, str) or not value:
            raise DataError(f"x is {value!r:.60}; a model of text takes a text of at least one character")
        return np.asarray(self.alphabet.encode(value))

    def write(self, outputs: Array) -> dict[str, Any]:
        """Return the likeliest symbol and its probability."""
        likeliest = int(outputs.argmax())
        return {"likeliest": self.alphabet.decode(np.array([likeliest])), "probability": float(outputs[likeliest])}


class TaskStream:
    """One sequence that a trained model follows as its values arrive; made by `TaskModel.stream`.

    It holds what a `Stream` does, and is for one thread, as that is.
    """

    def __init__(self, units: StepUnits, stream: Stream) -> None:
        self._units, self._stream = units, stream

    def step(self, value: Any) -> Mapping[str, Any]:
        """Run a time step and return what is predicted by name, in the units of the data.

        Parameters
        ----------
        value
            The values of the step as the file has them: a list of numbers, or a mapping from names of columns to
            numbers; for a model of text a text, each symbol of which is a step.

        Raises
        ------
        DataError
            For a value that does not fit; the state stays as it was.
        """
        outputs = None
        for inputs in self._units.read(value):
            outputs = self._stream.step(inputs[None])
        assert outputs is not None
        return self._units.write(outputs[0])

    def reset(self) -> None:
        """Begin a new sequence."""
        self._stream.reset()

    @property
    def state(self) -> Vector:
        """The state after the last step, as that of a `Stream`; it can be assigned to."""
        return self._stream.state

    @state.setter
    def state(self, given: Arrays | None) -> None:
        self._stream.state = given
