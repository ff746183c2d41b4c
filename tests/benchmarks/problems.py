"""What is timed: shapes, random data, and the floating-point operations that the work needs."""

from typing import Literal

import attrs
import numpy as np

GATES = {"lstm": 4, "gru": 3, "elman": 1}
CLASSES = 65

Setting = Literal["layer", "model"]


@attrs.frozen
class Shape:
    """T steps of B samples with I inputs, H units."""

    T: int
    B: int
    I: int
    H: int

    def __str__(self) -> str:
        return f"{self.T}, {self.B}, {self.I}, {self.H}"


SHAPES = (
    Shape(35, 20, 200, 200),
    Shape(128, 32, 64, 128),
    Shape(100, 64, 128, 256),
    Shape(50, 128, 256, 512),
    Shape(1000, 1, 32, 64),
    Shape(1000, 16, 64, 128),
    Shape(784, 64, 1, 128),
)


@attrs.frozen
class Arrays:
    """The same numbers for every library: columns of U, W and b stand in torch's order of gates."""

    x: np.ndarray
    U: np.ndarray
    W: np.ndarray
    b: np.ndarray
    V: np.ndarray
    dh: np.ndarray  # dL/dh_t where there is no head
    y: np.ndarray  # classes where there is one


@attrs.frozen
class Problem:
    """One cell forward and backward, without the inputs' gradient.

    setting: "layer" takes dL/dh_t as given; "model" has a linear readout and the mean cross entropy of 65 classes.
    """

    cell: str
    shape: Shape
    setting: Setting

    def arrays(self) -> Arrays:
        """Draw the data and the parameters, float32; with W so small that rounding does not grow from step to step."""
        rng = np.random.default_rng(0)
        s, gates = self.shape, GATES[self.cell] * self.shape.H

        def draw(*shape: int, scale: float = 0.1) -> np.ndarray:
            return (scale * rng.standard_normal(shape)).astype(np.float32)

        return Arrays(
            x=draw(s.T, s.B, s.I),
            U=draw(s.I, gates),
            W=draw(s.H, gates, scale=0.5 / s.H**0.5),
            b=draw(gates),
            V=draw(s.H, CLASSES),
            dh=draw(s.T, s.B, s.H),
            y=rng.integers(0, CLASSES, (s.T, s.B)),
        )

    @property
    def flops(self) -> int:
        """Operations of the matrix products: xU, hW; dz Wᵀ, dW, dU; with a readout hV, dV, do Vᵀ."""
        s = self.shape
        rows, gates = s.T * s.B, GATES[self.cell] * s.H
        layer = 2 * rows * gates * (2 * s.I + 3 * s.H)
        return layer if self.setting == "layer" else layer + 3 * 2 * rows * s.H * CLASSES
