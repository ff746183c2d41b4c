"""Which gradient needs which array of the past? Found by experiment, for any cell.

One step of a cell is run forward and reversed many times, each time with one array corrupted before the reverse: by
NaN, and by the opposite sign, since a comparison hides NaN. The gradients that change need the array.
"""

from collections.abc import Iterator, Sequence

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.kernels import Kernels
from rnnframe.contracts.layer import BlockPass, Layer
from rnnframe.data.pieces import Block
from rnnframe.network.network import Network

BATCH = 2


@attrs.frozen
class Dependency:
    """An array that a step makes or reads: its values per sample, and the gradients of that step that need it."""

    array: str
    role: str
    values: int
    gradients: tuple[str, ...]


def dependencies_of(cell: Layer, inputs: int, kernels: Sequence[Kernels] = ()) -> list[Dependency]:
    """Return every array of one step of `cell`, with the gradients that cannot be computed without it.

    If one of the kernels has a twin of the cell, the twin is tested instead. The names are x_t, the state before
    the step (h_(t-1)), the arrays that the step leaves (h_t, gates_t, ...), and the parameters.
    """
    network = Network(cells=[cell], head=f"mse:outputs={inputs},at=last", inputs=inputs, dtype="float64").on(kernels)
    rng = np.random.default_rng(0)
    network.parameters.flat[:] = rng.uniform(-0.5, 0.5, network.parameters.flat.shape)
    network.weights.derive()
    step = _Step(network, inputs, rng)
    return [Dependency(name, role, values, step.spoilt_by(name)) for name, role, values in step.arrays()]


class _Step:
    """One step of the first layer of a network, run forward; it can be reversed with any array corrupted."""

    def __init__(self, network: Network, inputs: int, rng: np.random.Generator) -> None:
        self.network, self.cell = network, network.layers[0].layer
        self.x = rng.standard_normal((1, BATCH, inputs))
        self.state = network.new_state(BATCH)
        self.state.flat[:] = rng.uniform(-0.5, 0.5, self.state.flat.shape)

    def arrays(self) -> Iterator[tuple[str, str, int]]:
        """Yield name, role and values per sample of every array of the step."""
        yield "x_t", "input", self.x.shape[2]
        state, tape = self.network.layers[0].state, self.network.layers[0].tape
        for name, width in state.items():
            yield f"{name}_(t-1)", "state", width
        for name, width in tape.items():
            yield f"{name}_t", "state" if name in state else "tape", width
        for name, shape in self.cell.parameters(self.x.shape[2]).items():
            yield name, "parameter", int(np.prod(shape))

    def spoilt_by(self, name: str) -> tuple[str, ...]:
        """Return the gradients that change when the array of that name is NaN, or has the opposite sign."""
        whole, *spoilt = (self._gradients(name, factor) for factor in (1.0, np.nan, -1.0))
        return tuple(key for key in whole if any(not np.array_equal(whole[key], other[key]) for other in spoilt))

    def _gradients(self, name: str, factor: float) -> dict[str, Array]:
        """Return all gradients of the step, with its array `name` multiplied by `factor` before the reverse."""
        network = self.network
        tape, scratch = network.new_tapes(1, BATCH).make(), network.new_scratch(1, BATCH)
        x = self.x.copy()
        network.forward(network.weights, Block.whole(x, None), self.state.copy(), tape, scratch)
        arrays, weights = tape.layers(1)[0], network.weights.layers[0]
        if name == "x_t":
            x *= factor
        elif name in self.cell.parameters(x.shape[2]):
            weights = self._changed_weights(name, factor)
        elif name.endswith("_(t-1)"):
            arrays[name.removesuffix("_(t-1)")][0] *= factor
        else:
            arrays[name.removesuffix("_t")][-1] *= factor
        gradients = network.new_gradients().group("layer0")
        dx = np.empty((2, *x.shape) if self.cell.both_ways else x.shape)
        dh = np.ones((1, BATCH, self.network.layers[0].width))
        dstate = {key: np.full_like(value, 0.5) for key, value in network.new_state(BATCH).group("layer0").items()}
        with np.errstate(all="ignore"):
            block = BlockPass(weights, x, arrays, scratch.part(0, (1, BATCH)), x.shape[2])
            self.cell.backward(block, dh, dstate, gradients, dx)
        found = {f"d{key}": value for key, value in gradients.items()}
        return found | {"dx_t": dx} | {f"d{key}_(t-1)": value for key, value in dstate.items()}

    def _changed_weights(self, name: str, factor: float) -> dict[str, Array]:
        """Return the weights with one parameter changed, and with the arrays derived from it."""
        twin = self.network.weights.copy()
        twin.parameters[f"layer0.{name}"][...] *= factor
        twin.derive()
        return twin.layers[0]
