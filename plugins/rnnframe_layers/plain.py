"""What layers share that compute all steps of a block at once."""

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np
from attrs.validators import and_, ge, lt

from rnnframe.plugin import Array, Arrays, Layer, Widths


@attrs.frozen(kw_only=True)
class Plain(Layer):
    """A layer y_t = f(x_t), as wide as its inputs, with nothing to learn."""

    output: ClassVar[str] = "y"

    def width(self, inputs: int) -> int:
        """As many as come in."""
        return inputs

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """There are none."""
        return {}

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Do nothing."""

    def tape(self, inputs: int) -> Widths:
        """The output."""
        return {"y": self.width(inputs)}


def rate_option(default: float, help: str) -> Any:
    """Return an option from 0 up to 1, without 1."""
    return attrs.field(default=default, validator=and_(ge(0), lt(1)), metadata={"help": help})


def units_option(default: int, help: str) -> Any:
    """Return an option that is a number of at least 1."""
    return attrs.field(default=default, validator=ge(1), metadata={"help": help})


def fill_glorot(array: Array, rng: np.random.Generator) -> None:
    """Draw from U(-a, a), a = √(6 / (rows + columns)); Glorot & Bengio (2010), "Understanding the difficulty ..."."""
    bound = np.sqrt(6 / sum(array.shape))
    array[...] = rng.uniform(-bound, bound, array.shape)
