"""Groups of arguments: each is handed on as one, with a name for every member.

A kernel that Python calls is handed plain tuples, in the order of the names, and gives them their names itself, as in
`tape = Tape(*tape)`: numba takes several times as long to take a named tuple from Python as it does for a plain one.

Where numbers such as strides are literal at a call, they are arguments of their own: of these numba makes constants in
code of its own, which it does not with members of a group.
"""

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

from rnnframe.plugin import Array, Arrays


class Inputs(NamedTuple):
    """The inputs of a block: x [L, B, width] at an address, the rows [L·B] that were looked up, or sums.

    The rows of a step of x are dense, its steps `step_bytes` apart; `address` and `width` are 0 where there is no x.
    `numbers` are those of `rows` [count, gates·H] that are added to the sums in turn; empty where none are. With
    neither x nor numbers, `rows` [L·B, gates·H] are the sums b + x U to go on with.
    """

    address: int
    step_bytes: int
    width: int
    numbers: Array
    rows: Array


class Gradients(NamedTuple):
    """The gradients of U [inputs, gates·H], W [H, gates·H] and b [gates·H], which are added to."""

    U: Array
    W: Array
    b: Array


class Matrix(NamedTuple):
    """A matrix [rows, width] at an address; its rows are `stride` values apart."""

    address: int
    rows: int
    width: int
    stride: int


class Steps(NamedTuple):
    """Dense inputs, each step a matrix [samples, width] without gaps, the steps `step_bytes` apart; address 0: none."""

    address: int
    step_bytes: int
    samples: int
    width: int


class Targets(NamedTuple):
    """Where gradients of U, W and b are added: addresses, 0 for what is left out; their rows are `stride` values."""

    U: int
    W: int
    b: int
    stride: int


class Product(NamedTuple):
    """A product of a left matrix [rows, terms] without gaps and a right one that is packed; both at addresses."""

    left: int
    terms: int
    right: int


class Panel(NamedTuple):
    """Some columns of the right matrix of a product: `across` vectors for each term, one behind the other.

    `last` is how many lanes of the last vector exist.
    """

    address: int
    terms: int
    across: int
    last: int


def taker(group: Any) -> Callable[[Arrays], tuple[Array, ...]]:
    """Return a function that takes the members of a group from arrays of these names, as a plain tuple."""
    take: Callable[[Arrays], tuple[Array, ...]] = itemgetter(*group._fields)
    return take
