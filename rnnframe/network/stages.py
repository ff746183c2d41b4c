"""Networks of two directions as stages: parts that are run one after the other, each over all of time.

A layer that reads both ways gives h_t on its way forward and k_t on its way back, so that y_t = [h_t, k_t] is known
when both ways have ended. What stands above waits for that, and what it reads is held: y [T, B, 2H]. So a layer of two
directions is a stage, and so is what stands below it and above it, up to the next such layer.

Where only the last step of a sample has a loss, and what lies above reads the ends of both directions or pools them
value by value, no step waits for another: after t steps of one sweep over both there are h_t and the k_(n+1-t) of the
other direction, and after the last one the same values have come. Then the layers above belong to the stage.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.contracts.head import Head
from rnnframe.contracts.layer import BlockPass, Layer, Widths
from rnnframe.contracts.retention import TapeRetention
from rnnframe.network.placed import PlacedLayer


def cut_into_stages(layers: Sequence[PlacedLayer], head: Head | None) -> list[tuple[PlacedLayer, ...]]:
    """Return the layers of each stage, from the inputs upwards; one stage where all can run in one sweep."""
    stages: list[list[PlacedLayer]] = []
    for place, at in enumerate(layers):
        if not stages or at.layer.both_ways or stages[-1][-1].layer.both_ways:
            stages.append([])
        stages[-1].append(at)
        if at.layer.both_ways and _meets_at_the_end(layers[place + 1 :], head):
            stages[-1] += layers[place + 1 :]
            return [tuple(stage) for stage in stages]
    if stages[-1][-1].layer.both_ways:
        stages.append([_passing_to_head(layers[-1])])
    return [tuple(stage) for stage in stages]


def _meets_at_the_end(above: Sequence[PlacedLayer], head: Head | None) -> bool:
    """Tell whether layers above two directions, and the head, may read the halves at different steps."""
    if head is None or head.loss.at != "last":
        return False
    rest = above[bool(above) and above[0].layer.order_free :]
    return not any(at.state or at.layer.both_ways for at in rest)


def _passing_to_head(top: PlacedLayer) -> PlacedLayer:
    """Return what the last stage consists of where a head reads the outputs of two directions."""
    return PlacedLayer(top.number + 1, Passing(), top.width, top.describe)


@attrs.frozen(kw_only=True)
class Passing(Layer):
    """A layer that passes on what it reads."""

    name: ClassVar[str] = "passing"
    output: ClassVar[str] = "x"

    def width(self, inputs: int) -> int:
        """That of the inputs."""
        return inputs

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """None."""
        return {}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Do nothing."""

    def tape(self, inputs: int) -> Widths:
        """The output."""
        return {self.output: inputs}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """Nothing: it is all in x."""
        return ()

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Copy x again."""
        np.copyto(block.tape[self.output], block.x)

    def forward(self, block: BlockPass) -> None:
        """Copy x."""
        np.copyto(block.tape[self.output], block.x)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Copy dL/dh."""
        if dx is not None:
            np.copyto(dx, dh)
