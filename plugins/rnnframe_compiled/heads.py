"""The twins of a head's parts: products by tiles over a packed V, and the cross entropy."""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import attrs
import numpy as np
from numba import njit

from rnnframe.plugin import Array, Arrays, Loss, Readout, Sizes, Vector, rows
from rnnframe_compiled import loss_from, readout_from
from rnnframe_compiled.gradients import TERMS, add_gradients
from rnnframe_compiled.groups import Matrix, Steps, Targets, taker
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.packing import lanes, pack_columns, pack_transposed, vectors_for
from rnnframe_compiled.products import multiply
from rnnframe_compiled.softmax import cross_entropy, probabilities
from rnnframe_compiled.tiles import WIDE
from rnnframe_compiled.twins import row_numbers
from rnnframe_heads import Affine, Softmax


class Gradients(NamedTuple):
    """The gradients of V [H, outputs] and c [outputs], which are added to."""

    V: Array
    c: Array


_gradients = taker(Gradients)


@njit(nogil=True, cache=True)
def readout(unit: Any, h: Array, PV: Array, c: Array, o: Array) -> None:
    """o [rows, outputs] = h [rows, H] · V [H, outputs] + c [outputs]; PV is V packed by `pack_columns`."""
    H, width = h.shape[1], o.shape[1]
    bias = (address_of(c), 0, BYTES // bytes_of(unit))
    multiply(unit, Matrix(address_of(h), len(o), H, H), address_of(PV), width, bias, address_of(o))


@njit(nogil=True, cache=True)
def reverse(unit: Any, h: Array, do: Array, PVT: Array, dh: Array, work: Array, gradients: Gradients) -> None:
    """Add hᵀ·do to the gradient of V and the column sums of do to that of c; dh [rows, H] = do [rows, outputs] · Vᵀ.

    PVT is V transposed, packed by `pack_transposed`.
    """
    gradients = Gradients(*gradients)
    rows, H, width = len(do), h.shape[1], do.shape[1]
    work[: BYTES // bytes_of(unit)] = 0
    zeros, sums = (address_of(work), 0, 0), Matrix(address_of(do), rows, width, width)
    multiply(unit, sums, address_of(PVT), H, zeros, address_of(dh))
    to = Targets(0, address_of(gradients.V), address_of(gradients.c), width)
    add_gradients(unit, Steps(0, 0, 1, 0), Matrix(address_of(h), rows, H, H), sums, to, work)


@attrs.frozen(kw_only=True)
class CompiledAffine(Readout):
    """The affine readout in front of compiled products."""

    name: ClassVar[str] = "affine"
    readout: Affine
    dtype: np.dtype[Any]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle what the twin is made of."""
        return readout_from, (self.readout, self.dtype)

    def parameters(self, inputs: int, outputs: int) -> Mapping[str, tuple[int, ...]]:
        """As the readout."""
        return self.readout.parameters(inputs, outputs)

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """As the readout."""
        self.readout.initialize(parameters, rng)

    def scratch(self, inputs: int, outputs: int) -> Sizes:
        """A panel first, where it is aligned; the outputs of one chunk."""
        panel = TERMS * min(WIDE, vectors_for(outputs, self.dtype))
        return {"work": (lanes(self.dtype) * (1 + panel),), "o": outputs}

    def derived(self, inputs: int, outputs: int) -> Mapping[str, tuple[int, ...]]:
        """V and Vᵀ in panels."""
        across, down = (vectors_for(size, self.dtype) * lanes(self.dtype) for size in (outputs, inputs))
        return {"PV": (across * inputs,), "PVT": (down * outputs,)}

    def derive(self, weights: Arrays) -> None:
        """Pack V."""
        V = weights["V"]
        pack_columns(self.dtype.type(1), V, 0, V.shape[1], weights["PV"])

    def derive_reverse(self, weights: Arrays) -> None:
        """Pack the transpose of V."""
        V = weights["V"]
        pack_transposed(self.dtype.type(1), V, 0, V.shape[1], weights["PVT"])

    def forward(self, weights: Arrays, h: Array, scratch: Arrays) -> Array:
        """Return o [L, B, outputs] of a block of h, in the working array."""
        o = scratch["o"][: len(h)]
        readout(self.dtype.type(1), rows(h), weights["PV"], weights["c"], rows(o))
        return o

    def backward(self, weights: Arrays, h: Array, do: Array, dh: Array, gradients: Arrays, scratch: Arrays) -> None:
        """Add into dV and dc and write dL/dh."""
        work, taken = scratch["work"], _gradients(gradients)
        reverse(self.dtype.type(1), rows(h), rows(do), weights["PVT"], rows(dh), work, taken)


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
def warm_up_head(dtype: np.dtype[Any]) -> None:
    """Run small products, so that their code is there."""
    affine = CompiledAffine(readout=Affine(), dtype=dtype)
    parameters, gradients = (Vector.zeros(affine.parameters(1, 1), dtype) for _ in range(2))
    weights = {**parameters, **Vector.zeros(affine.derived(1, 1), dtype)}
    affine.derive(weights)
    affine.derive_reverse(weights)
    widths = {name: size if isinstance(size, tuple) else (1, 1, size) for name, size in affine.scratch(1, 1).items()}
    scratch, h = Vector.zeros(widths, dtype), np.zeros((1, 1, 1), dtype)
    o = affine.forward(weights, h, scratch)
    affine.backward(weights, h, o, np.zeros_like(h), gradients, scratch)
    cross_entropy(dtype.type(1), np.zeros((1, 2), dtype), np.zeros(1, np.int64))
    probabilities(dtype.type(1), np.zeros((1, 2), dtype))
