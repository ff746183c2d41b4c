"""One block of one cell, with buffers of its own: the contract of `Layer` without network and engine.

Whatever a cell must not rely on is NaN before each call: the tape but for the state before the block, the working
arrays, and dx.
"""

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.contracts.layer import BlockPass, Layer, output_of
from rnnframe.contracts.retention import TapeRetention
from rnnframe.data.draws import Draw
from rnnframe.testing.guarded import Guarded

DRAW = Draw(seed=0, number=0)  # fixed: a block that is run again draws the same masks
SPREAD = 0.5  # of parameters and states: away from saturation, where differences would see nothing


@attrs.frozen(eq=False)
class Given:
    """What a block is given: x, the state before it, and the gradients that reach its outputs and its last state.

    `start` is the step of the sequence that it begins with.
    """

    x: Array
    state: dict[str, Array]
    dh: Array
    dstate: dict[str, Array]
    start: int = 0

    @property
    def where(self) -> str:
        """The case in words."""
        inputs = "looked-up" if self.x.ndim == 2 else "dense"
        return f"{inputs} inputs, block of {self.x.shape[0]}, batch of {self.x.shape[1]}"

    def part(self, start: int, stop: int, state: dict[str, Array], dstate: dict[str, Array]) -> "Given":
        """Return the steps [start, stop) with another state before and another gradient after them."""
        return Given(self.x[start:stop].copy(), state, self.dh[start:stop].copy(), dstate, self.start + start)


class Bench:
    """A cell with random parameters, for blocks of any size."""

    def __init__(self, cell: Layer, inputs: int, dtype: str = "float64", seed: int = 0) -> None:
        self.cell, self.inputs, self.dtype = cell, inputs, np.dtype(dtype)
        shapes, derived = dict(cell.parameters(inputs)), dict(cell.derived(inputs))
        self.parameters = list(shapes)
        self.weights = Guarded("weights", shapes | derived, self.dtype)
        self.draw(seed)

    def draw(self, seed: int) -> None:
        """Set every parameter to a random value: starting biases are often zero and would hide mistakes."""
        rng = np.random.default_rng(seed)
        for name in self.parameters:
            self.weights[name][...] = rng.normal(scale=SPREAD, size=self.weights[name].shape)
        self.derive()

    def derive(self) -> None:
        """Let the cell compute its derived arrays, which are NaN before."""
        for name in self.weights.keys() - set(self.parameters):
            self.weights[name].fill(np.nan)
        self.cell.derive(self.weights.handed())
        self.cell.derive_reverse(self.weights.handed())

    def given(self, steps: int, batch: int, seed: int = 0, *, lookup: bool = False) -> Given:
        """Return random inputs of one block."""
        rng = np.random.default_rng(1000 + seed)

        def normal(*shape: int) -> Array:
            return rng.normal(scale=SPREAD, size=shape).astype(self.dtype)

        rows = rng.integers(0, self.inputs, (steps, batch))
        dense = normal(steps, batch, self.inputs) * self.dtype.type(2)
        widths = self.cell.state(self.inputs).items()
        return Given(
            x=rows if lookup else dense,
            state={name: normal(batch, width) for name, width in widths},
            dh=normal(steps, batch, self.cell.width(self.inputs)),
            dstate={name: normal(batch, width) for name, width in widths},
        )

    def block(self, given: Given) -> "Block":
        """Return the buffers of one block."""
        return Block(self, given)


class Block:
    """The buffers of one block, and the two calls of the cell on them."""

    def __init__(self, bench: Bench, given: Given) -> None:
        cell, dtype = bench.cell, bench.dtype
        steps, batch = given.x.shape[:2]
        state, tape = cell.state(bench.inputs), cell.tape(bench.inputs)
        shapes = {name: (steps + (name in state), batch, width) for name, width in tape.items()}
        shapes |= {name: (2, batch, state[name]) for name in state.keys() - tape.keys()}
        scratch = {
            name: size if isinstance(size, tuple) else (steps, batch, size)
            for name, size in cell.scratch(bench.inputs).items()
        }
        self.bench, self.given = bench, given
        self.x = given.x.copy()
        self.tape = Guarded("tape", shapes, dtype)
        self.scratch = Guarded("scratch", scratch, dtype)
        self.buffers = Guarded("buffers", {"dh": given.dh.shape, "dx": (steps, batch, bench.inputs)}, dtype)
        self.dstate = Guarded("dstate", {name: value.shape for name, value in given.dstate.items()}, dtype)
        self.gradients = Guarded("gradients", {name: bench.weights[name].shape for name in bench.parameters}, dtype)
        self.gradients.fill(0)

    def forward(self, garbage: float = np.nan) -> None:
        """Run the block; tape and working arrays hold `garbage` before."""
        self.tape.fill(garbage)
        self.scratch.fill(garbage)
        for name, value in self.given.state.items():
            self.tape[name][0] = value
        with np.errstate(all="ignore"):
            self.bench.cell.forward(self._pass())

    def backward(self, garbage: float = np.nan, *, dx: bool = True) -> None:
        """Reverse the block; working arrays and dx hold `garbage` before."""
        self.scratch.fill(garbage)
        self.buffers["dx"].fill(garbage)
        self.buffers["dh"][...] = self.given.dh
        for name, value in self.given.dstate.items():
            self.dstate[name][...] = value
        buffers = self.buffers.handed()
        with np.errstate(all="ignore"):
            self.bench.cell.backward(
                self._pass(),
                buffers["dh"],
                self.dstate.handed(),
                self.gradients.handed(),
                buffers["dx"] if dx else None,
            )

    def _pass(self) -> BlockPass:
        """Return what the cell is handed."""
        weights, tape, scratch = self.bench.weights.handed(), self.tape.handed(), self.scratch.handed()
        return BlockPass(weights, self.x, tape, scratch, self.bench.inputs, start=self.given.start, draw=DRAW)

    def rebuild(self, retention: TapeRetention) -> None:
        """Rebuild what `retained_arrays(retention)` leaves out; that and the working arrays are NaN before."""
        cell = self.bench.cell
        for name in cell.tape(self.bench.inputs).keys() - set(cell.retained_arrays(self.bench.inputs, retention)):
            self.tape[name].fill(np.nan)
        for name, value in self.given.state.items():
            self.tape[name][0] = value
        self.scratch.fill(np.nan)
        with np.errstate(all="ignore"):
            cell.rebuild(self._pass(), retention)

    def run(self) -> "Block":
        """Run the block and reverse it."""
        self.forward()
        self.backward()
        return self

    @property
    def outputs(self) -> Array:
        """The outputs [L, B, width]."""
        array: Array = output_of(self.bench.cell, self.bench.inputs, self.tape)
        return array

    @property
    def last_state(self) -> dict[str, Array]:
        """The state after the block."""
        return {name: self.tape[name][-1] for name in self.given.state}

    def loss(self) -> float:
        """Return the number whose slopes `backward` computes: outputs and last state, weighed by dh and dstate."""
        after = self.last_state
        last = sum(float(np.vdot(value, after[name])) for name, value in self.given.dstate.items())
        return last + float(np.vdot(self.given.dh, self.outputs))

    def slopes(self) -> Arrays:
        """Return copies of everything that `backward` computes, by what it is the gradient of."""
        found = {name: array.copy() for name, array in self.gradients.items()}
        found |= {f"state {name}": array.copy() for name, array in self.dstate.items()}
        return found | {"x": self.buffers["dx"].copy()}

    def verify(self, who: str) -> None:
        """Fail where `who` wrote beside an array, or exchanged one."""
        for arrays in (self.bench.weights, self.tape, self.scratch, self.dstate, self.gradients, self.buffers):
            arrays.verify(who)
