"""`Kernels`: other ways to compute what layers compute, such as compiled code. An engine chooses them at set-up.

Kernels provide twins. A twin is a layer with the same parameters, state and tape as the layer that it replaces, so that
it runs in the same buffers and leaves the same results; its working arrays and derived arrays are its own. The layer as
it was written, on numpy, is the reference, and runs where there is no twin.
"""

import abc
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import attrs
import numpy as np

from rnnframe.arrays import Array, Rounding
from rnnframe.contracts.head import Head
from rnnframe.contracts.layer import Layer
from rnnframe.contracts.retention import TapeRetention
from rnnframe.contracts.steps import StepPart
from rnnframe.data.draws import MaskPlace, write_mask

AUTO, NUMPY = "auto", "numpy"
BFLOAT16 = "bfloat16"
"""The precision of networks whose products take operands that are rounded to bfloat16, and add in float32."""
BOTH = "+"
"""What stands between names of kernels that are used together, the preferred one first."""


@attrs.frozen(kw_only=True)
class Kernels(abc.ABC):
    """Twins of layers and heads: a frozen attrs class with a `name`, like every class that plugins provide.

    Each layer is computed by the first kernels that have a twin of it. "auto" asks those of the highest `rank` first;
    of equal ones those that do not come with rnnframe, then by name.
    """

    name: ClassVar[str]
    rank: ClassVar[int] = 0

    @abc.abstractmethod
    def missing(self) -> str:
        """Return in one line why the kernels cannot be used here and what to do; an empty text where they can."""

    @abc.abstractmethod
    def twin(self, layer: Layer, dtype: np.dtype[Any]) -> Layer | None:
        """Return the layer that computes in place of another one.

        Parameters
        ----------
        layer : Layer
            The layer as it was written.
        dtype : numpy.dtype
            That of the network, float32 or float64.

        Returns
        -------
        Layer or None
            Its twin; None where there is none.
        """

    def head(self, head: Head, dtype: np.dtype[Any]) -> Head | None:
        """Return the head that computes in place of another one; by default there is none.

        Parameters
        ----------
        head : Head
            The head as it was written.
        dtype : numpy.dtype
            That of the network, float32 or float64.

        Returns
        -------
        Head or None
            Its twin; None where there is none.
        """
        return None

    def twin_in(self, part: Layer | Head, dtype: np.dtype[Any], precision: str) -> Layer | Head | None:
        """Return what computes in place of a layer or head with products of another precision; by default nothing does.

        Parameters
        ----------
        part : Layer or Head
            As it was written.
        dtype : numpy.dtype
            That of the network: of parameters, states, tapes and gradients.
        precision : str
            "bfloat16": both operands of every matrix product are rounded to it, to the nearest and to even; products
            are added in float32. All else is computed in `dtype`.

        Returns
        -------
        Layer or Head or None
            Its twin; None where there is none.
        """
        return None

    def joined(self, parts: Sequence[StepPart]) -> Callable[[], object] | None:
        """Return a function that runs parts of a stream's step one after the other, in one call.

        It gives the bits that the parts give when each runs by itself, and returns true where one of them does: nothing
        behind that is run. By default there is none.

        Parameters
        ----------
        parts : sequence of StepPart
            Neighbours. Their arrays stay where they are, and are there as long as the function is called.

        Returns
        -------
        function or None
            None where not all of them can be joined; fewer may be asked for then.
        """
        return None

    def transpose(self, source: Array, target: Array) -> None:
        """Write a matrix transposed, as libraries with the other order of axes keep theirs; by default numpy does.

        Parameters
        ----------
        source : ndarray
            [m, n], C-contiguous, float32 or float64.
        target : ndarray
            [n, m], C-contiguous, of the same dtype; it shares no memory with `source`.
        """
        np.copyto(target, source.T)

    def write_mask(self, out: Array, place: MaskPlace) -> None:
        """Write a random mask: 1 where a value is kept, 0 where it is dropped, the same as the default writes by numpy.

        Parameters
        ----------
        out : ndarray
            [L, B, width], float32 or float64.
        place : MaskPlace
            Which random words decide.
        """
        write_mask(out, place)

    def cells(self) -> Iterable[str]:
        """Return specs of cells that have twins, one of every kind of code, for `rnnframe warmup`."""
        return ()

    def is_ready(self, twin: Layer | Head, dtype: np.dtype[Any]) -> bool:
        """Return at once whether `prepare` will be quick; if not, a message asks the user to wait."""
        return True

    def prepare(self, twin: Layer | Head, dtype: np.dtype[Any]) -> None:
        """Make a twin ready before its first block: compile, load, warm up."""
        return

    def prepare_all(self, twins: Sequence[Layer | Head], dtype: np.dtype[Any]) -> None:
        """Make the twins of a network ready, perhaps at the same time; by default one after the other."""
        for twin in twins:
            self.prepare(twin, dtype)

    def prepare_run(
        self,
        twin: Layer | Head,
        dtype: np.dtype[Any],
        *,
        samples: int | None,
        retention: TapeRetention,
        input_gradient: bool,
    ) -> None:
        """Make ready what only some runs need, before one begins: those of few samples, or of a tape that is not whole.

        Any layer is asked for; those that are no twins of these kernels need nothing. By default nothing does.

        Parameters
        ----------
        twin : Layer or Head
            What will run.
        dtype : numpy.dtype
            That of the network, float32 or float64.
        samples : int or None
            Samples of a block; None for many, or where they are not known yet.
        retention : "whole", "lean" or "states"
            What stays of a tape: the rest is computed again.
        input_gradient : bool
            Whether dL/dx is asked for.
        """
        return

    def prepare_step(self, twin: Layer | Head, dtype: np.dtype[Any]) -> None:
        """Make ready what `joined` returns for a twin's step; `rnnframe warmup` asks for it, else `joined` does it."""
        return

    def place(self) -> str:
        """Return the folder where code is kept that was compiled; an empty text where it is not kept."""
        return ""

    @property
    def rounding(self) -> Rounding:
        """What rounds tapes to bfloat16 and makes them float32 again, with the bits of numpy, which does by default."""
        return Rounding()
