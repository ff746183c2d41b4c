"""The twins of a head's parts: products by tiles over a packed V, and the cross entropy."""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import attrs
import numpy as np

from rnnframe.plugin import Array, Arrays, Loss, Readout, Sizes, Vector, rows
from rnnframe_compiled import loss_from, readout_from
from rnnframe_compiled.gradients import TERMS, add_gradients
from rnnframe_compiled.groups import Matrix, Steps, Targets, taker
from rnnframe_compiled.interrupts import made_whole
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.making import kernel
from rnnframe_compiled.packing import lanes, pack_columns, pack_transposed, pair_rows, vectors_for
from rnnframe_compiled.pairs import operand, words_for
from rnnframe_compiled.products import multiply
from rnnframe_compiled.softmax import cross_entropy, probabilities
from rnnframe_compiled.tiles import WIDE
from rnnframe_compiled.twins import row_numbers, unit_of
from rnnframe_heads import Affine, Softmax


class Gradients(NamedTuple):
    """The gradients of V [H, outputs] and c [outputs], which are added to."""

    V: Array
    c: Array


_gradients = taker(Gradients)


@kernel
def readout(unit: Any, h: Array, PV: Array, c: Array, o: Array, left: Array) -> None:
    """o [rows, outputs] = h [rows, H] · V [H, outputs] + c [outputs]; PV is V packed by `pack_columns`.

    `left` has room for h's words.
    """
    H, width = h.shape[1], o.shape[1]
    at_h, terms = operand(unit, len(o), H, H, address_of(h), address_of(left)), words_for(unit, H)
    bias = (address_of(c), 0, BYTES // bytes_of(unit))
    multiply(unit, Matrix(at_h, len(o), terms, terms), address_of(PV), width, bias, address_of(o))


@kernel
def reverse(
    unit: Any, h: Array, do: Array, PVT: Array, dh: Array, work: Array, left: Array, gradients: Gradients
) -> None:
    """Add hᵀ·do to the gradient of V and the column sums of do to that of c; dh [rows, H] = do [rows, outputs] · Vᵀ.

    PVT is V transposed, packed by `pack_transposed`; `left` has room for the words of do.
    """
    gradients = Gradients(*gradients)
    rows, H, width = len(do), h.shape[1], do.shape[1]
    work[: BYTES // bytes_of(unit)] = 0
    zeros, sums = (address_of(work), 0, 0), Matrix(address_of(do), rows, width, width)
    at_do, terms = operand(unit, rows, width, width, sums.address, address_of(left)), words_for(unit, width)
    multiply(unit, Matrix(at_do, rows, terms, terms), address_of(PVT), H, zeros, address_of(dh))
    to = Targets(0, address_of(gradients.V), address_of(gradients.c), width)
    add_gradients(unit, Steps(0, 0, 1, 0), Matrix(address_of(h), rows, H, H), sums, to, work)


@attrs.frozen(kw_only=True)
class CompiledAffine(Readout):
    """The affine readout in front of compiled products."""

    name: ClassVar[str] = "affine"
    readout: Affine
    dtype: np.dtype[Any]
    precision: str | None = None
    """As that of a cell's twin."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle what the twin is made of."""
        return readout_from, (self.readout, self.dtype, self.precision)

    @property
    def unit(self) -> Any:
        """The number by whose type kernels know what to compute in."""
        return unit_of(self.dtype, self.precision)

    def steps(self, terms: int) -> int:
        """Return how many steps a sum of so many terms takes: pairs are one."""
        return terms if self.precision is None else (terms + 1) // 2

    def left(self, scratch: Arrays) -> Array:
        """Return the room for left operands, as one row; empty where they are multiplied as they are."""
        return scratch["work"][:0] if self.precision is None else scratch["left"].reshape(-1)

    def parameters(self, inputs: int, outputs: int) -> Mapping[str, tuple[int, ...]]:
        """As the readout."""
        return self.readout.parameters(inputs, outputs)

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """As the readout."""
        self.readout.initialize(parameters, rng)

    def scratch(self, inputs: int, outputs: int) -> Sizes:
        """A panel first, where it is aligned; the outputs of one chunk; where terms are paired, words of operands."""
        panel = TERMS * min(WIDE, vectors_for(outputs, self.dtype))
        if self.precision is None:
            return {"work": (lanes(self.dtype) * (1 + panel),), "o": outputs}
        pairs = TERMS // 2 * vectors_for(inputs, self.dtype)
        left = max(self.steps(inputs), self.steps(outputs))
        return {"work": (lanes(self.dtype) * (1 + panel + pairs),), "o": outputs, "left": left}

    def derived(self, inputs: int, outputs: int) -> Mapping[str, tuple[int, ...]]:
        """V and Vᵀ in panels; where terms are paired, the words of V."""
        across, down = (vectors_for(size, self.dtype) * lanes(self.dtype) for size in (outputs, inputs))
        words = {} if self.precision is None else {"words": (inputs, self.steps(outputs))}
        return {"PV": (across * self.steps(inputs),), "PVT": (down * self.steps(outputs),), **words}

    def derive(self, weights: Arrays) -> None:
        """Pack V."""
        V = weights["V"]
        pack_columns(self.unit, V, 0, V.shape[1], weights["PV"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transpose of V."""
        V = weights["V"]
        if self.precision is not None:
            pair_rows(self.unit, V, weights["words"])
            V = weights["words"]
        pack_transposed(self.dtype.type(1), V, 0, V.shape[1], weights["PVT"])

    def forward(self, weights: Arrays, h: Array, scratch: Arrays) -> Array:
        """Return o [L, B, outputs] of a block of h, in the working array."""
        o = scratch["o"][: len(h)]
        readout(self.unit, rows(h), weights["PV"], weights["c"], rows(o), self.left(scratch))
        return o

    def backward(self, weights: Arrays, h: Array, do: Array, dh: Array, gradients: Arrays, scratch: Arrays) -> None:
        """Add into dV and dc and write dL/dh."""
        work, taken = scratch["work"], _gradients(gradients)
        reverse(self.unit, rows(h), rows(do), weights["PVT"], rows(dh), work, self.left(scratch), taken)


@attrs.frozen(kw_only=True)
class CompiledSoftmax(Softmax):
    """Softmax and cross entropy in machine code, where each target counts once."""

    name: ClassVar[str] = "softmax"
    loss: Softmax
    dtype: np.dtype[Any]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle what the twin is made of."""
        return loss_from, (self.loss, self.dtype)

    def loss_and_gradient(self, o: Array, y: Array, weights: Array | None) -> float:
        """As the loss, of which only the plain case is compiled."""
        if weights is not None or not self.plain:
            return self.loss.loss_and_gradient(o, y, weights)
        return float(cross_entropy(self.dtype.type(1), o, row_numbers(y, self.classes)))

    def prediction(self, o: Array) -> None:
        """As the loss; compiled for dense outputs of the network's dtype."""
        if o.flags.c_contiguous and o.dtype == self.dtype:
            probabilities(self.dtype.type(1), rows(o))
        else:
            self.loss.prediction(o)


def compiled_loss(loss: Loss, dtype: np.dtype[Any]) -> Loss:
    """Return the twin of a loss, or the loss itself where there is none."""
    if type(loss) is not Softmax:
        return loss
    return CompiledSoftmax(**attrs.asdict(loss), loss=loss, dtype=dtype)


@functools.cache
def warm_up_head(dtype: np.dtype[Any], precision: str | None = None) -> None:
    """Run small products, so that their code is there."""
    affine = CompiledAffine(readout=Affine(), dtype=dtype, precision=precision)
    parameters, gradients = (Vector.zeros(affine.parameters(1, 1), dtype) for _ in range(2))
    weights = {**parameters, **Vector.zeros(affine.derived(1, 1), dtype)}
    with made_whole():
        affine.derive(weights)
        affine.derive_reverse(weights)
    widths = {name: size if isinstance(size, tuple) else (1, 1, size) for name, size in affine.scratch(1, 1).items()}
    scratch, h = Vector.zeros(widths, dtype), np.zeros((1, 1, 1), dtype)
    with made_whole():
        o = affine.forward(weights, h, scratch)
    with made_whole():
        affine.backward(weights, h, o, np.zeros_like(h), gradients, scratch)
    with made_whole():
        cross_entropy(dtype.type(1), np.zeros((1, 2), dtype), np.zeros(1, np.int64))
