"""What a stream runs at every step: the layers, the readout, the prediction; and which of them run in one call."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.head import Head
from rnnframe.contracts.kernels import Kernels
from rnnframe.contracts.layer import BlockPass
from rnnframe.contracts.loss import Loss
from rnnframe.contracts.steps import AdvanceStep, InputStep, LayerStep, PredictionStep, ReadoutStep, StepPart
from rnnframe.network.placed import PlacedLayer, head_note
from rnnframe.network.scratch import Scratch
from rnnframe.network.starts import starts_of
from rnnframe.network.tapes import Tape
from rnnframe.network.weights import Weights
from rnnframe.registry.registry import Registry

Runner: TypeAlias = Callable[[], object]


@attrs.frozen(eq=False)
class StepBuffers:
    """All that a step of `batch` samples reads and writes but its inputs: made once, at addresses that stay."""

    layers: tuple[PlacedLayer, ...]
    head: Head | None
    weights: Weights
    tape: Tape
    scratch: Scratch
    batch: int
    outputs: Array = attrs.field(init=False)
    """What is returned of a step, [1, B, outputs]."""

    @outputs.default
    def _outputs(self) -> Array:
        if self.head is None:
            top: Array = self.layers[-1].output(self.arrays[-1])
            return top
        return np.zeros((1, self.batch, self.head.width), self.weights.parameters.flat.dtype)

    @property
    def arrays(self) -> list[dict[str, Array]]:
        """The arrays of each layer for one step; a state has two rows, before and after."""
        return self.tape.layers(1)

    def states(self) -> Iterator[tuple[str, Array, Array]]:
        """Yield the name of each state with its arrays [B, width] before and after the step."""
        for at, arrays in zip(self.layers, self.arrays, strict=True):
            for name in at.state:
                yield f"{at.prefix}.{name}", arrays[name][0], arrays[name][1]

    def starts(self) -> list[Array | int]:
        """Return what each of these states begins with."""
        return list(starts_of(self.layers, self.weights.layers))

    def parts(self, x: Array) -> list[tuple[StepPart, AbstractContextManager[Any] | None]]:
        """Return the parts of a step with inputs x [1, B, inputs] or [1, B], each with what names it in errors.

        The states change last: a step that fails leaves them as they were.
        """
        parts: list[tuple[StepPart, AbstractContextManager[Any] | None]] = [(InputStep(x, self.layers[0].inputs), None)]
        size = 1, self.batch
        for at, weights, arrays in zip(self.layers, self.weights.layers, self.arrays, strict=True):
            working = self.scratch.part(at.number, size)
            block = BlockPass(weights, x, arrays, working, at.inputs, at.number, samples=slice(0, self.batch))
            parts.append((LayerStep(at.layer, block), at.note))
            x = at.output(arrays)
        if self.head is not None:
            readout, loss = self.head.readout, self.head.loss
            working, note = self.scratch.part(-1, size), head_note(self.head, self.layers[-1].describe)
            parts.append((ReadoutStep(readout, self.weights.head, x, working, self.outputs), note))
            if type(loss).prediction is not Loss.prediction:
                parts.append((PredictionStep(loss, self.outputs), note))
        states = tuple((before, after) for _, before, after in self.states())
        return [*parts, (AdvanceStep(states), None)] if states else parts


def runners(
    parts: Sequence[tuple[StepPart, AbstractContextManager[Any] | None]], kernels: Sequence[Kernels], registry: Registry
) -> list[Runner]:
    """Return the functions that run parts of a step; neighbours that kernels run in one call are one function."""
    found: list[Runner] = []
    first = 0
    while first < len(parts):
        stop, joined = len(parts), None
        while stop > first:
            joined = _joined([part for part, _ in parts[first:stop]], kernels, registry)
            if joined is not None:
                break
            stop -= 1
        if joined is None:
            stop, joined = first + 1, _by_itself(*parts[first])
        found.append(joined)
        first = stop
    return found


def _joined(parts: list[StepPart], kernels: Sequence[Kernels], registry: Registry) -> Runner | None:
    for each in kernels:
        with registry.blame("kernels", type(each)):
            runner = each.joined(parts)
        if runner is not None:
            return runner
    return None


def _by_itself(part: StepPart, note: AbstractContextManager[Any] | None) -> Runner:
    def run() -> object:
        """Run the part; numpy is told to be silent about what overflows, as where a sequence is predicted."""
        with np.errstate(over="ignore"):
            if note is None:
                return part.run()
            with note:
                return part.run()

    return run
