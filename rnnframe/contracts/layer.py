"""`Layer`: a part of the stack that a network is, processing whole blocks of time; `BlockPass`: what it receives."""

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, TypeAlias

import attrs
import numpy as np

from rnnframe.arrays import Array, Arrays
from rnnframe.contracts.retention import TapeRetention
from rnnframe.data.columns import Columns
from rnnframe.data.draws import Draw

Widths: TypeAlias = Mapping[str, int]
"""Name -> values per sample."""
Sizes: TypeAlias = Mapping[str, int | tuple[int, ...]]
"""Name -> values per step and sample, or a shape."""
START = ".start"
"""What the name of a parameter ends with that is the learnt start [width] of the state named before it: "h.start"."""


@attrs.frozen(eq=False)
class BlockPass:
    """One pass of a layer over one block: a run of steps of some samples of the batch.

    Parameters
    ----------
    weights : Arrays
        The parameters and derived arrays of the layer, by name.
    x : Array
        The inputs [L, B, inputs], dense; or integers [L, B] that are row numbers of U.
    tape : Arrays
        What the layer leaves for its reverse, by name. An array of the state has one row more than the block has
        steps: row 0 is the state before the block, row k + 1 the state after step k (a state that is not in `tape`
        has two rows only: before and after).
    scratch : Arrays
        Working arrays, by name; their contents are undefined.
    inputs : int
        The width of x, or the number of rows of U where x holds row numbers.
    layer : int
        The number of the layer in its network, counted from the inputs.
    start : int
        The first step of the block, counted from the beginning of the sequence.
    samples : slice or Array
        Which samples of the whole batch the block has, in its order.
    draw : Draw or None
        What random masks are a function of; None where there must be none (evaluation, prediction).
    reverse : Array or None
        For a layer that reads both ways: as x, but each sample's steps from its last to its first.
    """

    weights: Arrays
    x: Array
    tape: Arrays
    scratch: Arrays
    inputs: int
    layer: int = 0
    start: int = 0
    samples: Columns = slice(None)
    draw: Draw | None = None
    reverse: Array | None = None

    @property
    def steps(self) -> int:
        """L."""
        return int(self.x.shape[0])

    @property
    def batch(self) -> int:
        """B, the samples of this block."""
        return int(self.x.shape[1])

    @property
    def training(self) -> bool:
        """Whether gradients are wanted: masks are drawn only then."""
        return self.draw is not None

    def write_mask(self, out: Array, kind: str, rate: float) -> None:
        """Write a random mask: 1 where a value is kept, 0 where it is dropped; without a draw the mean, 1 - rate.

        It depends on draw, layer, kind, sample and step alone, so that a block that is run again has the same one.

        Parameters
        ----------
        out : Array
            [L, B, width] for a mask at each step, or [B, width] for one mask of the whole sequence.
        kind : str
            What tells the masks of one layer apart, such as "inputs".
        rate : float
            How probable it is that a value is dropped, rounded to a multiple of 1/65536.
        """
        if self.draw is None:
            out.fill(1 - rate)
            return
        self.draw.write_mask(out, rate, self.layer, kind, self.samples, self.start if out.ndim == 3 else None)


@attrs.frozen(kw_only=True)
class Layer(abc.ABC):
    """A layer of a network. Class, name, options and factory are one: a frozen, keyword-only attrs class.

    `output` names the array of `tape(inputs)` that the next layer receives: its rows after each step. `both_ways` tells
    whether the layer reads `BlockPass.reverse` too. Its arrays are then named forward.* and reverse.*, and it writes
    dx [2, L, B, inputs]: of x and of `reverse`. `order_free` tells whether each value of the output after the last
    step comes from that value of all inputs, in any order. `multiplies` tells whether it computes products of matrices,
    whose operands a precision rounds; layers in its brackets say so for themselves.
    """

    name: ClassVar[str]
    output: ClassVar[str] = "h"
    both_ways: ClassVar[bool] = False
    order_free: ClassVar[bool] = False
    multiplies: ClassVar[bool] = True

    @property
    def gates(self) -> Mapping[str, tuple[str, slice]]:
        """Gates with values between 0 and 1, for who watches them: name -> array of the tape, and its columns."""
        return {}

    @property
    def unrounded(self) -> tuple[str, ...]:
        """Arrays of the tape that are never rounded, such as positions, where a store keeps tapes in fewer bits."""
        return ()

    @property
    def readout(self) -> str:
        """The readout that a head must have where this is the first layer, since they share parameters; or none."""
        return ""

    @abc.abstractmethod
    def width(self, inputs: int) -> int:
        """Return the width of the outputs: the values per step and sample for `inputs` values in."""

    @abc.abstractmethod
    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """Return the shape of each parameter; "h.start" [width] is what the state h begins with, instead of zeros."""

    @abc.abstractmethod
    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """Fill the parameters in place."""

    def state(self, inputs: int) -> Widths:
        """Return name -> width per sample of what one step passes to the next; by default nothing."""
        return {}

    @abc.abstractmethod
    def tape(self, inputs: int) -> Widths:
        """Return name -> width per step and sample of what `backward` needs of a step; the output is among them."""

    def accepts_strided_steps(self, inputs: int) -> bool:
        """Tell whether x may be some samples of a wider block, dense within a step alone; by default it is copied."""
        return False

    def retained_arrays(self, inputs: int, retention: TapeRetention) -> tuple[str, ...]:
        """Return which arrays of the tape stay with a chunk; `rebuild` computes the others. By default all stay.

        Parameters
        ----------
        inputs : int
            The width of x.
        retention : "whole", "lean" or "states"
            "whole" keeps everything; a layer may leave out what is as quickly computed from x again, bit for bit, as
            dropout does. "lean" leaves out what follows from the rest with no matrix product, bit for bit.
            "states" keeps what the rest follows from without a matrix product from step to step, to rounding.

        Returns
        -------
        tuple of str
            Names of `tape(inputs)`.
        """
        return tuple(self.tape(inputs))

    def rebuild(self, block: BlockPass, retention: TapeRetention) -> None:
        """Write what `retained_arrays` left out.

        Parameters
        ----------
        block : BlockPass
            As `forward` had it; its tape has the retained arrays and row 0 of every state.
        retention : "whole", "lean" or "states"
            What was retained.
        """
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

    def dropped_weights(self, inputs: int) -> Mapping[str, float]:
        """Return parameter -> rate at which its entries are dropped in training (DropConnect); by default none are.

        In a run, the layer receives such a parameter with some entries zero and the others divided by 1 - rate, also
        in `derive`; the gradient is masked for it. Wan, Zeiler, Zhang, LeCun & Fergus (2013).
        """
        return {}

    @abc.abstractmethod
    def forward(self, block: BlockPass) -> None:
        """Run the block.

        Parameters
        ----------
        block : BlockPass
            Weights, inputs and arrays. Row 0 of the states of its tape is filled in; everything else of the tape is to
            be written.
        """

    @abc.abstractmethod
    def backward(self, block: BlockPass, dh: Array, dstate: Arrays, gradients: Arrays, dx: Array | None) -> None:
        """Reverse the block.

        Parameters
        ----------
        block : BlockPass
            As `forward` had it, its tape filled.
        dh : Array
            The gradient [L, B, width] that reaches the outputs from above; it may be overwritten.
        dstate : Arrays
            The gradient [B, width] that reaches each state after the block; replace it by that before the block.
        gradients : Arrays
            Those of the parameters: add into them.
        dx : Array or None
            Write dL/dx [L, B, inputs] here, unless it is None.
        """


def looks_up(layer: Layer, inputs: int) -> bool:
    """Return whether x may hold row numbers [L, B]: where there is a U whose rows they are."""
    return ("forward.U" if layer.both_ways else "U") in layer.parameters(inputs)


def output_of(layer: Layer, inputs: int, tape: Mapping[str, Any]) -> Any:
    """Return the outputs [L, B, width] of a block, from the arrays of its tape."""
    array = tape[layer.output]
    return array[1:] if layer.output in layer.state(inputs) else array
