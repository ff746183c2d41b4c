"""Layers of one product: dense units, gated units, an embedding.

    dense        y_t = f(x_t U + b)
    gated-units  y_t = (x_t U_a + b_a) ∘ f(x_t U_g + b_g)         columns a, g
    embedding    y_t = x_t U, a row of U where x_t is its number

Gated units with f = σ are those of Dauphin, Fan, Auli & Grangier (2017), arXiv 1612.08083; with other f see Shazeer
(2020), arXiv 2002.05202.
"""

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np
from attrs.validators import gt, in_

from rnnframe.plugin import (
    Array,
    Arrays,
    BlockPass,
    Sizes,
    TapeRetention,
    Widths,
    add_column_sums,
    add_input_product,
    panel_shape,
    project,
    write_input_gradient,
)
from rnnframe_layers.activations import NAMES, Name, needs_room, write_slope, write_value
from rnnframe_layers.plain import Plain, fill_glorot, units_option


@attrs.frozen(kw_only=True)
class Dense(Plain):
    """y_t = f(x_t U + b); U [inputs, units], b [units]."""

    name: ClassVar[str] = "dense"
    units: int = units_option(128, "values that come out")
    activation: Name = attrs.field(default="tanh", validator=in_(NAMES), metadata={"help": "the function f"})

    def width(self, inputs: int) -> int:
        """The units."""
        return self.units

    @property
    def columns(self) -> int:
        """Columns of U."""
        return self.units

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U and b."""
        return {"U": (inputs, self.columns), "b": (self.columns,)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw U by Glorot's rule; b is zero."""
        fill_glorot(parameters["U"], rng)
        parameters["b"].fill(0)

    def tape(self, inputs: int) -> Widths:
        """z = x U + b, and y, which follows from it."""
        return {"z": self.columns, "y": self.units}

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """z stays alone, unless tapes are whole; where states alone stay, nothing does."""
        return {"whole": ("z", "y"), "lean": ("z",), "states": ()}[retention]

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Compute y again, and z where it is missing."""
        if retention == "states":
            self.forward(block)
        else:
            self.apply(block.tape["z"], block.tape["y"], block.scratch)

    def scratch(self, inputs: int) -> Sizes:
        """dz, room for a slope, and a panel for the product that becomes dU."""
        room = {"spare": self.units} if needs_room(self.activation) else {}
        return {"dz": self.columns, "panel": panel_shape(inputs, self.columns), **room}

    def forward(self, block: BlockPass) -> None:
        """One product for all steps."""
        z = block.tape["z"]
        project(block.x, block.weights["U"], z)
        z += block.weights["b"]
        self.apply(z, block.tape["y"], block.scratch)

    def apply(self, z: Array, y: Array, scratch: Arrays) -> None:
        """Write y for z."""
        write_value(self.activation, z, y)

    def reverse(self, z: Array, dh: Array, dz: Array, spare: Array) -> None:
        """Write dz."""
        write_slope(self.activation, z, dz, spare)
        dz *= dh

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """dz = dh ∘ f'(z); dU, db and dL/dx are sums and products over the block."""
        dz, U = block.scratch["dz"], block.weights["U"]
        self.reverse(block.tape["z"], dh, dz, block.scratch.get("spare", dz))
        add_input_product(block.x, dz, gradients["U"], block.scratch["panel"])
        add_column_sums(dz, gradients["b"])
        write_input_gradient(dz, U, dx)


@attrs.frozen(kw_only=True)
class GatedUnits(Dense):
    """y_t = (x_t U_a + b_a) ∘ f(x_t U_g + b_g); U [inputs, 2 units], b [2 units], columns a, g."""

    name: ClassVar[str] = "gated-units"
    activation: Name = attrs.field(default="sigmoid", validator=in_(NAMES), metadata={"help": "the function f"})

    @property
    def columns(self) -> int:
        """Columns of U."""
        return 2 * self.units

    def apply(self, z: Array, y: Array, scratch: Arrays) -> None:
        """Write y for z."""
        write_value(self.activation, z[..., self.units :], y)
        y *= z[..., : self.units]

    def reverse(self, z: Array, dh: Array, dz: Array, spare: Array) -> None:
        """dz_a = dh ∘ f(z_g); dz_g = dh ∘ z_a ∘ f'(z_g)."""
        (a, g), (da, dg) = np.split(z, 2, axis=2), np.split(dz, 2, axis=2)
        write_value(self.activation, g, da)
        da *= dh
        write_slope(self.activation, g, dg, spare)
        dg *= a
        dg *= dh


@attrs.frozen(kw_only=True)
class Embedding(Plain):
    """y_t = x_t U, or the row of U that x_t names; U [inputs, size]."""

    name: ClassVar[str] = "embedding"
    multiplies: ClassVar[bool] = False  # rows are looked up; of vectors, each product is with one row as a rule
    size: int = units_option(64, "values of a row")
    std: float = attrs.field(default=1.0, validator=gt(0), metadata={"help": "spread of the starting rows"})
    tie: bool = attrs.field(
        default=False, metadata={"help": "the readout has the same rows, which start as it draws them: one array"}
    )

    @property
    def readout(self) -> str:
        """One that shares U, where they are tied."""
        return "tied" if self.tie else ""

    def width(self, inputs: int) -> int:
        """The size of a row."""
        return self.size

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """U."""
        return {"U": (inputs, self.size)}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Draw rows from a normal distribution."""
        parameters["U"][...] = rng.normal(0, self.std, parameters["U"].shape)

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """Where states alone stay, y is computed again."""
        return () if retention == "states" else ("y",)

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Look up again."""
        self.forward(block)

    def scratch(self, inputs: int) -> Sizes:
        """A panel for the product that becomes dU."""
        return {"panel": panel_shape(inputs, self.size)}

    def forward(self, block: BlockPass) -> None:
        """Look up, or multiply."""
        project(block.x, block.weights["U"], block.tape["y"])

    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Add dh to the rows that were looked up."""
        add_input_product(block.x, dh, gradients["U"], block.scratch["panel"])
        write_input_gradient(dh, block.weights["U"], dx)
