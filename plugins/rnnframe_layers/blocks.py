"""Layers made of layers: what comes in goes around them and is added, or is mixed with what they make.

    residual  y = x + F(x)                               He, Zhang, Ren & Sun (2016), arXiv 1512.03385
    highway   y = t ∘ F(x) + (1 - t) ∘ x, t = σ(x T + b)  Srivastava, Greff & Schmidhuber (2015), arXiv 1505.00387

F is a stack of layers, cells among them: `residual(layer-norm mingru:hidden=64 dense:units=64)`. Its arrays have the
number of their layer in front, as in "0.U". y stays on no tape.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import attrs
import numpy as np

from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    Layer,
    OptionError,
    Sizes,
    TapeRetention,
    Widths,
    add_column_sums,
    add_product,
    output_of,
    panel_shape,
    rows,
)
from rnnframe_layers.activations import write_sigmoid
from rnnframe_layers.plain import fill_glorot

V = TypeVar("V")
MOST_LAYERS = 1024
"""A layer within a block is numbered beyond all layers of a network, so that its random masks are its own."""


LINE = 16
"""Values of float32 in a cache line, which is 64 bytes."""


@attrs.frozen
class Inner:
    """A layer of a block: its number in it, the layer, and the width of its inputs."""

    number: int
    layer: Layer
    inputs: int

    def named(self, arrays: Mapping[str, V]) -> dict[str, V]:
        """Return the layer's arrays as the block names them."""
        return {f"{self.number}.{name}": value for name, value in arrays.items()}

    def own(self, arrays: Mapping[str, V]) -> dict[str, V]:
        """Return the arrays of the layer by its own names."""
        prefix = f"{self.number}."
        return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


@attrs.frozen(kw_only=True)
class Residual(Layer):
    """y = x + F(x); F is a stack of layers that gives as many values as come in."""

    name: ClassVar[str] = "residual"
    output: ClassVar[str] = "y"
    multiplies: ClassVar[bool] = False
    layers: tuple[Layer, ...] = attrs.field(metadata={"help": "the layers of F, in brackets behind the name"})

    @layers.validator
    def _check_layers(self, _: Any, layers: tuple[Layer, ...]) -> None:
        if any(layer.both_ways for layer in layers):
            raise OptionError(
                f"{self.name}(...) holds a layer of two directions, whose outputs come when a sequence has ended; "
                f"write bidirectional({self.name}(...)), or put it below or above"
            )

    def inner(self, inputs: int) -> Sequence[Inner]:
        """Return the layers of F, each with the width of its inputs; raises `OptionError` where F changes the width."""
        found, width = [], inputs
        for number, layer in enumerate(self.layers):
            found.append(Inner(number, layer, width))
            width = layer.width(width)
        if width != inputs:
            raise OptionError(
                f"{self.name}: its layers make {width} values of {inputs}; let them end as wide as they begin"
            )
        return found

    @property
    def gates(self) -> Mapping[str, tuple[str, slice]]:
        """Those of the layers."""
        found = ((number, layer.gates) for number, layer in enumerate(self.layers))
        return {f"{n}.{gate}": (f"{n}.{name}", at) for n, gates in found for gate, (name, at) in gates.items()}

    def _joined(self, inputs: int, what: str) -> dict[str, Any]:
        joined: dict[str, Any] = {}
        for each in self.inner(inputs):
            joined |= each.named(getattr(each.layer, what)(each.inputs))
        return joined

    def width(self, inputs: int) -> int:
        """As many as come in."""
        self.inner(inputs)
        return inputs

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Those of the layers."""
        return self._joined(inputs, "parameters")

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Each layer fills its own."""
        for number, layer in enumerate(self.layers):
            layer.initialize(Inner(number, layer, 0).own(parameters), rng)

    def dropped_weights(self, inputs: int) -> Mapping[str, float]:
        """Those of the layers."""
        return self._joined(inputs, "dropped_weights")

    def state(self, inputs: int) -> Widths:
        """Those of the layers."""
        return self._joined(inputs, "state")

    def tape(self, inputs: int) -> Widths:
        """Those of the layers, and y."""
        return {**self._joined(inputs, "tape"), "y": inputs}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Those of the layers."""
        return self._joined(inputs, "derived")

    def derive(self, weights: Arrays) -> None:
        """Each layer derives its own."""
        for number, layer in enumerate(self.layers):
            layer.derive(Inner(number, layer, 0).own(weights))

    def derive_reverse(self, weights: Arrays) -> None:
        """Each layer derives its own."""
        for number, layer in enumerate(self.layers):
            layer.derive_reverse(Inner(number, layer, 0).own(weights))

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """What the layers retain."""
        found = ((each, each.layer.retained_arrays(each.inputs, retention)) for each in self.inner(inputs))
        return tuple(f"{each.number}.{name}" for each, names in found for name in names)

    @property
    def unrounded(self) -> tuple[str, ...]:
        """What the layers say."""
        return tuple(f"{number}.{name}" for number, layer in enumerate(self.layers) for name in layer.unrounded)

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Each layer that lacks arrays makes them again; then y."""
        for each, part in self._passes(block):
            kept = each.layer.retained_arrays(each.inputs, retention)
            if set(each.layer.tape(each.inputs)) - set(kept):
                each.layer.rebuild(part, retention)
        self.mix(block, self._made(block))

    def scratch(self, inputs: int) -> Sizes:
        """Those of the layers, and two arrays in which the gradient travels through them.

        Arrays of whole cache lines come first, so that each of them is aligned.
        """
        widest = max(each.layer.width(each.inputs) for each in self.inner(inputs))
        through: dict[str, Any] = {"through": widest, "onward": widest} if len(self.layers) > 1 else {"through": widest}
        sizes = self._joined(inputs, "scratch") | through
        return dict(sorted(sizes.items(), key=lambda item: not _has_whole_lines(item[1])))

    def _passes(self, block: BlockPass) -> Iterator[tuple[Inner, BlockPass]]:
        """Yield each layer with what it receives, from the lowest upwards."""
        x = block.x
        for each in self.inner(block.inputs):
            tape = each.own(block.tape)
            yield (
                each,
                attrs.evolve(
                    block,
                    weights=each.own(block.weights),
                    x=x,
                    tape=tape,
                    scratch=each.own(block.scratch),
                    inputs=each.inputs,
                    layer=(block.layer + 1) * MOST_LAYERS + each.number,
                ),
            )
            x = output_of(each.layer, each.inputs, tape)

    def _made(self, block: BlockPass) -> Array:
        """Return F(x)."""
        top = self.inner(block.inputs)[-1]
        made: Array = output_of(top.layer, top.inputs, top.own(block.tape))
        return made

    def forward(self, block: BlockPass) -> None:
        """Run the layers, and mix what they make with x."""
        for each, part in self._passes(block):
            each.layer.forward(part)
        self.mix(block, self._made(block))

    def mix(self, block: BlockPass, made: Array) -> None:
        """Write y."""
        np.add(block.x, made, out=block.tape["y"])

    def split(self, block: BlockPass, dh: Array, d_made: Array, gradients: Arrays) -> None:
        """Write dL/dF(x), and make of `dh` what goes around F to x."""
        np.copyto(d_made, dh)

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """From the top layer of F downwards; what went around it is added to dL/dx."""
        names = ["through", "onward"]
        d = _room(block, names[0], self.layers[-1].width(self.inner(block.inputs)[-1].inputs))
        self.split(block, dh, d, gradients)
        for each, part in reversed(list(self._passes(block))):
            names.reverse()
            below = dx if each.number == 0 else _room(block, names[0], each.inputs)
            each.layer.backward(part, d, each.own(dstate), each.own(gradients), below)
            d = d if below is None else below
        if dx is not None:
            dx += dh


@attrs.frozen(kw_only=True)
class Highway(Residual):
    """y = t ∘ F(x) + (1 - t) ∘ x with t = σ(x T + b); T [inputs, inputs], b [inputs]."""

    name: ClassVar[str] = "highway"
    multiplies: ClassVar[bool] = True
    bias: float = attrs.field(default=-1.0, metadata={"help": "starting value of b: below zero, x passes at first"})

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Also T and b."""
        return {**super().parameters(inputs), "T": (inputs, inputs), "b": (inputs,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw T by Glorot's rule."""
        super().initialize(parameters, rng)
        fill_glorot(parameters["T"], rng)
        parameters["b"].fill(self.bias)

    def tape(self, inputs: int) -> Widths:
        """Also t."""
        return {**super().tape(inputs), "t": inputs}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """Also t, unless states alone stay."""
        return (*super().retained_arrays(inputs, retention), *(() if retention == "states" else ("t",)))

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Also t."""
        if retention == "states":
            self._gate(block)
        super().rebuild(block, retention)

    def scratch(self, inputs: int) -> Sizes:
        """Also dt, room for what is between, and a panel for the product that becomes dT."""
        return {**super().scratch(inputs), "dt": inputs, "spare": inputs, "panel": panel_shape(inputs, inputs)}

    def _gate(self, block: BlockPass) -> None:
        t = block.tape["t"]
        np.matmul(rows(block.x), block.weights["T"], out=rows(t))
        t += block.weights["b"]
        write_sigmoid(t, t)

    def forward(self, block: BlockPass) -> None:
        """The gate first."""
        self._gate(block)
        super().forward(block)

    def mix(self, block: BlockPass, made: Array) -> None:
        """y = x + t ∘ (F(x) - x)."""
        y = block.tape["y"]
        np.subtract(made, block.x, out=y)
        y *= block.tape["t"]
        y += block.x

    def split(self, block: BlockPass, dh: Array, d_made: Array, gradients: Arrays) -> None:
        """dz_t = dy ∘ (F(x) - x) ∘ t (1 - t)."""
        t, dt, spare = block.tape["t"], block.scratch["dt"], block.scratch["spare"]
        np.multiply(dh, t, out=d_made)
        np.subtract(self._made(block), block.x, out=dt)
        dt *= d_made
        dh -= d_made
        np.subtract(1, t, out=spare)
        dt *= spare
        add_product(block.x, dt, gradients["T"], block.scratch["panel"])
        add_column_sums(dt, gradients["b"])
        np.matmul(rows(dt), block.weights["T"].T, out=rows(spare))
        dh += spare


def _has_whole_lines(size: int | tuple[int, ...]) -> bool:
    return isinstance(size, tuple) and math.prod(size) % LINE == 0


def _room(block: BlockPass, name: str, width: int) -> Array:
    """Return a dense [L, B, width] in a working array that may be wider."""
    size = block.steps * block.batch * width
    room: Array = block.scratch[name].reshape(-1)[:size].reshape(block.steps, block.batch, width)
    return room
