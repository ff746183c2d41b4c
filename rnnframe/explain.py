"""What of the past does each gradient need? Asked of the code itself, for any cell.

One step of a cell is run forward and reversed many times, each time with one array spoilt by NaN before the reverse:
the gradients that turn into NaN are the ones that need it. Nothing is declared, so nothing can be declared wrongly.
"""

from collections.abc import Iterator

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts import Cell
from rnnframe.network import Network

BATCH = 2


@attrs.frozen
class Need:
    """An array that a step makes or reads: its values per sample, and the gradients of that step that need it."""

    array: str
    role: str
    values: int
    gradients: tuple[str, ...]


def needs_of(cell: Cell, inputs: int) -> list[Need]:
    """Return every array of one step of `cell`, with the gradients that cannot be computed without it.

    Names: x_t, the state before the step (h_(t-1)), what the step leaves (h_t, gates_t, ...), and the parameters.
    """
    network = Network(cells=[cell], head="mse:outputs=1", inputs=inputs, dtype="float64")
    rng = np.random.default_rng(0)
    network.parameters.flat[:] = rng.uniform(-0.5, 0.5, network.parameters.flat.shape)
    network.weights.derive()
    step = _Step(network, cell, inputs, rng)
    return [Need(name, role, values, step.spoilt_by(name)) for name, role, values in step.arrays()]


class _Step:
    """One step of the first layer of a network, run forward; it can be reversed with any array spoilt."""

    def __init__(self, network: Network, cell: Cell, inputs: int, rng: np.random.Generator) -> None:
        self.network, self.cell = network, cell
        self.x = rng.standard_normal((1, BATCH, inputs))
        self.state = network.new_state(BATCH)
        self.state.flat[:] = rng.uniform(-0.5, 0.5, self.state.flat.shape)

    def arrays(self) -> Iterator[tuple[str, str, int]]:
        """Yield name, role and values per sample of every array of the step."""
        yield "x_t", "input", self.x.shape[2]
        state, tape = self.cell.state(), self.cell.tape()
        for name, width in state.items():
            yield f"{name}_(t-1)", "state", width
        for name, width in tape.items():
            yield f"{name}_t", "state" if name in state else "tape", width
        for name, shape in self.cell.parameters(self.x.shape[2]).items():
            yield name, "parameter", int(np.prod(shape))

    def spoilt_by(self, name: str) -> tuple[str, ...]:
        """Return the gradients that are NaN when the array of that name is."""
        network = self.network
        tape, scratch = network.new_tape(1, BATCH), network.new_scratch(1, BATCH)
        state = self.state.copy()
        x = self.x.copy()
        network.weights.derive()
        network.forward(network.weights, x, state, tape, scratch)
        arrays = tape.layers(1)[0]
        gradients, dstate = network.new_gradients(), network.new_state(BATCH)
        dx = np.empty_like(x)
        weights = dict(network.weights.layers[0])
        if name == "x_t":
            x[...] = np.nan
        elif name in self.cell.parameters(x.shape[2]):
            weights = self._spoilt_weights(name)
        else:
            self._spoil(arrays, name)
        dh = np.ones((1, BATCH, self.cell.hidden))
        mine = {key: np.full_like(value, 0.5) for key, value in dstate.group("layer0").items()}
        with np.errstate(all="ignore"):
            self.cell.backward(weights, x, arrays, dh, mine, gradients.group("layer0"), scratch.parts(1)[0], dx)
        found = {f"d{key}": value for key, value in gradients.group("layer0").items()}
        found |= {"dx_t": dx} | {f"d{key}_(t-1)": value for key, value in mine.items()}
        return tuple(key for key, value in found.items() if np.isnan(value).any())

    def _spoil(self, arrays: dict[str, Array], name: str) -> None:
        key, before = (
            (name.removesuffix("_(t-1)"), True) if name.endswith("_(t-1)") else (name.removesuffix("_t"), False)
        )
        rows = arrays[key]
        rows[0 if before else -1] = np.nan

    def _spoilt_weights(self, name: str) -> dict[str, Array]:
        """Return the weights with one parameter spoilt, and with it all that is derived from it."""
        twin = self.network.new_weights()
        twin.copy_from(self.network.weights)
        twin.layers[0][name][...] = np.nan
        twin.derive()
        return twin.layers[0]
