"""Blocks that notice products of matrices: a layer that says it computes none (`Layer.multiplies`) computes none."""

from typing import Any

import attrs
import numpy as np

from rnnframe.arrays import Array
from rnnframe.contracts.layer import BlockPass
from rnnframe.testing.blocks import Block
from rnnframe.testing.suite import fail

PRODUCTS = ("matmul", "matvec", "vecmat", "dot", "inner", "tensordot")


class Watched(np.ndarray[Any, Any]):
    """An array that fails where it, or what is computed from it, takes part in a product of matrices."""

    def __array_ufunc__(self, ufunc: Any, method: str, *given: Any, out: Any = (), **options: Any) -> Any:
        """Compute on plain arrays."""
        _refuse(ufunc.__name__, ufunc.__name__ in PRODUCTS)
        if out:
            options["out"] = tuple(map(_plain, out))
        found = getattr(ufunc, method)(*map(_plain, given), **options)
        return out[0] if out else _watched(found)

    def __array_function__(self, function: Any, types: Any, given: Any, options: Any) -> Any:
        """Look at what numpy is asked for."""
        name: str = function.__name__
        _refuse(name, name in PRODUCTS or (name == "einsum" and _is_product(*given)))
        return super().__array_function__(function, types, given, options)


class WatchedBlock(Block):
    """A block whose inputs and weights are watched."""

    def _pass(self) -> BlockPass:
        block = super()._pass()
        weights = {name: _watched(array) for name, array in block.weights.items()}
        return attrs.evolve(block, x=_watched(block.x), weights=weights)


def _is_product(subscripts: str, *operands: Any) -> bool:
    """Tell whether two operands are summed over an index that they share, and each has one to itself in the result."""
    given, arrow, kept = subscripts.replace(" ", "").partition("->")
    terms = [set(term) for term in given.split(",")]
    if len(terms) != 2 or not arrow:
        return len(operands) > 1
    one, other = terms
    return bool((one & other) - set(kept) and (one - other) & set(kept) and (other - one) & set(kept))


def _refuse(name: str, is_product: bool) -> None:
    if is_product:
        fail(
            f"numpy.{name} multiplies matrices, whose operands a precision rounds; say multiplies = True, or leave "
            "it out: it is true by default"
        )


def _watched(value: Any) -> Any:
    return value.view(Watched) if isinstance(value, np.ndarray) else value


def _plain(value: Any) -> Any:
    found: Array = value.view(np.ndarray) if isinstance(value, Watched) else value
    return found
