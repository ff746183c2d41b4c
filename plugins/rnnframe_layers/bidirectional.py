"""Two directions: Schuster & Paliwal (1997), "Bidirectional recurrent neural networks", IEEE Trans. Signal Process. 45.

    bidirectional(gru:hidden=64)     y = [h, k]: h of a GRU that reads x_1 ... x_n, k of another that reads x_n ... x_1

The two run in one sweep, one from each end of a sample, so that the halves of y after t steps are h_t and k_(n+1-t),
and after the last step the ends of both. What needs both of one step is another stage of the network, which runs later.
Only h and k stay with a chunk. Random masks of the second are drawn by the steps as it counts them: its step 0 is the
last of the sample.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, BlockPass, Layer, OptionError, Sizes, TapeRetention, Widths, output_of
from rnnframe_layers.blocks import MOST_LAYERS

DIRECTIONS = ("forward", "reverse")


@attrs.frozen(kw_only=True)
class Bidirectional(Layer):
    """A layer twice, with parameters for each direction: over the steps of a sample, and over them reversed."""

    name: ClassVar[str] = "bidirectional"
    output: ClassVar[str] = "y"
    both_ways: ClassVar[bool] = True
    multiplies: ClassVar[bool] = False
    layers: tuple[Layer, ...] = attrs.field(metadata={"help": "the layer, in brackets behind the name"})

    @layers.validator
    def _check_layers(self, _: Any, layers: tuple[Layer, ...]) -> None:
        if len(layers) != 1:
            raise OptionError(
                f"bidirectional(...) has {len(layers)} layers; expected one, as in 2*bidirectional(gru:hidden=64)"
            )
        if layers[0].both_ways:
            raise OptionError("bidirectional(...) holds a layer of two directions; expected one of one direction")

    @property
    def layer(self) -> Layer:
        """The layer that runs in each direction."""
        return self.layers[0]

    def accepts_strided_steps(self, inputs: int) -> bool:
        """As the layer."""
        return self.layer.accepts_strided_steps(inputs)

    def width(self, inputs: int) -> int:
        """Twice that of the layer."""
        return 2 * self.layer.width(inputs)

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Those of the layer, twice."""
        return _twice(self.layer.parameters(inputs))

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Each direction draws its own."""
        for direction in DIRECTIONS:
            self.layer.initialize(_own(parameters, direction), rng)

    def dropped_weights(self, inputs: int) -> Mapping[str, float]:
        """Those of the layer, twice."""
        return _twice(self.layer.dropped_weights(inputs))

    def state(self, inputs: int) -> Widths:
        """Those of the layer, twice."""
        return _twice(self.layer.state(inputs))

    def tape(self, inputs: int) -> Widths:
        """Those of the layer, twice, and y."""
        return {**_twice(self.layer.tape(inputs)), "y": self.width(inputs)}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Those of the layer, twice."""
        return _twice(self.layer.derived(inputs))

    def derive(self, weights: Arrays) -> None:
        """Each direction derives its own."""
        for direction in DIRECTIONS:
            self.layer.derive(_own(weights, direction))

    def derive_reverse(self, weights: Arrays) -> None:
        """Each direction derives its own."""
        for direction in DIRECTIONS:
            self.layer.derive_reverse(_own(weights, direction))

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """What the layer retains, twice."""
        kept = self.layer.retained_arrays(inputs, retention)
        return tuple(f"{direction}.{name}" for direction in DIRECTIONS for name in kept)

    @property
    def unrounded(self) -> tuple[str, ...]:
        """What the layer says, twice."""
        return tuple(f"{direction}.{name}" for direction in DIRECTIONS for name in self.layer.unrounded)

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Each direction, if it lacks arrays; then y."""
        tape = set(self.layer.tape(block.inputs))
        for part in self._passes(block):
            if tape - set(self.layer.retained_arrays(block.inputs, retention)):
                self.layer.rebuild(part, retention)
        self._join(block)

    def scratch(self, inputs: int) -> Sizes:
        """Those of the layer, for one direction at a time, and dL/dh of one."""
        inner = {f"inner.{name}": size for name, size in self.layer.scratch(inputs).items()}
        return {**inner, "half": self.layer.width(inputs)}

    def _passes(self, block: BlockPass) -> Iterator[BlockPass]:
        """Yield what each direction receives."""
        working = _own(block.scratch, "inner")
        for number, (direction, x) in enumerate(zip(DIRECTIONS, (block.x, block.reverse), strict=True)):
            yield attrs.evolve(
                block,
                weights=_own(block.weights, direction),
                x=block.x if x is None else x,
                tape=_own(block.tape, direction),
                scratch=working,
                layer=(block.layer + 1) * MOST_LAYERS + number,
                reverse=None,
            )

    def forward(self, block: BlockPass) -> None:
        """Both directions, and their outputs side by side."""
        for part in self._passes(block):
            self.layer.forward(part)
        self._join(block)

    def _join(self, block: BlockPass) -> None:
        outputs = [output_of(self.layer, block.inputs, _own(block.tape, direction)) for direction in DIRECTIONS]
        np.concatenate(outputs, axis=2, out=block.tape["y"])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Both directions, each with its half of dL/dy; dx [2, L, B, inputs]."""
        half, width = block.scratch["half"], self.layer.width(block.inputs)
        for number, (direction, part) in enumerate(zip(DIRECTIONS, self._passes(block), strict=True)):
            np.copyto(half, dh[..., number * width : (number + 1) * width])
            below = None if dx is None else dx[number]
            self.layer.backward(part, half, _own(dstate, direction), _own(gradients, direction), below)


def _twice(named: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{direction}.{name}": value for direction in DIRECTIONS for name, value in named.items()}


def _own(arrays: Mapping[str, Any], direction: str) -> dict[str, Any]:
    """Return the arrays of one direction by the names of the layer."""
    prefix = f"{direction}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
