"""`Stream`: a network at work step by step, as values arrive."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnframe.arrays import Array, Arrays, Vector, outside
from rnnframe.contracts.kernels import AUTO, Kernels
from rnnframe.data.foreign import as_array
from rnnframe.data.state import fill_state
from rnnframe.data.turn import Turn
from rnnframe.errors import DataError, OptionError, UsageError
from rnnframe.network.stream_parts import Runner, runners
from rnnframe.registry.kernels import choose

if TYPE_CHECKING:
    from rnnframe.network.prediction import PredictingLayerModel


class Stream:
    """A network that is handed one time step after the other: `network.stream()`.

    It has the parameters that the network had when the stream was made, packed once, and all its arrays; a step makes
    nothing but its result. The layers that compiled kernels have twins of run in one call, others each by itself as
    they were written. With compiled kernels a step gives the bits that `Inference.predict` gives of the whole sequence;
    numpy multiplies a matrix of one row and of many with other roundings, so that there it gives those of `predict` for
    one step at a time.

    A stream is for one thread: while a call is at work another one raises `BusyError`. Make one for each thread, from
    the same network; compiled steps run at the same time.

    Parameters
    ----------
    network : Network
        What is run.
    batch : int
        Samples side by side, such as sessions.
    kernels : Kernels or str
        What computes the layers, as `Engine` takes it.

    Raises
    ------
    OptionError
        For a batch that is no number of samples.
    """

    def __init__(self, network: "PredictingLayerModel", batch: int = 1, kernels: str | Kernels = AUTO) -> None:
        if not isinstance(batch, int | np.integer) or isinstance(batch, bool) or batch < 1:
            raise OptionError(f"batch={batch!r} is invalid; expected a number of samples of at least 1")
        running = network.on(choose(kernels, network.registry))
        self.network, self.batch = network, int(batch)
        self._running = running
        self._buffers = running.step_buffers(self.batch)
        self._lookup = running.data_format.lookup
        self._state = running.new_state(self.batch)
        self._states = {name: before for name, before, _ in self._buffers.states()}
        self._starts = dict(zip(self._states, self._buffers.starts(), strict=True))
        self._row, self._numbers = np.zeros((self.batch, network.inputs), network.dtype), np.zeros(self.batch, np.int64)
        self._dtype, self._shape = self._row.dtype, self._row.shape
        self._dense = self._made(self._row[None])
        self._by_number: list[Runner] = []
        self._copied: Callable[[], Array] = self._buffers.outputs[0].copy
        self._turn = Turn("stream")
        self.reset()

    def __reduce__(self) -> Any:
        """Refuse to be copied or pickled: compiled steps work at the addresses of these arrays."""
        raise UsageError("a stream cannot be copied or pickled; make another one: network.stream()")

    def _made(self, x: Array) -> list[Runner]:
        return runners(self._buffers.parts(x), self._running.kernels_used, self._running.registry)

    def step(self, x: Any) -> Array:
        """Run one time step and return what is predicted.

        Parameters
        ----------
        x : Array
            The inputs of each sample [B, inputs], or row numbers [B] that are looked up.

        Returns
        -------
        Array
            The predictions [B, outputs], a new array.

        Raises
        ------
        DataError
            For what does not fit; the state stays as it was.
        BusyError
            While another call is at work.
        """
        with self._turn.take():
            if type(x) is np.ndarray and x.dtype == self._dtype and x.shape == self._shape:
                self._row[...] = x  # what most steps are given; a call more would take a twentieth of a step
                runners = self._dense
            else:
                runners = self._taken(as_array(x, "x"))
            for run in runners:
                if run():
                    raise self._wrong(runners)
            return self._copied()

    def _taken(self, x: Any) -> list[Runner]:
        """Copy the inputs to where they are read, and return what runs the step."""
        if x.ndim == 1 and self._lookup:
            return self._looked_up(x)
        if tuple(x.shape) != self._shape or x.dtype.kind not in "fiub":
            raise self._refused(x)
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            np.copyto(self._row, x, casting="unsafe")
        return self._dense

    def _looked_up(self, x: Any) -> list[Runner]:
        if tuple(x.shape) != self._numbers.shape or x.dtype.kind not in "iu":
            raise self._refused(x)
        np.copyto(self._numbers, x, casting="unsafe")
        if not self._by_number:
            self._by_number = self._made(self._numbers[None])
        return self._by_number

    def _wrong(self, runners: list[Runner]) -> DataError:
        """Return what to raise for inputs of the right shape whose values no network takes."""
        if runners is self._dense:
            return DataError("x holds NaN or infinite values; remove or replace them")
        wrong, count = outside(self._numbers, self.network.inputs), self.network.inputs
        return DataError(f"x holds {wrong}; a network with inputs={count} takes 0 to {count - 1}")

    def _refused(self, x: Any) -> DataError:
        wanted = f"numbers [{self.batch}, {self.network.inputs}]"
        wanted += f" or row numbers (integers [{self.batch}])" if self._lookup else ""
        return DataError(f"x has shape {list(x.shape)} and holds {x.dtype}; a step of this stream takes {wanted}")

    def reset(self, samples: Iterable[int] | None = None) -> None:
        """Begin again, with a state of zeros or with learnt starts.

        Parameters
        ----------
        samples : iterable of int, or None
            The samples that begin again; None for all.

        Raises
        ------
        DataError
            For what is no number of a sample.
        """
        with self._turn.take():
            self._begin(slice(None) if samples is None else self._places(samples))

    def _begin(self, samples: Any) -> None:
        for name, before in self._states.items():
            before[samples] = self._starts[name]

    def _places(self, samples: Iterable[int]) -> Array:
        places = np.asarray(as_array(samples if isinstance(samples, Sequence) else [*samples], "samples"))
        if not places.size:
            return np.zeros(0, np.int64)
        if places.ndim != 1 or places.dtype.kind not in "iu" or places.min() < 0 or places.max() >= self.batch:
            raise DataError(f"samples={samples!r} is invalid; expected a list of numbers from 0 to {self.batch - 1}")
        return places

    @property
    def state(self) -> Vector:
        """The state after the last step, a copy: name -> [B, width], as `Inference.predict` takes and returns it.

        What is assigned to it is the state that the next step begins with; None is the one after `reset`.
        """
        with self._turn.take():
            state = self._running.new_state(self.batch)
            for name, before in self._states.items():
                state[name][...] = before
            return state

    @state.setter
    def state(self, given: Arrays | None) -> None:
        with self._turn.take():
            if given is None:
                return self._begin(slice(None))
            fill_state(self._state, given, self.batch, slice(None))
            for name, before in self._states.items():
                before[...] = self._state[name]
