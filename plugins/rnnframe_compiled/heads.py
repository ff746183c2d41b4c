"""The twin of a head: its products by tiles over a packed V; its loss is the head's own, but for softmax."""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
import numpy as np
from numba import njit

from rnnframe.plugin import Array, Arrays, Head, Vector, rows
from rnnframe_compiled import head_from
from rnnframe_compiled.gradients import TERMS, add_gradients
from rnnframe_compiled.lanes import BYTES, address_of, bytes_of
from rnnframe_compiled.packing import lanes, pack_columns, pack_transposed, vectors_for
from rnnframe_compiled.products import multiply
from rnnframe_compiled.softmax import cross_entropy
from rnnframe_compiled.tiles import WIDE
from rnnframe_compiled.twins import row_numbers
from rnnframe_heads.heads import MeanSquaredError, Softmax


@njit(nogil=True, cache=True)
def readout(unit: Any, h: Array, V: Array, c: Array, packed: Array, o: Array) -> None:
    """o [rows, outputs] = h [rows, H] V + c."""
    H, width = V.shape
    pack_columns(unit, V, 0, width, packed)
    bias = (address_of(c), 0, BYTES // bytes_of(unit))
    multiply(unit, address_of(h), len(o), H, H, address_of(packed), width, bias, address_of(o))


@njit(nogil=True, cache=True)
def reverse(
    unit: Any, h: Array, do: Array, V: Array, packed: Array, dh: Array, dV: Array, dc: Array, work: Array
) -> None:
    """Add hᵀ·do to dV and the column sums of do to dc; dh = do Vᵀ."""
    H, width = V.shape
    pack_transposed(unit, V, 0, width, packed)
    work[: BYTES // bytes_of(unit)] = 0
    zeros = (address_of(work), 0, 0)
    multiply(unit, address_of(do), len(do), width, width, address_of(packed), H, zeros, address_of(dh))
    at_h, at_do, at_dV, at_dc = address_of(h), address_of(do), address_of(dV), address_of(dc)
    add_gradients(unit, 0, 0, 1, 0, at_h, H, at_do, width, width, len(do), 0, at_dV, at_dc, width, work)


@attrs.frozen(kw_only=True)
class CompiledHead(Head):
    """A head in front of compiled products."""

    name: ClassVar[str] = "compiled"
    head: Head
    dtype: np.dtype[Any]

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle what the twin is made of."""
        return head_from, (self.head, self.dtype)

    @property
    def width(self) -> int:
        """As the head."""
        return self.head.width

    @property
    def target_dims(self) -> int:
        """As the head."""
        return self.head.target_dims

    def targets(self, y: Array, dtype: np.dtype[Any]) -> Array:
        """As the head."""
        return self.head.targets(y, dtype)

    def loss_and_gradient(self, o: Array, y: Array) -> float:
        """As the head."""
        if type(self.head) is Softmax:
            return float(cross_entropy(self.dtype.type(1), o, row_numbers(y, self.width)))
        return self.head.loss_and_gradient(o, y)

    def prediction(self, o: Array) -> None:
        """As the head."""
        self.head.prediction(o)

    def parameters(self, inputs: int) -> Mapping[str, tuple[int, ...]]:
        """As the head."""
        return self.head.parameters(inputs)

    def initialize(self, parameters: Arrays, rng: np.random.Generator) -> None:
        """As the head."""
        self.head.initialize(parameters, rng)

    def scratch(self, inputs: int) -> Mapping[str, int | tuple[int, ...]]:
        """The packed V or Vᵀ and a panel, first, where they are aligned; the outputs of one chunk."""
        L = lanes(self.dtype)
        across, down = (vectors_for(size, self.dtype) * L for size in (self.width, inputs))
        packed = -(-max(across * inputs, down * self.width) // L) * L
        return {"packed": (packed,), "work": (L * (1 + TERMS * min(WIDE, across // L)),), "o": self.width}

    def readout(self, weights: Arrays, h: Array, scratch: Arrays) -> Array:
        """Return o [L, B, outputs] of a block of h, in the working array."""
        o = scratch["o"][: len(h)]
        readout(self.dtype.type(1), rows(h), weights["V"], weights["c"], scratch["packed"], rows(o))
        return o

    def reverse(self, weights: Arrays, h: Array, y: Array, dh: Array, gradients: Arrays, scratch: Arrays) -> float:
        """Return the sum of the losses of a block; add into dV and dc and write dL/dh."""
        o = rows(self.readout(weights, h, scratch))
        loss = self.loss_and_gradient(o, y)
        reverse(
            self.dtype.type(1),
            rows(h),
            o,
            weights["V"],
            scratch["packed"],
            rows(dh),
            gradients["V"],
            gradients["c"],
            scratch["work"],
        )
        return loss


@functools.cache
def warm_up_head(dtype: np.dtype[Any]) -> None:
    """Run small products, so that their code is there."""
    head = CompiledHead(head=MeanSquaredError(), at="every", dtype=dtype)
    weights, gradients = (Vector.zeros(head.parameters(1), dtype) for _ in range(2))
    widths = {name: size if isinstance(size, tuple) else (1, 1, size) for name, size in head.scratch(1).items()}
    scratch, h, y = Vector.zeros(widths, dtype), np.zeros((1, 1, 1), dtype), np.zeros((1, 1, 1), dtype)
    head.reverse(weights, h, y, np.zeros_like(h), gradients, scratch)
    cross_entropy(dtype.type(1), np.zeros((1, 2), dtype), np.zeros(1, np.int64))
