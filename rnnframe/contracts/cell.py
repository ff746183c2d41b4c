"""What a plugin provides: a `Cell`, an `Optimizer` or a `StateStore` (and a `Medium`, see `rnnframe.media`).

Each is a frozen, keyword-only attrs class. The class is name, options and factory in one: `name` is what people
write on the command line, the fields are the options behind the colon (`metadata={"help": ...}` explains them).
"""

import abc
from collections.abc import Mapping
from typing import ClassVar, Literal, TypeAlias

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays

Widths: TypeAlias = Mapping[str, int]
"""Name -> values per sample."""

Sizes: TypeAlias = Mapping[str, int | tuple[int, ...]]
"""Name -> values per step and sample, or a shape."""

TapeRetention: TypeAlias = Literal["whole", "lean", "states"]
"""How much of a chunk's tape is kept until it is reversed: all of it; what is dear to compute; the states alone."""


@attrs.frozen(kw_only=True)
class Cell(abc.ABC):
    """A recurrent layer, given whole blocks of time: `x[L, B, inputs]` dense, or integer `x[L, B]` to be looked up.

    Of the arrays below, those named in `state()` are the state. `tape[name]` of a state has one row more than the
    block has steps: row 0 is the state before the block, row k + 1 the state after step k (a state that is not in
    `tape()` has two rows only: before and after). `tape["h"][1:]` is the output, handed to the next layer.
    """

    name: ClassVar[str]
    hidden: int

    @abc.abstractmethod
    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of each parameter: U [inputs, gates·H], W [H, gates·H], biases."""

    @abc.abstractmethod
    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Fill the parameters in place."""

    @abc.abstractmethod
    def state(self) -> Widths:
        """Return name -> width per sample of what one step hands to the next; "h" is the output."""

    @abc.abstractmethod
    def tape(self) -> Widths:
        """Return name -> width per step and sample of what `backward` needs of a step; "h" must be among them."""

    def accepts_strided_steps(self, inputs: int) -> bool:
        """Tell whether x may be some samples of a wider block: dense within a step, but the steps any distance apart.

        Otherwise, which is the default, what a shard reads of the caller's array is copied.
        """
        return False

    def retained_arrays(self, retention: TapeRetention) -> tuple[str, ...]:
        """Return the names of `tape()` that stay with a chunk; `rebuild` makes the others. By default all stay.

        "lean" leaves out what follows from the rest with no matrix product, bit for bit; "states" keeps what the rest
        follows from without going from step to step through a matrix product, to rounding.
        """
        return tuple(self.tape())

    def rebuild(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays, retention: TapeRetention) -> None:
        """Write what `retained_arrays(retention)` left out of `tape`; row 0 of every state is filled in."""
        return

    def scratch(self, inputs: int) -> Sizes:
        """Return working arrays of both directions: an int is a width per step and sample, a tuple a shape."""
        return {}

    def derived(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shapes of arrays computed from the parameters once per update, such as a transposed W."""
        return {}

    def derive(self, weights: Arrays) -> None:
        """Fill the derived arrays of `weights` (parameters and derived arrays by name) in place."""
        return

    def derive_reverse(self, weights: Arrays) -> None:
        """Fill those that `forward` does not read, unless `derive` does; not called where nothing is reversed."""
        return

    @abc.abstractmethod
    def forward(self, weights: Arrays, x: Array, tape: Arrays, scratch: Arrays) -> None:
        """Run the block: read row 0 of the state arrays of `tape` and write everything else of it."""

    @abc.abstractmethod
    def backward(
        self,
        weights: Arrays,
        x: Array,
        tape: Arrays,
        dh: Array,
        dstate: Arrays,
        gradients: Arrays,
        scratch: Arrays,
        dx: Array | None,
    ) -> None:
        """Reverse the block.

        dh [L, B, H] is the gradient that reaches the outputs from above (free to be overwritten), `dstate` the one
        that reaches the state after the block; replace it by that of the state before the block. Add into
        `gradients`. Write dL/dx [L, B, inputs] into `dx` unless that is None.
        """
